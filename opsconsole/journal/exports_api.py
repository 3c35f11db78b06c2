"""Entries taken away over HTTP, as a file."""

from __future__ import annotations

import base64
from types import SimpleNamespace

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from opsconsole.core.http import ConsoleView
from opsconsole.core.openapi import PROBLEM, problem_response
from opsconsole.journal import downloads
from opsconsole.journal.narrowing import Narrowing
from opsconsole.journal.serializers import ExportSerializer


class CsvRenderer(JSONRenderer):
    """Lets a caller ask for CSV; what is rendered by it are the refusals, which are JSON."""

    media_type = "text/csv"
    format = "csv"


class LinesRenderer(JSONRenderer):
    """The same for JSONL."""

    media_type = "application/x-ndjson"
    format = "jsonl"


class WorkbookRenderer(JSONRenderer):
    """The same for XLSX."""

    media_type = downloads.CONTENT_TYPES["xlsx"]
    format = "xlsx"


class ByAccept(DefaultContentNegotiation):
    """Leaves the parameter `format` to the view: it names the file, and a wrong one is told as any other field."""

    settings = SimpleNamespace(URL_FORMAT_OVERRIDE=None)  # type: ignore[assignment] # the one setting that it reads


class EntryExport(ConsoleView):
    """`GET /api/journal/export`."""

    renderer_classes = (JSONRenderer, CsvRenderer, LinesRenderer, WorkbookRenderer)
    content_negotiation_class = ByAccept

    @extend_schema(
        operation_id="journal_export",
        summary="Take journal entries away as a file",
        tags=["journal"],
        parameters=[ExportSerializer],
        responses={
            **{(200, kind.partition(";")[0]): OpenApiTypes.BINARY for kind in downloads.CONTENT_TYPES.values()},
            (400, PROBLEM): problem_response(),
            (403, PROBLEM): problem_response(),
            (409, PROBLEM): problem_response(),
            (503, PROBLEM): problem_response(),
        },
    )
    def get(self, request: Request) -> FileResponse:
        """Sealed entries in the order of the tree; the journal tells who took them.

        JSONL and CSV of nothing but a stretch of time end with the proof that `verify_journal.py` checks offline. The
        header `Content-Digest` has the SHA-256 that stands in the journal (RFC 9530).
        """
        self.actor.require("journal.view_entry")
        self.actor.require("journal.export_journal")
        asked = ExportSerializer(data=request.query_params)
        if unknown := sorted(request.query_params.keys() - asked.fields.keys()):
            raise ValidationError({name: ["This export has no such parameter."] for name in unknown})
        asked.is_valid(raise_exception=True)
        said = dict(asked.validated_data)
        form = said.pop("format")
        written = downloads.take_away(Narrowing(**said), form, actor=self.actor)
        digest = base64.b64encode(bytes.fromhex(written.sha256)).decode()
        return FileResponse(
            written.file,
            as_attachment=True,
            filename=written.name,
            content_type=written.content_type,
            headers={"Content-Digest": f"sha-256=:{digest}:"},
        )
