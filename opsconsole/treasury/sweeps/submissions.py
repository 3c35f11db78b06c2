"""What goes out of a sweep plan and what became of it: each transfer follows its step, and the ledger follows it.

Money leaves the settlement account for the bank's account in transit before the call, and comes back when the bank
did nothing, refused, or gave it back; it reaches the target's settlement account when the bank has executed it. A
way back is a transfer of its own, from the target to the source. In the caller's operation, the ledger last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from opsconsole.core.operations import assert_in_operation
from opsconsole.treasury import ledger
from opsconsole.treasury.closing import closures
from opsconsole.treasury.ledger import Movement
from opsconsole.treasury.payouts.submissions import FIRST_POLL
from opsconsole.treasury.states import SweepState, TransferKind


@dataclass(slots=True)
class Turn:
    """The steps of one turn of the engine, by what is to be written about their transfers."""

    starting: list[UUID] = field(default_factory=list)
    accepted: dict[UUID, str] = field(default_factory=dict)  # step -> the bank's reference
    refused: dict[UUID, str] = field(default_factory=dict)  # step -> why
    not_sent: dict[UUID, int] = field(default_factory=dict)  # step -> the attempt that did not happen
    recalled: list[UUID] = field(default_factory=list)  # steps that are undone by a recall
    executed: list[UUID] = field(default_factory=list)  # steps of which the bank says that it is too late for that
    came_back: dict[UUID, str] = field(default_factory=dict)  # steps whose money the bank gave back by itself -> why


def write(turn: Turn) -> None:
    """Move the transfers of these steps, then book everything in one statement of the ledger."""
    assert_in_operation()
    movements: list[Movement] = []
    if turn.accepted:
        _accepted(turn.accepted)
    movements += _back(turn.refused, SweepState.FAILED, TransferKind.FAILED, was=SweepState.SENDING)
    movements += _not_sent(turn.not_sent)
    movements += _back(
        dict.fromkeys(turn.recalled, ""), SweepState.RECALLED, TransferKind.RECALLED, was=SweepState.SENT
    )
    movements += _back(turn.came_back, SweepState.RETURNED, TransferKind.RETURNED, was=SweepState.SENT)
    movements += _executed(turn.executed)
    if turn.starting:
        _open_ways_back(turn.starting)
        movements += _starting(turn.starting)
    ledger.book(movements)


def _open_ways_back(steps: list[UUID]) -> None:
    """A transfer back for each of these steps that undoes one which the bank has executed, unless there is one."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into treasury_sweeps
              (plan_id, step_id, step_seq, undoes_id, bank_id, account_id, target_id, amount, currency)
            select w.plan_id, s.id, s.seq, w.id, t.bank_id, w.target_id, w.account_id, w.amount, w.currency
            from ops_plan_steps s
              join treasury_sweeps w on w.step_id = s.undoes_id and w.status = 'settled'
              join treasury_accounts t on t.id = w.target_id
            where s.id = any(%s) and not exists (select from treasury_sweeps b where b.undoes_id = w.id)
            """,
            [steps],
        )


def _starting(steps: list[UUID]) -> list[Movement]:
    with closures.refusals_in_words():  # a trigger looks whether each door is open, and keeps it so until the commit
        rows = _moved(dict.fromkeys(steps, ""), SweepState.SENDING, was=SweepState.PLANNED)
    return [row.movement(TransferKind.SENT, row.account, row.in_transit) for row in rows]


def _accepted(references: dict[UUID, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update treasury_sweeps w set status = 'sent', bank_reference = g.reference, sent_at = now(),
              next_poll_at = case when b.gateway = 'http' and b.probing then now() + make_interval(secs => %s) end
            from unnest(%s::uuid[], %s::text[]) as g (step, reference), treasury_banks b
            where w.step_id = g.step and w.status = 'sending' and b.id = w.bank_id
            """,
            [FIRST_POLL.total_seconds(), list(references), list(references.values())],
        )


def _not_sent(attempts: dict[UUID, int]) -> list[Movement]:
    """Of the attempt that is meant: the step may be at its next one already, marked in the same commit."""
    rows = _moved(dict.fromkeys(attempts, ""), SweepState.PLANNED, was=SweepState.SENDING)
    return [
        row.movement(TransferKind.NOT_SENT, row.in_transit, row.account, attempt=attempts[row.step_id]) for row in rows
    ]


def _executed(steps: list[UUID]) -> list[Movement]:
    rows = _moved(dict.fromkeys(steps, ""), SweepState.SETTLED, was=SweepState.SENT)
    return [row.movement(TransferKind.SWEPT, row.in_transit, row.target) for row in rows]


def _back(reasons: dict[UUID, str], state: SweepState, kind: TransferKind, *, was: SweepState) -> list[Movement]:
    rows = _moved(reasons, state, was=was)
    return [row.movement(kind, row.in_transit, row.account) for row in rows]


@dataclass(frozen=True, slots=True)
class _Moved:
    """A transfer that has moved, and the accounts its money goes between."""

    end_to_end_id: str
    attempt: int
    account: UUID
    in_transit: UUID
    target: UUID
    currency: str
    amount: Decimal
    plan_id: UUID
    step_id: UUID

    def movement(self, kind: TransferKind, source: UUID, target: UUID, *, attempt: int | None = None) -> Movement:
        return Movement(
            kind=kind,
            reference=f"{kind.value}:{self.end_to_end_id}:{attempt or self.attempt}",
            source=source,
            target=target,
            amount=self.amount,
            currency=self.currency,
            plan_id=self.plan_id,
            step_id=self.step_id,
        )


def _moved(reasons: dict[UUID, str], state: SweepState, *, was: SweepState) -> list[_Moved]:
    if not reasons:
        return []
    parameters: dict[str, Any] = {
        "state": state,
        "was": was,
        "steps": list(reasons),
        "reasons": list(reasons.values()),
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with gone as (
              update treasury_sweeps w set status = %(state)s, reason = g.reason, next_poll_at = null,
                settled_at = case when %(state)s = 'settled' then now() end
              from unnest(%(steps)s::uuid[], %(reasons)s::text[]) as g (step, reason)
              where w.step_id = g.step and w.status = %(was)s returning w.*)
            select g.end_to_end_id, s.attempt, g.account_id, i.id, g.target_id, g.currency, g.amount, g.plan_id,
              g.step_id
            from gone g join ops_plan_steps s on s.id = g.step_id
              join treasury_accounts i on i.bank_id = g.bank_id and i.currency = g.currency and i.kind = 'in_transit'
            """,
            parameters,
        )
        return [_Moved(*row) for row in cursor.fetchall()]
