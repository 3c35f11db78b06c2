"""Drafting: a plan is written down, corrected, and may be given up; nothing of it has happened yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import kernel as approvals
from opsconsole.core.actors import Actor
from opsconsole.core.canonical import digest
from opsconsole.core.errors import Denied
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState
from opsconsole.journal.record import record
from opsconsole.plans import access
from opsconsole.plans.errors import ExternalIdTaken, PlanInvalid
from opsconsole.plans.models import Plan
from opsconsole.plans.states import OnFailure, PlanState
from opsconsole.plans.transitions import take_back
from opsconsole.plans.types import type_named

EDITABLE = frozenset({"name", "description", "payload", "required_approvals", "on_failure", "not_before", "not_after"})


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person asks for. `payload` is checked by the plan type; `required_approvals` may raise the quorum."""

    external_id: str
    name: str
    plan_type: str
    payload: dict[str, Any]
    description: str = ""
    required_approvals: int | None = None
    on_failure: str = OnFailure.STOP
    not_before: datetime | None = None
    not_after: datetime | None = None


@operation
def create_plan(*, draft: Draft, actor: Actor) -> tuple[Plan, bool]:
    """Write a draft down; the plan, and whether it is new.

    The same external_id with the same content answers with the plan that is there; raises ExternalIdTaken for other
    content, PlanInvalid or Invalid for content that does not hold together, Denied without `plans.create_plan`.
    """
    actor.require("plans.create_plan")
    if actor.user is None:
        raise Denied(_("A plan is drafted by a user, who then cannot approve it."))
    plan_type = type_named(draft.plan_type)
    payload = plan_type.parse(draft.payload)
    plan_type.require_sight(payload, actor)
    _check_window(draft.not_before, draft.not_after)
    body_digest = _body_digest(draft, payload)
    try:
        with transaction.atomic():
            plan = Plan.objects.create(
                external_id=draft.external_id,
                name=draft.name,
                description=draft.description,
                plan_type=draft.plan_type,
                payload=payload,
                asked_approvals=draft.required_approvals,
                required_approvals=_quorum(draft.plan_type, draft.required_approvals),
                on_failure=draft.on_failure,
                not_before=draft.not_before,
                not_after=draft.not_after,
                body_digest=body_digest,
                created_by=actor.user,
                edited_by=[actor.id],
            )
    except IntegrityError as error:
        existing = Plan.objects.filter(external_id=draft.external_id).first()
        if existing is None:
            raise
        if existing.body_digest == body_digest:
            return access.plan_seen_by(actor, existing.pk), False
        raise ExternalIdTaken(
            format_lazy(_("Another plan has the external_id {id}."), id=draft.external_id),
            external_id=draft.external_id,
        ) from error
    plan.refresh_from_db()
    record(actor, "plan.created", plan, after=_facts(plan))
    return plan, True


@operation
def edit_plan(*, plan_id: UUID, changes: dict[str, Any], actor: Actor, back_to_draft: bool = False) -> Plan:
    """Change a draft; its editor can then not approve it. Raises WrongState once it is staged.

    `changes` maps names of EDITABLE to new values. With `back_to_draft` a staged or approved plan is first taken
    back, all in one: changes that do not hold together leave it staged.
    """
    plan = access.plan_for(actor, plan_id, "edit")
    if back_to_draft:
        take_back(plan, PlanState.DRAFT, actor=actor, reason="taken back to draft")
    if plan.status != PlanState.DRAFT:
        raise WrongState(
            format_lazy(
                _("The plan is {state}; only a draft can be edited. Take it back to draft first."),
                state=plan.state.label,
            ),
            status=plan.status,
            wanted=PlanState.DRAFT.value,
        )
    before = _facts(plan)
    for name in EDITABLE & changes.keys():
        setattr(plan, "asked_approvals" if name == "required_approvals" else name, changes[name])
    plan.required_approvals = _quorum(plan.plan_type, plan.asked_approvals)
    plan_type = type_named(plan.plan_type)
    plan.payload = plan_type.parse(plan.payload)
    if plan.payload != before["payload"]:
        plan_type.require_sight(plan.payload, actor)
    _check_window(plan.not_before, plan.not_after)
    after = _facts(plan)
    changed = {name for name in after if after[name] != before[name]}
    if not changed:
        return plan
    plan.edited_by = sorted({*plan.edited_by, actor.id})
    plan.updated_at = Now()
    plan.save(update_fields=[*EDITABLE, "asked_approvals", "edited_by", "updated_at"])
    plan.refresh_from_db()
    record(
        actor,
        "plan.edited",
        plan,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    return plan


@operation
def return_to_draft(*, plan_id: UUID, reason: str, actor: Actor) -> Plan:
    """Take a staged or approved plan back to be edited as its next revision; its approvals are void."""
    plan = access.plan_for(actor, plan_id, "edit")
    take_back(plan, PlanState.DRAFT, actor=actor, reason=reason or "taken back to draft")
    return plan


@operation
def cancel_plan(*, plan_id: UUID, reason: str, actor: Actor) -> Plan:
    """Give up a plan that has not begun; what it had reserved is free again."""
    plan = access.plan_for(actor, plan_id, "stage")
    take_back(plan, PlanState.CANCELLED, actor=actor, reason=reason or "cancelled")
    return plan


def _check_window(not_before: datetime | None, not_after: datetime | None) -> None:
    if not_before and not_after and not_after <= not_before:
        raise PlanInvalid(
            _("The execution window ends before it begins."), errors={"not_after": [_("must be later than not_before")]}
        )


def _quorum(plan_type: str, asked: int | None) -> int:
    """How many people must agree as far as a draft can tell: staging adds what the policy asks of its sums."""
    return approvals.policy_for(f"plan.{plan_type}", sums={}, required_approvals=asked).quorum


def _body_digest(draft: Draft, payload: dict[str, Any]) -> str:
    return digest(
        [
            draft.name,
            draft.description,
            draft.plan_type,
            payload,
            draft.required_approvals,
            str(draft.on_failure),
            draft.not_before,
            draft.not_after,
        ]
    )


def _facts(plan: Plan) -> dict[str, Any]:
    return {
        "external_id": plan.external_id,
        "name": plan.name,
        "description": plan.description,
        "plan_type": plan.plan_type,
        "payload": plan.payload,
        "required_approvals": plan.asked_approvals,
        "on_failure": str(plan.on_failure),
        "not_before": plan.not_before and plan.not_before.isoformat(),
        "not_after": plan.not_after and plan.not_after.isoformat(),
        "revision": plan.revision,
    }
