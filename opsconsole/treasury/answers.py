"""The banks' answers in the engine's words: what an outcome, a finding or a recall means for a step."""

from __future__ import annotations

from decimal import Decimal

from opsconsole.plans.models import Step
from opsconsole.plans.outcomes import (
    CannotTell,
    Done,
    NeverHappened,
    NoAnswer,
    NotStarted,
    Outcome,
    Probed,
    Refused,
    Skipped,
    Unclear,
)
from opsconsole.plans.states import Direction
from opsconsole.treasury.gateways import base
from opsconsole.treasury.gateways.base import PaymentState
from opsconsole.treasury.orders import PAYMENT


def submitted(outcome: base.Outcome) -> Outcome:
    match outcome:
        case base.Accepted(reference=reference):
            return Done({"reference": reference})
        case base.Rejected(code=code, reason=reason):
            return Refused(code, reason)
        case base.NotSent(detail=detail, retry_after=pause):
            return NotStarted(detail, pause)
        case base.Ambiguous(detail=detail):
            return Unclear(detail)


def recalled(outcome: base.RecallOutcome) -> Outcome:
    match outcome:
        case base.Recalled():
            return Done({})
        case base.TooLate(reason=reason):
            return Skipped("too_late", reason)
        case base.NotSent(detail=detail, retry_after=pause):
            return NotStarted(detail, pause)
        case base.Ambiguous(detail=detail):
            return Unclear(detail)


def probed(step: Step, finding: base.Finding, *, honours_key: bool) -> Probed:
    match finding:
        case base.NoAnswer(detail=detail, retry_after=pause):
            return NoAnswer(detail, pause)
        case base.CannotTell(detail=detail):
            return CannotTell(detail)
        case base.Absent():
            return NeverHappened() if honours_key else CannotTell("the bank does not execute a key only once")
        case base.Known():
            return _known(step, finding)


def _known(step: Step, known: base.Known) -> Probed:
    wanted = step.payload.get("amount") if step.kind == PAYMENT else None
    if known.amount is not None and wanted is not None and Decimal(wanted) != known.amount:
        return CannotTell(f"the bank has {known.amount} under this key, not {wanted}")
    gone = known.state in (PaymentState.RECALLED, PaymentState.REJECTED)
    if step.direction == Direction.EXECUTE:
        return Refused(known.state.value, known.reason or "") if gone else Done({"reference": known.reference})
    if known.state == PaymentState.RECALLED:
        return Done({})
    if known.state == PaymentState.ACCEPTED:
        return NeverHappened()
    return Skipped("too_late", f"the bank has it as {known.state.value}")
