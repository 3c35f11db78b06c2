"""Payouts, one at a time: brought in, held, released, and made payable again after they failed or came back."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState
from opsconsole.journal.record import record
from opsconsole.treasury import access
from opsconsole.treasury.errors import ExternalIdTaken, PayoutInvalid
from opsconsole.treasury.models import Payout
from opsconsole.treasury.payouts.facts import COLUMNS, PayoutFacts
from opsconsole.treasury.payouts.rows import insert_new
from opsconsole.treasury.states import PayoutState

MAX_REASON = 2000
MOST_NAMED = 10


@operation
def create_payout(*, facts: PayoutFacts, actor: Actor) -> tuple[Payout, bool]:
    """Bring one payout in; the payout, and whether it is new.

    The same external_id with the same content answers with the payout that is there; raises ExternalIdTaken for
    other content, Denied without `treasury.import_payouts`.
    """
    actor.require("treasury.import_payouts")
    created = bool(insert_new([facts]))
    payout = Payout.objects.get(external_id=facts.external_id)
    if created:
        record(actor, "payout.created", payout, after=dict(zip(COLUMNS, facts.row, strict=True)))
    elif differing := [name for name in COLUMNS if getattr(payout, name) != getattr(facts, name)]:
        raise ExternalIdTaken(
            format_lazy(
                _("There is a payout {payout} with another {columns}."),
                payout=facts.external_id,
                columns=", ".join(differing),
            ),
            external_id=facts.external_id,
            differs=differing,
        )
    return payout, created


@operation
def hold_payout(*, payout_id: UUID, reason: str, actor: Actor) -> Payout:
    """Keep a payable payout out of every plan until it is released; raises WrongState when a plan has hold of it."""
    payout = access.payout_for(actor, payout_id)
    payout.hold_reason = _said(reason)
    return _move(payout, PayoutState.HELD, "payout.held", actor=actor, reason=payout.hold_reason)


@operation
def hold_payouts(*, payout_ids: Sequence[UUID], reason: str, actor: Actor) -> int:
    """Hold several payable payouts for one reason, all of them or none; how many.

    Raises WrongState with those that are not payable.
    """
    said = _said(reason)
    return _move_all(access.payouts_for(actor, payout_ids), PayoutState.HELD, "payout.held", actor=actor, reason=said)


@operation
def release_payouts(*, payout_ids: Sequence[UUID], actor: Actor, reason: str = "") -> int:
    """Release several held payouts, all of them or none; how many. Raises WrongState with those that are not held."""
    said = _said(reason, needed=False)
    payouts = access.payouts_for(actor, payout_ids)
    return _move_all(payouts, PayoutState.PAYABLE, "payout.released", actor=actor, reason=said)


@operation
def release_payout(*, payout_id: UUID, actor: Actor, reason: str = "") -> Payout:
    """Make a held payout payable again; raises WrongState for one that is not held."""
    payout = access.payout_for(actor, payout_id)
    if payout.status != PayoutState.HELD:
        said = format_lazy(_("The payout is {state}; only a held one is released."), state=payout.state.label)
        raise WrongState(said, status=payout.status)
    payout.hold_reason = ""
    return _move(payout, PayoutState.PAYABLE, "payout.released", actor=actor, reason=_said(reason, needed=False))


@operation
def retry_payout(*, payout_id: UUID, reason: str, actor: Actor) -> Payout:
    """Make a failed or returned payout payable again, for another plan; raises WrongState for any other."""
    payout = access.payout_for(actor, payout_id)
    if payout.status not in (PayoutState.FAILED, PayoutState.RETURNED):
        raise WrongState(
            format_lazy(
                _("The payout is {state}; only a failed or returned one is paid again."), state=payout.state.label
            ),
            status=payout.status,
        )
    payout.plan = None
    return _move(payout, PayoutState.PAYABLE, "payout.retried", actor=actor, reason=_said(reason))


def _move(payout: Payout, state: PayoutState, verb: str, *, actor: Actor, reason: str) -> Payout:
    was = payout.status
    payout.move_to(state)
    payout.save(update_fields=["status", "hold_reason", "plan"])
    record(actor, verb, payout, before={"status": was}, after={"status": payout.status}, reason=reason)
    return payout


def _move_all(payouts: Sequence[Payout], state: PayoutState, verb: str, *, actor: Actor, reason: str) -> int:
    wanted = PayoutState.PAYABLE if state == PayoutState.HELD else PayoutState.HELD
    others = sorted(payout.external_id for payout in payouts if payout.status != wanted)
    if others:
        raise WrongState(
            format_lazy(
                _("{payouts} cannot become {state}: only what is {wanted} can."),
                payouts=", ".join(others[:MOST_NAMED]),
                state=state.label,
                wanted=wanted.label,
            ),
            payouts=others,
            wanted=wanted.value,
        )
    hold_reason = reason if state == PayoutState.HELD else ""
    Payout.objects.filter(pk__in=[payout.pk for payout in payouts]).update(status=state, hold_reason=hold_reason)
    for payout in payouts:  # an entry each: what was done to a payout stands on its page
        record(actor, verb, payout, before={"status": wanted.value}, after={"status": state.value}, reason=reason)
    return len(payouts)


def _said(reason: str, *, needed: bool = True) -> str:
    said = reason.strip()
    if len(said) > MAX_REASON or (needed and not said):
        raise PayoutInvalid(
            format_lazy(_("A reason of up to {most} characters is needed."), most=MAX_REASON),
            errors={
                "reason": [format_lazy(_("must be {least} to {most} characters"), least=int(needed), most=MAX_REASON)]
            },
        )
    return said
