"""What a door answers when others must agree first."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers

from opsconsole.approvals.gate import Asked
from opsconsole.core.camel import CamelSerializer
from opsconsole.core.idempotency import Answer

ASKED = 202


class AskedSerializer(CamelSerializer):
    """Nothing was done: `requiredRoles` must agree to `approvalRequestId`, then ask again with it."""

    status = serializers.CharField(help_text="`approval_required`")
    approval_request_id = serializers.UUIDField()
    required_roles = serializers.ListField(child=serializers.CharField())


class WhySerializer(CamelSerializer):
    """Why, for the journal."""

    reason = serializers.CharField(max_length=2000)


def asked_answer(asked: Asked) -> Answer:
    """202, with what to come back with (runbook 3, step 3)."""
    body: dict[str, Any] = {
        "status": "approval_required",
        "approvalRequestId": str(asked.request.pk),
        "requiredRoles": asked.roles,
    }
    return Answer(ASKED, body)


def asked_response() -> OpenApiResponse:
    """The 202 as the document has it."""
    return OpenApiResponse(AskedSerializer, "Others must agree first; ask again with X-Approval-Request-Id.")


ASKED_EXAMPLE = OpenApiExample(
    "Others must agree",
    value={
        "status": "approval_required",
        "approvalRequestId": "0198c0de-0000-7000-8000-0000000000aa",
        "requiredRoles": ["ops_marketing", "finance_ops"],
    },
    response_only=True,
    status_codes=["202"],
)
