"""The doors for a member's rights as a person: what is known of them, and being forgotten."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty.api.base import LoyaltyView
from loyalty.privacy import files
from loyalty.serializers.privacy import ErasedSerializer, PersonSerializer
from loyalty.services import privacy
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response

TAGS = ["loyalty"]
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409)}

ASKED = OpenApiExample(
    "A request of theirs",
    value={"userId": "user-42", "reason": "Request of 2026-11-20, ticket 4711"},
    request_only=True,
)


class ExportMember(LoyaltyView):
    """Handing out."""

    @extend_schema(
        operation_id="members_export",
        summary="Export what is known of a member",
        tags=TAGS,
        request=PersonSerializer,
        responses={200: OpenApiTypes.OBJECT, **REFUSALS},
        examples=[ASKED],
    )
    def post(self, _request: Request) -> StreamingHttpResponse:
        """In every program that the caller sees, as a file; the journal tells who took it, before it leaves."""
        body = self.read(PersonSerializer)
        balances = privacy.record_member_export(**body, actor=self.actor)
        return StreamingHttpResponse(
            files.pieces(body["user_id"], balances),
            content_type="application/json",
            headers={"Content-Disposition": 'attachment; filename="member.json"', "Cache-Control": "no-store"},
        )


class EraseMember(LoyaltyView):
    """Forgetting."""

    @extend_schema(
        operation_id="members_erase",
        summary="Erase a member's identity",
        tags=TAGS,
        request=PersonSerializer,
        responses={200: ErasedSerializer, **REFUSALS},
        examples=[ASKED],
    )
    def post(self, _request: Request) -> Response:
        """In every program; refused while somebody looks into them. It cannot be undone."""
        answer = privacy.erase_member.once(
            self.request_key(),
            lambda balances: Answer(200, dict(ErasedSerializer({"balances": balances}).data)),
            **self.read(PersonSerializer),
            actor=self.actor,
        )
        return self.respond(answer)
