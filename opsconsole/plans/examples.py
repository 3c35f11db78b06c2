"""The examples of the OpenAPI document, as the plans runbook shows them; tests hold them against the schemas."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

from opsconsole.core.openapi import problem_response

__all__ = ["problem_response"]

_PLAN_ID = "0198c0de-0000-7000-8000-000000000000"
_RUN_ID = "0198c0de-0000-7000-8000-000000000001"
_STEP_ID = "0198c0de-0000-7000-8000-000000000002"
_DIGEST = "6b1f0c0f6d0b4a1c8f4c0b7a6b1f0c0f6d0b4a1c8f4c0b7a6b1f0c0f6d0b4a1c"

_DRAFT: dict[str, Any] = {
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
_APPROVAL_ID = "0198c0de-0000-7000-8000-000000000003"
_PLAN: dict[str, Any] = {
    "id": _PLAN_ID,
    **_DRAFT,
    "payload": {**_DRAFT["payload"], "total_amount": "250000.00"},
    "status": "draft",
    "approvals": [],
    "estimated_impact": None,
    "digest": "",
    "revision": 1,
    "on_failure": "stop",
    "not_before": None,
    "not_after": None,
    "created_by": "ops",
    "created_at": "2025-07-28T07:00:00Z",
    "updated_at": "2025-07-28T07:00:00Z",
    "staged_at": None,
    "approval_id": None,
}
_STAGED: dict[str, Any] = {
    **_PLAN,
    "status": "staged",
    "staged_at": "2025-07-28T07:05:00Z",
    "updated_at": "2025-07-28T07:05:00Z",
    "digest": _DIGEST,
    "approval_id": _APPROVAL_ID,
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
        "not_taken": {"count": 7, "sum": "31040.75"},
        "transliterated": [],
        "warnings": [],
        "irreversible": "A payment that the bank has executed can only be asked back or paid again.",
    },
}
_APPROVED: dict[str, Any] = {
    **_STAGED,
    "status": "approved",
    "approvals": [
        {"user": "finance_ops", "role": "finance_ops", "at": "2025-07-28T08:00:00.000000Z", "signed": True},
        {"user": "pay_admin", "role": "pay_admin", "at": "2025-07-28T08:10:00.000000Z", "signed": False},
    ],
}
_STEP: dict[str, Any] = {
    "id": _STEP_ID,
    "seq": 7,
    "direction": "execute",
    "kind": "payment",
    "key": f"{_PLAN_ID}:1:7:execute",
    "status": "succeeded",
    "attempt": 1,
    "needs_person": False,
    "payload": {"payout": "invoice-2025-0815", "bank": "sandbox", "amount": "1390.11", "currency": "EUR"},
    "compensation": {"bank": "sandbox", "recall": "invoice-2025-0815", "amount": "1390.11"},
    "result": {"reference": "SBX-000007"},
    "started_at": "2025-08-01T06:00:00Z",
    "finished_at": "2025-08-01T06:00:01Z",
}
_RUN: dict[str, Any] = {
    "id": _RUN_ID,
    "plan_id": _PLAN_ID,
    "direction": "execute",
    "status": "running",
    "run_at": "2025-08-01T06:00:00Z",
    "started_at": "2025-08-01T06:00:00Z",
    "finished_at": None,
    "deadline_at": "2025-08-01T07:01:22Z",
    "requested_by": "finance_ops",
    "retry_of_id": None,
    "revision": 1,
    "waiting_for": "",
    "pause_asked_at": None,
    "paused_at": None,
    "cancel_asked_at": None,
    "result": {"simulation": "agrees"},
    "progress": {
        "total": 41,
        "done": 16,
        "percent": 39,
        "by_state": {"pending": 9, "running": 16, "succeeded": 16, "failed": 0, "unknown": 0, "skipped": 0},
    },
}

DRAFT = OpenApiExample("The runbook's plan", value=_DRAFT, request_only=True)
PAUSE = OpenApiExample("Pause a bank", value={
    "external_id": "plan-2025-08-pause-sandbox",
    "name": "Pause the sandbox bank",
    "plan_type": "pause_bank",
    "payload": {"bank": "sandbox", "reason": "It answers errors since 08:40."},
}, request_only=True)  # fmt: skip
FREEZE = OpenApiExample("Freeze a beneficiary", value={
    "external_id": "plan-2025-08-freeze-118",
    "name": "Freeze the payee of case 2025-118",
    "plan_type": "freeze",
    "payload": {
        "subject": "beneficiary",
        "id": "DE89370400440532013000",
        "reason": "The payee's mailbox was taken over; case 2025-118.",
    },
}, request_only=True)  # fmt: skip
FAILOVER = OpenApiExample("Lead corridors over to another bank", value={
    "external_id": "plan-2025-08-failover-eur",
    "name": "EUR by the second bank",
    "plan_type": "failover",
    "payload": {"from_bank": "sandbox", "to_bank": "sandbox2", "corridors": ["EUR/*"]},
}, request_only=True)  # fmt: skip
SWEEP = OpenApiExample("Gather what a bank holds", value={
    "external_id": "plan-2025-08-sweep-eur",
    "name": "EUR to the main account",
    "plan_type": "sweep",
    "payload": {
        "currency": "EUR",
        "source_bank": "sandbox",
        "target_account": "FR4030004000030000000000172",
        "keep_minimum": "50000.00",
    },
}, request_only=True)  # fmt: skip
PLAN = OpenApiExample("The draft", value=_PLAN, response_only=True, status_codes=["201"])
EDIT = OpenApiExample("Take it back and lower the total", value={
    "status": "draft",
    "payload": {"currency": "EUR", "cutoff_date": "2025-08-01", "total_amount": "200000.00"},
}, request_only=True)  # fmt: skip
STAGED = OpenApiExample("Staged", value=_STAGED, response_only=True, status_codes=["200"])
SIGNED = OpenApiExample(
    "Signed",
    value={"signature": "pWJpUkHJ1bXlr3yF6mVXQ2pDYv2mQ0yRrG9l6M9jH3o9yqgq0v4m1u8n0w4Wb7r6m3uXc1sQ8e5o2Zq7t1kDBQ=="},
    request_only=True,
)
APPROVED = OpenApiExample("Approved", value=_APPROVED, response_only=True, status_codes=["200"])
REASON = OpenApiExample("Why", value={"reason": "the cutoff date is wrong"}, request_only=True)
CALENDAR_ONCE = OpenApiExample(
    "Once",
    value={
        "name": "Year end",
        "reason": "the banks close their books",
        "plan_types": ["payout_batch", "sweep"],
        "currencies": ["EUR"],
        "starts_at": "2099-12-31T12:00:00Z",
        "ends_at": "2100-01-02T06:00:00Z",
    },
    request_only=True,
)
CALENDAR_WEEKLY = OpenApiExample(
    "Each week",
    value={
        "name": "Weekend",
        "reason": "nobody watches",
        "plan_types": ["payout_batch"],
        "time_zone": "Europe/Paris",
        "weekdays": [5],
        "from_time": "18:00",
        "until_time": "06:00",
    },
    request_only=True,
)
STUCK = OpenApiExample("Why", value={"reason": "its worker hangs; INC-2025-0817"}, request_only=True)
BREAK_GLASS = OpenApiExample(
    "In an emergency",
    value={"incident": "INC-2025-0817", "reason": "the bank pays out twice; approvers cannot be reached"},
    request_only=True,
)
APPROVAL_REQUIRED = OpenApiExample(
    "Undoing needs approvals",
    value={
        "type": "urn:opsconsole:problem:approval_required",
        "title": "Approval required",
        "status": 409,
        "detail": "Rolling this plan back takes approvals of its own: 1 finance_ops and 1 pay_admin.",
        "code": "approval_required",
        "request_id": "7c1b2f0e-1111-4222-8333-444455556666",
        "approval_id": _APPROVAL_ID,
        "approval_status": "pending",
        "open": [{"roles": ["finance_ops"], "count": 1}, {"roles": ["pay_admin"], "count": 1}],
    },
    response_only=True,
    status_codes=["409"],
    media_type="application/problem+json",
)
QUEUED = OpenApiExample("Queued", value={"run_id": _RUN_ID}, response_only=True, status_codes=["202"])
RUN = OpenApiExample("A run under way", value=_RUN, response_only=True, status_codes=["200"])
STEP = OpenApiExample("A step", value=_STEP, response_only=True, status_codes=["200"])
RUN_WITH_STEPS = OpenApiExample(
    "A run under way", value={**_RUN, "steps": [{**_STEP, "status": "running", "result": None, "finished_at": None}]},
    response_only=True, status_codes=["200"],
)  # fmt: skip
RESOLUTION = OpenApiExample(
    "It was paid",
    value={"outcome": "succeeded", "evidence": "the bank's statement of 2 August, line 12", "reference": "SBX-000007"},
    request_only=True,
)
DRIFTED = OpenApiExample(
    "Drifted",
    value={
        "type": "urn:opsconsole:problem:plan_drifted",
        "title": "Plan drifted",
        "status": 409,
        "detail": "The plan no longer matches what was approved. It was staged afresh and needs new approvals.",
        "code": "plan_drifted",
        "request_id": "7c1b2f0e-1111-4222-8333-444455556666",
        "drift": ["The payout invoice-2025-0815 has changed since it was staged."],
        "plan_status": "staged",
        "digest": _DIGEST,
    },
    response_only=True,
    status_codes=["409"],
    media_type="application/problem+json",
)
