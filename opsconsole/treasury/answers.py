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


def probed(step: Step, finding: base.Finding, *, honours_key: bool, paying: bool | None = None) -> Probed:
    """What a finding means; `paying` where a step that undoes another does it by a payment of its own."""
    match finding:
        case base.NoAnswer(detail=detail, retry_after=pause):
            return NoAnswer(detail, pause)
        case base.CannotTell(detail=detail):
            return CannotTell(detail)
        case base.Absent():
            return NeverHappened() if honours_key else CannotTell("the bank does not execute a key only once")
        case base.Known():
            return _known(step, finding, paying=step.direction == Direction.EXECUTE if paying is None else paying)


def _known(step: Step, known: base.Known, *, paying: bool) -> Probed:
    wanted = step.payload.get("amount")  # of a file none: it has many, and a control sum
    if known.amount is not None and wanted is not None and Decimal(wanted) != known.amount:
        return CannotTell(f"the bank has {known.amount} under this key, not {wanted}")
    gone = known.state in (PaymentState.RECALLED, PaymentState.REJECTED)
    if paying:
        return Refused(known.state.value, known.reason or "") if gone else Done({"reference": known.reference})
    if known.state == PaymentState.RECALLED:
        return Done({})
    if known.state == PaymentState.ACCEPTED:
        return NeverHappened()
    return Skipped("too_late", f"the bank has it as {known.state.value}")
