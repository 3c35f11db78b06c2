"""Points: earned, redeemed, taken back, adjusted. The ledger row is the record of an earn or a redemption."""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from loyalty import access, adjusting, ledger
from loyalty.errors import PointsInvalid
from loyalty.ledger import Movement, Posted
from loyalty.models import Balance, Transaction
from loyalty.reasons import said
from loyalty.states import EventType
from opsconsole.approvals.gate import Asked
from opsconsole.core.actors import Actor
from opsconsole.core.operations import one_statement, operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import record

ADJUST_ALONE: Final = adjusting.ADJUST_ALONE


@one_statement
def earn_points(
    *,
    program_id: UUID,
    user_id: str,
    points: int | None = None,
    spent: Decimal | None = None,
    origin_txn_id: str | None = None,
    key: str | None = None,
    ip_address: str | None = None,
    actor: Actor,
) -> Posted:
    """Give a member points for a purchase: so many, or what the program's rate and rules make of what was spent.

    Raises ProgramNotFound, Denied, PointsInvalid, and what `ledger.record_movement` does.
    """
    access.require_use(actor, program_id, "loyalty.earn_points")
    if (points is None) == (spent is None):
        raise PointsInvalid(
            _("An earn says either the points or what was spent."), errors={"points": [_("either this or spent")]}
        )
    if points is not None and points <= 0:
        raise PointsInvalid(_("This earns no points."), errors={"points": [_("must be more than 0")]})
    return ledger.record_movement(
        program_id,
        Movement(
            user_id=user_id,
            event=EventType.EARN,
            points=None if points is None else ledger.readable(points),
            spent=spent,
            origin_txn_id=origin_txn_id,
            key=key,
            ip_address=ip_address,
        ),
    )


@one_statement
def redeem_points(
    *,
    program_id: UUID,
    user_id: str,
    points: int,
    origin_txn_id: str | None = None,
    key: str | None = None,
    ip_address: str | None = None,
    actor: Actor,
) -> Posted:
    """Take points that a member spends; raises ProgramNotFound, Denied, PointsShort and what the ledger refuses."""
    access.require_use(actor, program_id, "loyalty.redeem_points")
    if points <= 0:
        raise PointsInvalid(_("This redeems no points."), errors={"points": [_("must be more than 0")]})
    return ledger.record_movement(
        program_id,
        Movement(
            user_id=user_id,
            event=EventType.REDEEM,
            points=-ledger.readable(points),
            origin_txn_id=origin_txn_id,
            key=key,
            ip_address=ip_address,
        ),
    )


@operation
def reverse_transaction(*, transaction_id: UUID, points: int | None = None, reason: str, actor: Actor) -> Transaction:
    """Take a transaction back, all of it or so many of its points; raises ReversalRefused for more than there was."""
    original = access.transaction_seen_by(actor, transaction_id)
    member = access.member_for(actor, original.balance_id, "loyalty.reverse_points")
    back = abs(original.amount) if points is None else points
    if back <= 0:
        raise PointsInvalid(_("This takes no points back."), errors={"points": [_("must be more than 0")]})
    amount = -back if original.amount > 0 else back
    record(
        actor,
        "points.reversed",
        member,
        after={"transaction": original.pk, "event": original.event_type, "amount": amount},
        reason=said(reason),
    )
    emit("points.reversed", kind=_TABLE, id=member.pk, data={"program": member.program.name, "amount": amount})
    made = ledger.insert_one(
        member.pk,
        event_type=EventType.REVERSE.value,
        amount=amount,
        reverses_id=original.pk,
        campaign_id=original.campaign_id,
        origin_txn_id=original.origin_txn_id,
        reason=said(reason),
    )
    return Transaction.objects.get(pk=made)


@operation
def adjust_points(
    *,
    balance_id: UUID,
    amount: int,
    reason: str,
    actor_id: str | None = None,
    actor_role: str | None = None,
    approval_id: UUID | None = None,
    actor: Actor,
) -> Transaction | Asked:
    """Correct a member's points by hand.

    More than ADJUST_ALONE points, or what adds up to more for one member in a day, takes marketing and finance: Asked,
    and nothing is done until whoever asked comes back with the approval. `actor_id` and `actor_role` must be true of
    the caller. Raises MemberNotFound, Denied, ActorMismatch, PointsShort, BudgetExhausted, and what `gate` refuses.
    """
    member = access.member_for(actor, balance_id, "loyalty.adjust_points")
    adjusting.require_named(actor, actor_id, actor_role)
    wanted, why = ledger.readable(amount), said(reason)
    facts = adjusting.agree(member, wanted, reason=why, approval_id=approval_id, actor=actor)
    if isinstance(facts, Asked):
        return facts
    return adjusting.post(member, facts, reason=why, actor=actor)


_TABLE: Final = Balance._meta.db_table
