"""Settlement: asking banks what became of sent payments, and writing down what they say.

Three steps, and no transaction while a bank is talked to: `claim_due` takes instructions whose time to be asked for
has come and sets the next time; the gateway asks; `conclude` moves instructions and payouts, journals, and books. An
instruction that somebody else has moved meanwhile is left alone, so two pollers conclude each payment once.

Locks are taken in the order instruction, payout, account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import Subject, record
from opsconsole.plans.models import Plan
from opsconsole.plans.states import PlanState
from opsconsole.treasury import ledger
from opsconsole.treasury.gateways.base import Known, PaymentState
from opsconsole.treasury.models import Account
from opsconsole.treasury.states import (
    AccountKind,
    GatewayKind,
    InstructionState,
    PayoutState,
    TransferKind,
)

log = structlog.get_logger(__name__)

AT_ONCE: Final = 200
# The pause before asking again is as long as the payment has been out, within these.
SHORTEST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
# While a wake-up for a bank is on its way, no other is sent; it is lost at worst for this long.
WAKE_UP: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Due:
    """An instruction to ask its bank about, by the key it was submitted under."""

    instruction_id: UUID
    key: str


@dataclass(frozen=True, slots=True)
class End:
    """How an instruction ends: what becomes of it and of its payout, and where the money goes."""

    instruction: InstructionState
    payout: PayoutState
    transfer: TransferKind
    verb: str


ENDS: Final[dict[PaymentState, End]] = {
    PaymentState.SETTLED: End(InstructionState.SETTLED, PayoutState.SETTLED, TransferKind.SETTLED, "payouts.settled"),
    PaymentState.RETURNED: End(
        InstructionState.RETURNED, PayoutState.RETURNED, TransferKind.RETURNED, "payouts.returned"
    ),
    PaymentState.REJECTED: End(InstructionState.FAILED, PayoutState.FAILED, TransferKind.FAILED, "payouts.failed"),
    PaymentState.RECALLED: End(
        InstructionState.RECALLED, PayoutState.PAYABLE, TransferKind.RECALLED, "payouts.recalled"
    ),
}


@dataclass(frozen=True, slots=True)
class _Sent:
    """A locked instruction that is still out, with what is needed to end it."""

    id: UUID
    payout_id: UUID
    external_id: str
    plan_id: UUID
    plan_status: str
    step_id: UUID
    attempt: int
    bank_id: UUID
    account_id: UUID
    end_to_end_id: str
    amount: Decimal
    currency: str
    known: Known

    @property
    def end(self) -> End:
        return ENDS[self.known.state]


@operation
def claim_wake_ups(*, actor: Actor) -> list[UUID]:
    """The `http` banks with something to be asked for, each at most once in WAKE_UP."""
    parameters: list[Any] = [WAKE_UP, GatewayKind.HTTP]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update treasury_banks set wake_at = now() + %s
            where gateway = %s and probing and wake_at <= now() and exists (
              select from treasury_instructions i
              where i.bank_id = treasury_banks.id and i.status = 'sent' and i.next_poll_at <= now()
            )
            returning id
            """,
            parameters,
        )
        return [row[0] for row in cursor.fetchall()]


@operation
def allow_wake_up(*, bank_id: UUID, actor: Actor) -> None:
    """Say that the worker which was woken is done: the next one may be woken at once."""
    with connection.cursor() as cursor:
        cursor.execute("update treasury_banks set wake_at = now() where id = %s", [bank_id])


