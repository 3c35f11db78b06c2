"""The doors of sweeps, files of banks, and breaks."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import IO, Any, BinaryIO, Final, cast
from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response
from opsconsole.core.parsers import BodyTooLarge
from opsconsole.treasury import access
from opsconsole.treasury.models import BankFile, Break, Sweep
from opsconsole.treasury.serializers import (
    BankFileSerializer,
    BreakSerializer,
    MandatoryReasonSerializer,
    SweepSerializer,
)
from opsconsole.treasury.services import bank_files, breaks
from opsconsole.treasury.services.bank_files import MAX_NAME
from opsconsole.treasury.states import BankFileState, BreakReason, BreakState, SweepState

TAGS = ["treasury"]
MOST_BYTES: Final = 50 * 1024 * 1024
IN_MEMORY: Final = 1024 * 1024

_FILE = {
    "id": "0198c0de-0000-7000-8000-00000000000b",
    "digest": "6b1f0c0f6d0b4a1c8f4c0b7a6b1f0c0f6d0b4a1c8f4c0b7a6b1f0c0f6d0b4a1c",
    "name": "statement-2025-08-01.xml",
    "schema": "camt.053.001.08",
    "message_id": "STM-20250801",
    "size": 48211,
    "status": "imported",
    "lines_read": 41,
    "settled": 40,
    "failed": 0,
    "returned": 0,
    "already": 0,
    "pending": 0,
    "breaks": 1,
    "imported_by": "finance_ops",
    "created_at": "2025-08-02T06:00:00Z",
    "finished_at": "2025-08-02T06:00:01Z",
}
TAKEN_IN = OpenApiExample("A statement", value=_FILE, response_only=True, status_codes=["201"])
FOUND_OUT = OpenApiExample("What it was", value={"reason": "the bank's monthly fee, booked by hand"}, request_only=True)


class XmlBody(BaseParser):
    """A body of XML as it is, in a file of its own; what it means is read later."""

    media_type = "application/xml"

    def parse(
        self, stream: IO[Any], _media_type: str | None = None, _parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """A file with the body; raises BodyTooLarge."""
        body = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the request
        size = 0
        while block := stream.read(1 << 16):
            size += len(block)
            if size > MOST_BYTES:
                raise BodyTooLarge(f"The body is longer than {MOST_BYTES} bytes.")
            body.write(block)
        body.seek(0)
        return body


class XmlTextBody(XmlBody):
    """The same under its other name."""

    media_type = "text/xml"


class BankFileFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """What a list of files can be narrowed by."""

    status = filters.MultipleChoiceFilter(choices=BankFileState.choices)

    class Meta:
        model = BankFile
        fields = ("status",)


class BreakFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """What a list of breaks can be narrowed by."""

    status = filters.MultipleChoiceFilter(choices=BreakState.choices)
    reason = filters.MultipleChoiceFilter(choices=BreakReason.choices)
    file_id = filters.UUIDFilter()

    class Meta:
        model = Break
        fields = ("status", "reason", "file_id")


class SweepFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """What a list of sweeps can be narrowed by."""

    status = filters.MultipleChoiceFilter(choices=SweepState.choices)
    plan = filters.UUIDFilter(field_name="plan_id")

    class Meta:
        model = Sweep
        fields = ("status", "plan")


class Sweeps(ConsoleView):
    """All transfers between accounts of ours."""

    @extend_schema(
        operation_id="sweeps_list",
        summary="List sweeps",
        tags=TAGS,
        parameters=[
            OpenApiParameter("status", str, many=True, enum=SweepState.values),
            OpenApiParameter("plan", UUID),
        ],
        responses={200: SweepSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first; ways back among them."""
        return self.page(access.visible_sweeps(self.actor), SweepSerializer, narrowed_by=SweepFilter)


class BankFiles(ConsoleView):
    """Files of banks; a new one is the body itself."""

    parser_classes = (XmlBody, XmlTextBody)

    @extend_schema(
        operation_id="bank_files_list",
        summary="List bank files",
        tags=TAGS,
        parameters=[OpenApiParameter("status", str, many=True, enum=BankFileState.values)],
        responses={200: BankFileSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_bank_files(self.actor), BankFileSerializer, narrowed_by=BankFileFilter)

    @extend_schema(
        operation_id="bank_files_import",
        summary="Import a bank file",
        tags=TAGS,
        parameters=[OpenApiParameter("name", str, description="What the file is called; up to 200 characters.")],
        request={"application/xml": OpenApiTypes.BINARY, "text/xml": OpenApiTypes.BINARY},
        responses={
            201: BankFileSerializer,
            200: BankFileSerializer,
            400: problem_response(),
            403: problem_response(),
            413: problem_response(),
            415: problem_response(),
        },
        examples=[TAKEN_IN],
    )
    def post(self, request: Request) -> Response:
        """201 for a new pain.002, camt.053 or camt.054, 200 for one that is there already, by the SHA-256 of its bytes.

        The digest is what makes a repetition harmless, also without an Idempotency-Key.
        """
        self.actor.require(bank_files.PERMISSION)
        name = request.query_params.get("name", "")
        if len(name) > MAX_NAME or "\x00" in name:
            raise ValidationError({"name": [f"Up to {MAX_NAME} characters."]})
        if not hasattr(request.data, "read"):
            raise ValidationError({"body": ["The body must be the file."]})
        with cast(BinaryIO, request.data) as stream:
            file, new = bank_files.import_bank_file(stream=stream, name=name, actor=self.actor)
        return Response(BankFileSerializer(file).data, status=201 if new else 200)


class OneBankFile(ConsoleView):
    """One file."""

    @extend_schema(
        operation_id="bank_files_retrieve",
        summary="Read a bank file",
        tags=TAGS,
        responses={200: BankFileSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, file_id: UUID) -> Response:
        """What came of it."""
        return Response(BankFileSerializer(access.bank_file_seen_by(self.actor, file_id)).data)


class Breaks(ConsoleView):
    """All breaks."""

    @extend_schema(
        operation_id="breaks_list",
        summary="List breaks",
        tags=TAGS,
        parameters=[
            OpenApiParameter("status", str, many=True, enum=BreakState.values),
            OpenApiParameter("reason", str, many=True, enum=BreakReason.values),
            OpenApiParameter("file_id", UUID),
        ],
        responses={200: BreakSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first: what banks say and our records do not."""
        return self.page(access.visible_breaks(self.actor), BreakSerializer, narrowed_by=BreakFilter)


class ResolveBreak(ConsoleView):
    """Resolving."""

    @extend_schema(
        operation_id="breaks_resolve",
        summary="Resolve a break",
        tags=TAGS,
        request=MandatoryReasonSerializer,
        responses={200: BreakSerializer, 404: problem_response(), 409: problem_response()},
        examples=[FOUND_OUT],
    )
    def post(self, _request: Request, break_id: UUID) -> Response:
        """Say what it was. Nothing is booked by it."""
        body = self.read(MandatoryReasonSerializer)
        answer = breaks.resolve_break.once(
            self.request_key(), _break_answer, break_id=break_id, reason=body["reason"], actor=self.actor
        )
        return self.respond(answer)


def _break_answer(found: Break) -> Answer:
    return Answer(200, dict(BreakSerializer(found).data))
