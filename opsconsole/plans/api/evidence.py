"""The evidence of a plan over HTTP, as one file."""

from __future__ import annotations

from uuid import UUID

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from opsconsole.core.http import ConsoleView
from opsconsole.core.openapi import PROBLEM, problem_response
from opsconsole.plans import evidence

ZIP = "application/zip"


class ZipRenderer(JSONRenderer):
    """Lets a caller ask for a zip; what is rendered by it are the refusals, which are JSON."""

    media_type = ZIP
    format = "zip"


class Evidence(ConsoleView):
    """The evidence."""

    renderer_classes = (JSONRenderer, ZipRenderer)

    @extend_schema(
        operation_id="plans_evidence",
        summary="Download the evidence of a plan",
        tags=["plans"],
        responses={
            (200, ZIP): OpenApiTypes.BINARY,
            (403, PROBLEM): problem_response(),
            (404, PROBLEM): problem_response(),
            (503, PROBLEM): problem_response(),
        },
    )
    def get(self, _request: Request, plan_id: UUID) -> FileResponse:
        """A zip with content, decisions, signatures, runs, steps, files, and journal entries with their proof.

        `python verify_journal.py evidence FILE --key KEY` checks it offline; the script lies inside.
        """
        pack = evidence.export(plan_id=plan_id, actor=self.actor)
        return FileResponse(pack.file, as_attachment=True, filename=pack.name, content_type=ZIP)
