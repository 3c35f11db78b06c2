"""Disputes: opened for a member, and ended by an adjustment or a refusal."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access, access_fraud, adjusting, ledger
from loyalty.errors import DisputeOpen, PointsInvalid
from loyalty.models import Dispute
from loyalty.reasons import said
from loyalty.selectors import database_clock, new_id
from loyalty.states import DisputeState
from opsconsole.approvals.gate import Asked
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.texts import Text
from opsconsole.journal.record import Subject, record

PERMISSION: Final = "loyalty.adjust_points"
ANSWERED_WITHIN: Final = timedelta(days=5)
CLOCKS_DIFFER: Final = timedelta(minutes=5)
MAX_TICKET: Final = 100
MAX_CLAIM: Final = 2_000
FIRST_YEAR: Final = 1990  # an earlier date is a mistake, whoever types it


@operation
def open_dispute(
    *, balance_id: UUID, ticket: str, origin_txn_id: str, happened_at: datetime, claim: str = "", actor: Actor
) -> Dispute:
    """Take down that a member says a purchase earned nothing; due in ANSWERED_WITHIN.

    Raises MemberNotFound, Denied, PointsInvalid, DisputeOpen.
    """
    member = access.member_for(actor, balance_id, PERMISSION)
    now = database_clock()
    facts = {"ticket": ticket.strip(), "origin_txn_id": origin_txn_id.strip(), "claim": claim.strip()}
    wrong: dict[str, list[Text]] = {
        name: [format_lazy(_("takes 1 to {most} characters"), most=most)]
        for name, most in (("ticket", MAX_TICKET), ("origin_txn_id", ledger.MAX_TEXT))
        if not 0 < len(facts[name]) <= most
    }
    if len(facts["claim"]) > MAX_CLAIM:
        wrong["claim"] = [format_lazy(_("takes at most {most} characters"), most=MAX_CLAIM)]
    if happened_at > now + CLOCKS_DIFFER or happened_at.year < FIRST_YEAR:
        wrong["happened_at"] = [_("must lie in the past, and not too far")]
    if wrong:
        raise PointsInvalid(_("This dispute cannot be opened."), errors=wrong)
    try:
        with transaction.atomic():
            dispute = Dispute.objects.create(
                program=member.program,
                balance=member,
                happened_at=happened_at,
                due_at=now + ANSWERED_WITHIN,
                opened_by=actor.user,
                **facts,
            )
    except IntegrityError as error:
        raise DisputeOpen(_("There is an open dispute about this purchase already.")) from error
    dispute.refresh_from_db()
    record(actor, "dispute.opened", dispute, after={**facts, "member": member.pk, "happened_at": happened_at})
    return dispute


@operation
def refuse_dispute(*, dispute_id: UUID, reason: str, actor: Actor) -> Dispute:
    """The member was not entitled to more, or has it already; raises DisputeNotFound, Denied, WrongState."""
    dispute, why = access_fraud.dispute_for(actor, dispute_id, PERMISSION), said(reason)
    _end(dispute, DisputeState.REFUSED, why, None, actor)
    facts = {"dispute": dispute.pk, "ticket": dispute.ticket, "purchase": dispute.origin_txn_id}
    record(actor, "dispute.refused", dispute.balance, after=facts, reason=why)  # on the member, where it is looked for
    _tell(dispute, "dispute.refused", why)
    return dispute


@operation
def adjust_dispute(
    *,
    dispute_id: UUID,
    amount: int,
    reason: str,
    actor_id: str | None = None,
    actor_role: str | None = None,
    approval_id: UUID | None = None,
    actor: Actor,
) -> Dispute | Asked:
    """Give the member their points, which ends the dispute; in the way and with the consent of any adjustment.

    Asked, and the dispute stays open, where two teams must agree (runbook 3, step 3). Raises DisputeNotFound, Denied,
    WrongState, PointsInvalid, and as `points.adjust_points` does.
    """
    seen = access_fraud.dispute_seen_by(actor, dispute_id)
    member = access.member_for(actor, seen.balance_id, PERMISSION)  # before the dispute, as whoever opens one
    dispute = access_fraud.dispute_for(actor, dispute_id, PERMISSION)
    adjusting.require_named(actor, actor_id, actor_role)
    wanted, why = ledger.readable(amount), said(reason)
    if wanted < 0:
        raise PointsInvalid(
            _("A dispute is ended by points that are given."), errors={"amount": [_("must be more than 0")]}
        )
    if dispute.state.is_final:  # said now, and not once two teams have agreed
        dispute.move_to(DisputeState.ADJUSTED)
    more = {"dispute": str(dispute.pk), "ticket": dispute.ticket}
    facts = adjusting.agree(member, wanted, reason=why, approval_id=approval_id, actor=actor, more=more)
    if isinstance(facts, Asked):
        return facts
    made = new_id()
    _end(dispute, DisputeState.ADJUSTED, why, made, actor)
    _tell(dispute, "dispute.adjusted", why)
    origin = dispute.origin_txn_id
    adjusting.post(member, facts, reason=why, actor=actor, transaction_id=made, origin_txn_id=origin)
    return dispute


@operation
def remind_of_overdue(*, actor: Actor) -> int:
    """Tell of disputes that nobody has ended in time, each once; how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update loyalty_disputes set reminded_at = now()"
            " where status = 'open' and due_at < now() and reminded_at is null"
        )
        overdue: int = cursor.rowcount
    if overdue:
        table = Dispute._meta.db_table
        record(actor, "dispute.overdue", Subject(table, "queue"), after={"disputes": overdue})
        emit("dispute.overdue", kind=table, id="queue", data={"disputes": overdue})
    return overdue


def _end(dispute: Dispute, state: DisputeState, reason: str, transaction_id: UUID | None, actor: Actor) -> None:
    before = dispute.status
    dispute.move_to(state)
    dispute.decided_at, dispute.decided_by = database_clock(), actor.user
    dispute.verdict, dispute.transaction_id = reason, transaction_id
    dispute.save(update_fields=["status", "decided_at", "decided_by", "verdict", "transaction_id"])
    after = {"status": dispute.status, "transaction": transaction_id}
    record(actor, "dispute.ended", dispute, before={"status": before}, after=after, reason=reason)
    adjusting.no_longer_asked(dispute.balance, dispute.pk, actor=actor)


def _tell(dispute: Dispute, topic: str, reason: str) -> None:
    about = {"ticket": dispute.ticket, "program": dispute.program.name, "member": dispute.balance.user_id}
    more = {"balance": str(dispute.balance_id), "reason": reason}
    emit(topic, kind=Dispute._meta.db_table, id=dispute.pk, data={**about, **more})
