"""The examples and the problem form of the OpenAPI document, as the plans runbook shows them."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiResponse

_DRAFT = {
    "external_id": "plan-2025-08-payout-eur",
    "name": "Monthly EUR Payouts",
    "description": "Payout batch for August 2025",
    "plan_type": "payout_batch",
    "payload": {
        "currency": "EUR",
        "cutoff_date": "2025-08-01",
        "total_amount": 250000,
        "simulate_before_execute": True,
    },
    "required_approvals": 2,
}
_PLAN = {
    "id": "0198c0de-0000-7000-8000-000000000000",
    **_DRAFT,
    "status": "draft",
    "approvals": [],
    "estimated_impact": None,
    "digest": "",
    "revision": 1,
    "on_failure": "stop",
    "not_before": None,
    "not_after": None,
    "created_by": "ops",
    "created_at": "2025-08-01T07:00:00Z",
    "updated_at": "2025-08-01T07:00:00Z",
    "staged_at": None,
}

DRAFT = OpenApiExample("The runbook's plan", value=_DRAFT, request_only=True)
PLAN = OpenApiExample("The draft", value=_PLAN, response_only=True, status_codes=["201"])
STAGED = OpenApiExample(
    "Staged",
    value={
        **_PLAN,
        "status": "staged",
        "digest": "6b1f0c0f6d0b4a1c8f4c0b7a6b1f0c0f6d0b4a1c8f4c0b7a6b1f0c0f6d0b4a1c",
        "estimated_impact": {
            "count": 41,
            "payees": 33,
            "steps": 41,
            "sums": {"EUR": "249114.02"},
            "remainder": {"EUR": "885.98"},
            "fees": {"EUR": "8.20"},
            "accounts": [
                {
                    "account": "DE89370400440532013000",
                    "bank": "sandbox",
                    "currency": "EUR",
                    "count": 41,
                    "sum": "249114.02",
                    "balance_before": "1100000000.00",
                    "balance_after": "1099750885.98",
                }
            ],
            "banks": [{"bank": "sandbox", "count": 41, "sums": {"EUR": "249114.02"}}],
            "warnings": [],
            "irreversible": "A payment that the bank has executed can only be asked back or paid again.",
        },
    },
    response_only=True,
    status_codes=["200"],
)
APPROVAL = OpenApiExample("Signed", value={"signature": "bW9zdCBsaWtlbHkgc2lnbmVk..."}, request_only=True)


def problem_response() -> OpenApiResponse:
    """An error as application/problem+json (RFC 9457)."""
    return OpenApiResponse(
        response={
            "type": "object",
            "required": ["type", "title", "status", "detail", "code", "request_id"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "code": {"type": "string"},
                "request_id": {"type": "string"},
                "errors": {"type": "object"},
            },
        },
        description="A problem (RFC 9457); `code` is stable, `detail` is for people.",
    )