@operation
def claim_due(*, bank_id: UUID, actor: Actor, most: int = AT_ONCE) -> list[Due]:  # noqa: ARG001
    """Take up to `most` sent instructions of the bank whose time has come, and set their next time.

    Who dies with them loses nothing: they are due again then. Instructions without a step were not submitted by a
    key, and are not asked for.
    """
    parameters: dict[str, Any] = {
        "bank": bank_id,
        "most": most,
        "longest": LONGEST_PAUSE,
        "shortest": SHORTEST_PAUSE,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with due as (
              select id from treasury_instructions
              where bank_id = %(bank)s and status = 'sent' and next_poll_at <= now() and step_id is not null
              order by next_poll_at limit %(most)s for no key update skip locked
            ), taken as (
              update treasury_instructions i
              set next_poll_at = now() + least(%(longest)s, greatest(%(shortest)s, now() - i.sent_at))
              from due where i.id = due.id returning i.id, i.step_id
            )
            select taken.id, step.key from taken join ops_plan_steps step on step.id = taken.step_id
            """,
            parameters,
        )
        return [Due(*row) for row in cursor.fetchall()]


@operation
def conclude(*, bank_id: UUID, answers: Sequence[tuple[UUID, Known]], actor: Actor) -> dict[str, int]:
    """End every instruction that the bank says has ended; how many, by the verb of their journal entry.

    Left as they are: payments still on their way, instructions that are no longer `sent`, those for which the bank
    names another amount than was sent (logged: that is for a person), and recalls of a plan that is rolling back,
    which its run concludes itself.
    """
    ended = [sent for sent in _lock(bank_id, answers) if _is_ours_to_end(sent)]
    if not ended:
        return {}
    _move(ended)
    counts = _journal(ended, actor=actor)
    _announce(ended)
    ledger.book(_movements(ended))
    return counts


def _lock(bank_id: UUID, answers: Sequence[tuple[UUID, Known]]) -> list[_Sent]:
    known = {instruction_id: answer for instruction_id, answer in answers if answer.state in ENDS}
    if not known:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select i.id, p.id, p.external_id, i.plan_id, plan.status, i.step_id, step.attempt, i.bank_id, i.account_id,
              i.end_to_end_id, i.amount, i.currency
            from treasury_instructions i
            join treasury_payouts p on p.id = i.payout_id and p.status = 'sent'
            join ops_plans plan on plan.id = i.plan_id
            join ops_plan_steps step on step.id = i.step_id
            where i.bank_id = %s and i.id = any(%s) and i.status = 'sent'
            order by i.id for no key update of i, p
            """,
            [bank_id, list(known)],
        )
        rows: list[tuple[Any, ...]] = [(*row, known[row[0]]) for row in cursor.fetchall()]
    return [_Sent(*row) for row in rows]


def _is_ours_to_end(sent: _Sent) -> bool:
    known = sent.known
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


def _move(ended: Sequence[_Sent]) -> None:
    columns: list[Any] = [
        [sent.id for sent in ended],
        [sent.payout_id for sent in ended],
        [str(sent.end.instruction) for sent in ended],
        [str(sent.end.payout) for sent in ended],
        [sent.known.reason for sent in ended],
    ]
    # Both tables at once; every row of either is locked, and `sent`, since _lock.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with ended as materialized (
              select * from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[])
                as ended (id, payout_id, instruction, payout, reason)
            ), instructions as (
              update treasury_instructions i
              set status = ended.instruction, reason = ended.reason, next_poll_at = null,
                settled_at = case when ended.instruction = 'settled' then now() end
              from ended where i.id = ended.id
            )
            update treasury_payouts p
            set status = ended.payout, plan_id = case when ended.payout = 'payable' then null else p.plan_id end
            from ended where p.id = ended.payout_id
            """,
            columns,
        )


def _journal(ended: Sequence[_Sent], *, actor: Actor) -> dict[str, int]:
    """One entry for each plan and kind of end; those that did not settle are named in it."""
    groups: dict[tuple[UUID, str], list[_Sent]] = {}
    for sent in ended:
        groups.setdefault((sent.plan_id, sent.end.verb), []).append(sent)
    counts: dict[str, int] = {}
    for (plan_id, verb), group in sorted(groups.items()):
        counts[verb] = counts.get(verb, 0) + len(group)
        after: dict[str, object] = {
            "bank": group[0].bank_id,
            "count": len(group),
            "sum": {group[0].currency: sum((sent.amount for sent in group), Decimal(0))},
        }
        if verb != "payouts.settled":
            after["payouts"] = [
                {"payout": sent.payout_id, "external_id": sent.external_id, "reason": sent.known.reason}
                for sent in group
            ]
        record(actor, verb, Subject(Plan._meta.db_table, str(plan_id)), after=after)
    return counts


def _announce(ended: Sequence[_Sent]) -> None:
    for sent in ended:
        if sent.end.payout in (PayoutState.RETURNED, PayoutState.FAILED):
            emit(
                f"payout.{sent.end.payout.value}",
                kind="payout",
                id=sent.payout_id,
                data={"external_id": sent.external_id, "plan": str(sent.plan_id), "reason": sent.known.reason},
            )


def _movements(ended: Sequence[_Sent]) -> list[ledger.Movement]:
    """From in transit to paid out when it arrived; back to where it came from when it did not."""
    own = {
        (account.bank_id, account.currency, account.kind): account.pk
        for account in Account.objects.filter(
            bank__in={sent.bank_id for sent in ended}, kind__in=(AccountKind.IN_TRANSIT, AccountKind.PAID_OUT)
        )
    }
    return [
        ledger.Movement(
            kind=sent.end.transfer,
            reference=f"{sent.end.transfer.value}:{sent.end_to_end_id}:{sent.attempt}",
            source=own[sent.bank_id, sent.currency, AccountKind.IN_TRANSIT],
            target=own[sent.bank_id, sent.currency, AccountKind.PAID_OUT]
            if sent.end.transfer == TransferKind.SETTLED
            else sent.account_id,
            amount=sent.amount,
            currency=sent.currency,
            plan_id=sent.plan_id,
            step_id=sent.step_id,
        )
        for sent in ended
    ]
