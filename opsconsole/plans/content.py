"""What exactly is approved: the digest over everything that staging fixed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from opsconsole.core.canonical import canonical, digest
from opsconsole.plans.models import Plan, Step
from opsconsole.plans.states import Direction, StepState


def staged_steps(plan: Plan) -> Iterable[tuple[int, str, dict[str, Any], dict[str, Any] | None]]:
    """The steps of the plan's revision in order: number, kind, payload, compensation."""
    return (
        Step.objects.filter(plan=plan, revision=plan.revision, direction=Direction.EXECUTE)
        .order_by("seq")
        .values_list("seq", "kind", "payload", "compensation")
        .iterator(chunk_size=5000)
    )


def steps_digest(plan: Plan) -> str:
    """SHA-256 over the canonical bytes of every step, one line each."""
    running = hashlib.sha256()
    for seq, kind, payload, compensation in staged_steps(plan):
        running.update(canonical([seq, kind, payload, compensation]))
        running.update(b"\n")
    return running.hexdigest()


def content_of(plan: Plan, policy: dict[str, Any]) -> dict[str, Any]:
    """Everything an approver agrees to. The steps are in it by their digest; they are shown beside it.

    The revision is not in it: staging the same content again keeps its approvals.
    """
    return {
        "plan": str(plan.pk),
        "external_id": plan.external_id,
        "name": plan.name,
        "plan_type": plan.plan_type,
        "payload": plan.payload,
        "on_failure": plan.on_failure,
        "not_before": plan.not_before,
        "not_after": plan.not_after,
        "estimated_impact": plan.estimated_impact,
        "steps": steps_digest(plan),
        "policy": policy,
    }


def content_digest(plan: Plan, policy: dict[str, Any]) -> str:
    """The digest an approval is bound to: SHA-256, 64 lower-case hexadecimal digits."""
    return digest(content_of(plan, policy))


ROLLBACK_SHOWN = 50


def rollback_content(plan: Plan, policy: dict[str, Any], *, reason: str) -> dict[str, Any]:
    """Everything that approvers of a rollback agree to: what is to be undone, by number and by digest, and why."""
    undone = (
        Step.objects.filter(
            plan=plan, revision=plan.revision, direction=Direction.EXECUTE, status=StepState.SUCCEEDED, undone_by=None
        )
        .order_by("seq")
        .values_list("seq", "kind", "compensation")
    )
    running, count = hashlib.sha256(), 0
    shown: list[dict[str, Any]] = []
    for seq, kind, compensation in undone.iterator(chunk_size=5000):
        running.update(canonical([seq, kind, compensation]) + b"\n")
        count += 1
        if len(shown) < ROLLBACK_SHOWN:
            shown.append({"step": seq, "kind": kind, "undone_by": compensation or {}})
    return {
        "plan": str(plan.pk),
        "external_id": plan.external_id,
        "name": plan.name,
        "plan_type": plan.plan_type,
        "payload": plan.payload,
        "direction": Direction.ROLLBACK.value,
        "reason": reason,
        "estimated_impact": None,
        "undoes": count,
        "first_steps": shown,
        "steps": running.hexdigest(),
        "policy": policy,
    }
