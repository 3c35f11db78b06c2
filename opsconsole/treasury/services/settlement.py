"""Settlement: asking banks what became of sent payments and sweeps, and writing down what they say.

Three steps, and no transaction while a bank is talked to: `claim_due` takes what it is time to ask for and sets the
next time; the gateway asks; `conclude` ends what has ended (`treasury.endings`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.treasury import ledger
from opsconsole.treasury.gateways.base import Known
from opsconsole.treasury.settlement import endings
from opsconsole.treasury.states import GatewayKind
from opsconsole.treasury.sweeps.reservations import BACK

AT_ONCE: Final = 200
# The pause before asking again is as long as the payment has been out, within these.
SHORTEST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
# While a wake-up for a bank is on its way, no other is sent; it is lost at worst for this long.
WAKE_UP: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Due:
    """An instruction or a sweep to ask its bank about, by the key it was submitted under."""

    instruction_id: UUID
    key: str


@operation
def claim_wake_ups(*, actor: Actor) -> list[UUID]:
    """The `http` banks with something to be asked for, each at most once in WAKE_UP."""
    parameters: list[Any] = [WAKE_UP, GatewayKind.HTTP]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update treasury_banks set wake_at = now() + %s
            where gateway = %s and probing and wake_at <= now() and (exists (
              select from treasury_instructions i
              where i.bank_id = treasury_banks.id and i.status = 'sent' and i.next_poll_at <= now()
            ) or exists (
              select from treasury_sweeps w
              where w.bank_id = treasury_banks.id and w.status = 'sent' and w.next_poll_at <= now()
            ))
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
    """Take up to `most` sent instructions, and as many sweeps, of the bank whose time has come; set their next time.

    Who dies with them loses nothing: they are due again then. Instructions without a step were not submitted by a
    key, and are not asked for.
    """
    parameters: dict[str, Any] = {
        "bank": bank_id,
        "most": most,
        "back": BACK,
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
            ), due_sweeps as (
              select id from treasury_sweeps
              where bank_id = %(bank)s and status = 'sent' and next_poll_at <= now() and step_id is not null
              order by next_poll_at limit %(most)s for no key update skip locked
            ), taken_sweeps as (
              update treasury_sweeps w
              set next_poll_at = now() + least(%(longest)s, greatest(%(shortest)s, now() - w.sent_at))
              from due_sweeps where w.id = due_sweeps.id returning w.id, w.step_id, w.undoes_id
            )
            select taken.id, step.key from taken join ops_plan_steps step on step.id = taken.step_id
            union all
            select taken.id, step.key || case when taken.undoes_id is null then '' else %(back)s end
            from taken_sweeps taken join ops_plan_steps step on step.id = taken.step_id
            """,
            parameters,
        )
        return [Due(*row) for row in cursor.fetchall()]


@operation
def conclude(*, bank_id: UUID, answers: Sequence[tuple[UUID, Known]], actor: Actor) -> dict[str, int]:
    """End every instruction and sweep that the bank says has ended; how many, by the verb of their journal entry."""
    ended = endings.end(dict(answers), bank_id=bank_id, actor=actor)
    ledger.book(ended.movements)
    return ended.counts
