"""How payments end: what a bank says of what was sent, written to payouts, sweeps and the ledger.

The one way in which anything settles, fails, comes back or is taken back, whether a bank was asked or sent a file.
Joins the caller's operation; the movements that `end` returns are to be booked last. What somebody has moved
meanwhile is left alone, so two who say the same end each payment once.

Locks are taken in the order instruction and payout, sweep, account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.operations import assert_in_operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import Subject, record
from opsconsole.plans.models import Plan
from opsconsole.plans.states import PlanState
from opsconsole.treasury.gateways.base import Known, PaymentState
from opsconsole.treasury.ledger import Movement
from opsconsole.treasury.models import Account
from opsconsole.treasury.states import AccountKind, InstructionState, PayoutState, SweepState, TransferKind
from opsconsole.treasury.sweeps.calls import is_final

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class End:
    """How a payment ends: what becomes of its instruction or sweep, of its payout, and where the money goes."""

    row: str
    payout: str
    transfer: TransferKind
    word: str


_SETTLED: Final = End(InstructionState.SETTLED, PayoutState.SETTLED, TransferKind.SETTLED, "settled")
_SWEPT: Final = End(SweepState.SETTLED, "", TransferKind.SWEPT, "settled")
_ENDS: Final[dict[PaymentState, End]] = {
    PaymentState.RETURNED: End(InstructionState.RETURNED, PayoutState.RETURNED, TransferKind.RETURNED, "returned"),
    PaymentState.REJECTED: End(InstructionState.FAILED, PayoutState.FAILED, TransferKind.FAILED, "failed"),
    PaymentState.RECALLED: End(InstructionState.RECALLED, PayoutState.PAYABLE, TransferKind.RECALLED, "recalled"),
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A locked payment that is still out, or settled and may yet come back, with what is needed to end it."""

    id: UUID
    subject_id: UUID  # the payout; of a sweep itself
    external_id: str
    plan_id: UUID
    plan_status: str
    step_id: UUID
    attempt: int
    bank_id: UUID
    account_id: UUID
    target_id: UUID | None  # of a sweep: the account of ours that it goes to
    target_bank_id: UUID | None
    end_to_end_id: str
    amount: Decimal
    currency: str
    status: str
    known: Known

    @property
    def end(self) -> End | None:
        """How it ends by what is known; None where that is no end of it."""
        state = self.known.state
        if self.target_id is not None and is_final(state, internal=self.bank_id == self.target_bank_id):
            found: End | None = _SWEPT
        elif state == PaymentState.SETTLED:
            found = _SETTLED
        else:
            found = _ENDS.get(state)
        if self.status == InstructionState.SETTLED and (found is None or found.row != InstructionState.RETURNED):
            return None  # a bank may give back what it had settled; nothing else follows
        return found


@dataclass(frozen=True, slots=True)
class Ended:
    """What was ended, by the verb of its journal entry; which rows; and the movements to be booked, last of all."""

    counts: dict[str, int]
    words: dict[UUID, str]
    movements: list[Movement]


def end(answers: Mapping[UUID, Known], *, bank_id: UUID | None, actor: Actor) -> Ended:
    """End every instruction and sweep that the bank says has ended.

    Left as they are: payments still on their way, what has ended before, those for which the bank names another
    amount than was sent (logged: that is for a person), and recalls of a plan that is rolling back, which its run
    concludes itself.
    """
    assert_in_operation()
    ended = [sent for sent in (*_lock_payouts(bank_id, answers), *_lock_sweeps(bank_id, answers)) if _is_ours(sent)]
    payouts = [sent for sent in ended if sent.target_id is None]
    sweeps = [sent for sent in ended if sent.target_id is not None]
    _move_payouts(payouts)
    _move_sweeps(sweeps)
    counts = _journal("payouts", payouts, actor=actor) | _journal("sweeps", sweeps, actor=actor)
    _announce(payouts, "payout")
    _announce(sweeps, "sweep")
    return Ended(counts, {sent.id: _end_of(sent).word for sent in ended}, _movements(ended))


def _lock_payouts(bank_id: UUID | None, answers: Mapping[UUID, Known]) -> list[Sent]:
    return _lock(
        """
        select i.id, p.id, p.external_id, i.plan_id, plan.status, i.step_id, step.attempt, i.bank_id, i.account_id,
          null::uuid, null::uuid, i.end_to_end_id, i.amount, i.currency, i.status
        from treasury_instructions i
        join treasury_payouts p on p.id = i.payout_id and p.status = i.status
        join ops_plans plan on plan.id = i.plan_id
        join ops_plan_steps step on step.id = i.step_id
        where (%(bank)s::uuid is null or i.bank_id = %(bank)s) and i.id = any(%(ids)s)
          and i.status in ('sent', 'settled')
        order by i.id for no key update of i, p
        """,
        bank_id,
        answers,
    )


def _lock_sweeps(bank_id: UUID | None, answers: Mapping[UUID, Known]) -> list[Sent]:
    return _lock(
        """
        select w.id, w.id, plan.external_id, w.plan_id, plan.status, w.step_id, step.attempt, w.bank_id, w.account_id,
          w.target_id, t.bank_id, w.end_to_end_id, w.amount, w.currency, w.status
        from treasury_sweeps w
        join treasury_accounts t on t.id = w.target_id
        join ops_plans plan on plan.id = w.plan_id
        join ops_plan_steps step on step.id = w.step_id
        where (%(bank)s::uuid is null or w.bank_id = %(bank)s) and w.id = any(%(ids)s)
          and w.status in ('sent', 'settled')
        order by w.id for no key update of w
        """,
        bank_id,
        answers,
    )


