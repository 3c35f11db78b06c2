"""Budgets that run out: noticed once for each crossing, seen by somebody, over when there is budget again."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from loyalty import access_fraud
from loyalty.budgets import THRESHOLDS, Standing, crossings, recovered, standing_of
from loyalty.models import BudgetAlert, Program
from loyalty.reasons import said
from loyalty.selectors import database_clock
from loyalty.states import BudgetAlertState
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import record

URGENT: Final = max(THRESHOLDS)


@operation
def watch_budgets(*, actor: Actor) -> list[BudgetAlert]:
    """Raise an alert for each threshold that a program has passed, and close those that are over; the new ones."""
    raised: list[BudgetAlert] = []
    for threshold in THRESHOLDS:
        for alert in recovered(threshold).select_for_update(no_key=True):
            alert.move_to(BudgetAlertState.CLOSED)
            alert.closed_at = database_clock()
            alert.save(update_fields=["status", "closed_at"])
            record(actor, "budget.recovered", alert.program, after={"threshold": threshold})
        raised += filter(None, [_raise(program, threshold, actor) for program in crossings(threshold)])
    return raised


@operation
def acknowledge_alert(*, alert_id: UUID, note: str, actor: Actor) -> BudgetAlert:
    """Somebody has it in hand, and says what they do; raises AlertNotFound, Denied, WrongState."""
    alert, told = access_fraud.alert_for(actor, alert_id, "loyalty.change_program"), said(note)
    alert.move_to(BudgetAlertState.ACKNOWLEDGED)
    alert.acknowledged_at, alert.acknowledged_by, alert.note = database_clock(), actor.user, told
    alert.save(update_fields=["status", "acknowledged_at", "acknowledged_by", "note"])
    record(actor, "budget.acknowledged", alert.program, after={"threshold": alert.threshold}, reason=told)
    return alert


def _raise(program: Program, threshold: int, actor: Actor) -> BudgetAlert | None:
    standing = standing_of(program)
    facts: dict[str, Any] = {
        "threshold": threshold,
        "budget_limit": standing.limit,
        "budget_used": standing.used,
        "burn_per_day": standing.burn_per_day,
        "exhausted_at": standing.exhausted_at,
    }
    try:
        with transaction.atomic():
            alert = BudgetAlert.objects.create(program=program, **facts)
    except IntegrityError:
        return None  # somebody else is watching too, and was faster
    record(actor, "budget.alerted", program, after=facts)
    emit("budget.alerted", kind=Program._meta.db_table, id=program.pk, data=_told(program, threshold, standing))
    return alert


def _told(program: Program, threshold: int, standing: Standing) -> dict[str, Any]:
    return {
        "program": program.name,
        "threshold": threshold,
        "left": f"{standing.left:f}",
        "decision": standing.decision.value,
        "exhausted_at": standing.exhausted_at.isoformat() if standing.exhausted_at else None,
        "severity": "critical" if threshold == URGENT else "warning",
    }
