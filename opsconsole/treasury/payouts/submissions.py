"""What goes out of a plan and what became of it: instructions and payouts follow their steps, and the ledger follows
them. Set-based, in the caller's operation, the ledger last.

Money leaves the settlement account for the account in transit before the call, so an account can never promise more
than it holds; it comes back when the bank did nothing, refused, or gave the payment back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from opsconsole.core.operations import assert_in_operation
from opsconsole.treasury import ledger
from opsconsole.treasury.closing import closures
from opsconsole.treasury.ledger import Movement
from opsconsole.treasury.states import TransferKind

FIRST_POLL = timedelta(seconds=5)


@dataclass(slots=True)
class Turn:
    """The instructions of one turn of the engine, by what is to be written about their steps."""

    starting: list[UUID] = field(default_factory=list)
    accepted: dict[UUID, str] = field(default_factory=dict)  # step -> the bank's reference
    refused: dict[UUID, str] = field(default_factory=dict)  # step -> why
    not_sent: dict[UUID, int] = field(default_factory=dict)  # step -> the attempt that did not happen
    recalled: list[UUID] = field(default_factory=list)
    too_late: dict[UUID, str] = field(default_factory=dict)  # step -> why


def write(turn: Turn) -> None:
    """Move the instructions and payouts of these steps, then book everything in one statement of the ledger."""
    assert_in_operation()
    movements: list[Movement] = []
    if turn.accepted:
        _accepted(turn.accepted)
    if turn.refused:
        movements += _refused(turn.refused)
    if turn.not_sent:
        movements += _not_sent(turn.not_sent)
    if turn.recalled:
        movements += _recalled(turn.recalled)
    if turn.too_late:
        _too_late(turn.too_late)
    if turn.starting:
        movements += _starting(turn.starting)
    ledger.book(movements)


def _starting(steps: list[UUID]) -> list[Movement]:
    with closures.refusals_in_words():  # a trigger looks whether each door is open, and keeps it so until the commit
        rows = _moved(
            """
            with gone as (
              update treasury_instructions i set status = 'sending' where i.step_id = any(%(steps)s)
                and i.status = 'planned' returning i.*),
            moved as (
              update treasury_payouts p set status = 'sending' from gone
              where p.id = gone.payout_id and p.status = 'reserved' returning p.id)
            """,
            {"steps": steps},
        )
    return [
        Movement(
            kind=TransferKind.SENT,
            reference=f"sent:{row.end_to_end_id}:{row.attempt}",
            source=row.account,
            target=row.in_transit,
            amount=row.amount,
            currency=row.currency,
            plan_id=row.plan_id,
            step_id=row.step_id,
        )
        for row in rows
    ]


def _accepted(references: dict[UUID, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with sent as (
              update treasury_instructions i set status = 'sent', bank_reference = a.reference, sent_at = now(),
                next_poll_at = case when b.gateway = 'http' and b.probing then now() + make_interval(secs => %s) end
              from unnest(%s::uuid[], %s::text[]) as a (step, reference), treasury_banks b
              where i.step_id = a.step and i.status = 'sending' and b.id = i.bank_id returning i.payout_id)
            update treasury_payouts p set status = 'sent' from sent
            where p.id = sent.payout_id and p.status = 'sending'
            """,
            [FIRST_POLL.total_seconds(), list(references), list(references.values())],
        )


def _refused(reasons: dict[UUID, str]) -> list[Movement]:
    return _back(reasons, TransferKind.FAILED, was="sending", instruction="failed", payout="failed")


def _not_sent(attempts: dict[UUID, int]) -> list[Movement]:
    return _back(
        dict.fromkeys(attempts, ""),
        TransferKind.NOT_SENT,
        was="sending",
        instruction="planned",
        payout="reserved",
        attempts=attempts,
    )


def _recalled(steps: list[UUID]) -> list[Movement]:
    return _back(dict.fromkeys(steps, ""), TransferKind.RECALLED, was="sent", instruction="recalled", payout="payable")


def _back(
    reasons: dict[UUID, str],
    kind: TransferKind,
    *,
    was: str,
    instruction: str,
    payout: str,
    attempts: dict[UUID, int] | None = None,
) -> list[Movement]:
    """The payments of these steps come back, and their money with them to the account it left.

    `attempts` says which attempt is meant where the step may be at its next one already, marked in the same commit.
    """
    of_attempt = attempts or {}
    rows = _moved(
        """
        with gone as (
          update treasury_instructions i set status = %(instruction)s, reason = a.reason, next_poll_at = null
          from unnest(%(steps)s::uuid[], %(reasons)s::text[]) as a (step, reason)
          where i.step_id = a.step and i.status = %(was)s returning i.*),
        moved as (
          update treasury_payouts p set status = %(payout)s,
            plan_id = case when %(payout)s = 'payable' then null else p.plan_id end
          from gone where p.id = gone.payout_id and p.status = %(was)s returning p.id)
        """,
        {
            "instruction": instruction,
            "payout": payout,
            "was": was,
            "steps": list(reasons),
            "reasons": list(reasons.values()),
        },
    )
    return [
        Movement(
            kind=kind,
            reference=f"{kind.value}:{row.end_to_end_id}:{of_attempt.get(row.step_id, row.attempt)}",
            source=row.in_transit,
            target=row.account,
            amount=row.amount,
            currency=row.currency,
            plan_id=row.plan_id,
            step_id=row.step_id,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class _Moved:
    """An instruction that has moved together with its payout, and the two accounts its money goes between."""

    end_to_end_id: str
    attempt: int
    account: UUID
    in_transit: UUID
    currency: str
    amount: Decimal
    plan_id: UUID
    step_id: UUID


def _moved(moves: str, parameters: dict[str, Any]) -> list[_Moved]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            {moves}
            select g.end_to_end_id, s.attempt, g.account_id, t.id, g.currency, g.amount, g.plan_id, g.step_id
            from gone g join moved m on m.id = g.payout_id join ops_plan_steps s on s.id = g.step_id
              join treasury_accounts t
                on t.bank_id = g.bank_id and t.currency = g.currency and t.kind = 'in_transit'
            """,
            parameters,
        )
        return [_Moved(*row) for row in cursor.fetchall()]


def _too_late(reasons: dict[UUID, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update treasury_instructions i set reason = a.reason
            from unnest(%s::uuid[], %s::text[]) as a (step, reason) where i.step_id = a.step
            """,
            [list(reasons), list(reasons.values())],
        )