def _lock(query: str, bank_id: UUID | None, answers: Mapping[UUID, Known]) -> list[Sent]:
    if not answers:
        return []
    with connection.cursor() as cursor:
        cursor.execute(query, {"bank": bank_id, "ids": list(answers)})
        return [Sent(*(*row, answers[row[0]])) for row in cursor.fetchall()]


def _is_ours(sent: Sent) -> bool:
    known = sent.known
    if sent.end is None:
        return False
    same_money = known.amount in (None, sent.amount) and known.currency in (None, sent.currency)
    if not same_money:
        log.error(
            "settlement.amount_differs",
            end_to_end_id=sent.end_to_end_id,
            ours=f"{sent.amount} {sent.currency}",
            bank=f"{known.amount} {known.currency}",
        )
    rolling_back = known.state == PaymentState.RECALLED and sent.plan_status == PlanState.ROLLING_BACK
    return same_money and not rolling_back


def _end_of(sent: Sent) -> End:
    found = sent.end
    assert found is not None
    return found


def _move_payouts(ended: Sequence[Sent]) -> None:
    if not ended:
        return
    columns: list[Any] = [
        [sent.id for sent in ended],
        [sent.subject_id for sent in ended],
        [str(_end_of(sent).row) for sent in ended],
        [str(_end_of(sent).payout) for sent in ended],
        [sent.known.reason for sent in ended],
    ]
    # Both tables at once; every row of either is locked since _lock.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with ended as materialized (
              select * from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[])
                as ended (id, payout_id, instruction, payout, reason)
            ), instructions as (
              update treasury_instructions i
              set status = ended.instruction, reason = ended.reason, next_poll_at = null,
                settled_at = case when ended.instruction = 'settled' then now() else i.settled_at end
              from ended where i.id = ended.id
            )
            update treasury_payouts p
            set status = ended.payout, plan_id = case when ended.payout = 'payable' then null else p.plan_id end
            from ended where p.id = ended.payout_id
            """,
            columns,
        )


def _move_sweeps(ended: Sequence[Sent]) -> None:
    if not ended:
        return
    columns: list[Any] = [
        [sent.id for sent in ended],
        [str(_end_of(sent).row) for sent in ended],
        [sent.known.reason for sent in ended],
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update treasury_sweeps w set status = ended.status, reason = ended.reason, next_poll_at = null,
              settled_at = case when ended.status = 'settled' then now() else w.settled_at end
            from unnest(%s::uuid[], %s::text[], %s::text[]) as ended (id, status, reason) where w.id = ended.id
            """,
            columns,
        )


def _journal(what: str, ended: Sequence[Sent], *, actor: Actor) -> dict[str, int]:
    """One entry for each plan and kind of end; those that did not settle are named in it."""
    groups: dict[tuple[UUID, str], list[Sent]] = {}
    for sent in ended:
        groups.setdefault((sent.plan_id, _end_of(sent).word), []).append(sent)
    counts: dict[str, int] = {}
    for (plan_id, word), group in sorted(groups.items()):
        verb = f"{what}.{word}"
        counts[verb] = counts.get(verb, 0) + len(group)
        after: dict[str, object] = {
            "bank": group[0].bank_id,
            "count": len(group),
            "sum": {group[0].currency: sum((sent.amount for sent in group), Decimal(0))},
        }
        if word != "settled":
            after[what] = [_named(sent) for sent in group]
        record(actor, verb, Subject(Plan._meta.db_table, str(plan_id)), after=after)
    return counts


def _named(sent: Sent) -> dict[str, object]:
    if sent.target_id is not None:
        return {"sweep": sent.id, "end_to_end_id": sent.end_to_end_id, "reason": sent.known.reason}
    return {"payout": sent.subject_id, "external_id": sent.external_id, "reason": sent.known.reason}


def _announce(ended: Sequence[Sent], kind: str) -> None:
    for sent in ended:
        if _end_of(sent).word in ("returned", "failed"):
            emit(
                f"{kind}.{_end_of(sent).word}",
                kind=kind,
                id=sent.subject_id,
                data={"external_id": sent.external_id, "plan": str(sent.plan_id), "reason": sent.known.reason},
            )


def _movements(ended: Sequence[Sent]) -> list[Movement]:
    """From in transit to where it was going when it arrived; back to where it came from when it did not."""
    own = {
        (account.bank_id, account.currency, account.kind): account.pk
        for account in Account.objects.filter(
            bank__in={sent.bank_id for sent in ended}, kind__in=(AccountKind.IN_TRANSIT, AccountKind.PAID_OUT)
        )
    }
    return [_movement(sent, _end_of(sent), own) for sent in ended]


def _movement(sent: Sent, how: End, own: dict[tuple[UUID, str, str], UUID]) -> Movement:
    in_transit = own[sent.bank_id, sent.currency, AccountKind.IN_TRANSIT]
    there = sent.target_id or own[sent.bank_id, sent.currency, AccountKind.PAID_OUT]
    arrives = how.word == "settled"
    return Movement(
        kind=how.transfer,
        reference=f"{how.transfer.value}:{sent.end_to_end_id}:{sent.attempt}",
        source=there if sent.status == InstructionState.SETTLED else in_transit,
        target=there if arrives else sent.account_id,
        amount=sent.amount,
        currency=sent.currency,
        plan_id=sent.plan_id,
        step_id=sent.step_id,
    )
