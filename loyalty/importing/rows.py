"""Purchases staged and written into the ledger: a handful of statements for any number of lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import connection

from loyalty.ledger import refusals
from opsconsole.core.operations import assert_in_operation

DIFFERS: Final = "differs"
FROZEN: Final = "frozen"

_STAGE: Final = """
    create temporary table if not exists loyalty_incoming (
      line bigint, key text, customer text, at timestamptz, paid numeric, points bigint, balance_id uuid, state text
    ) on commit delete rows
"""

# The same line again is known by its key; what else is under that key is refused.
_KNOW: Final = """
    update loyalty_incoming i
    set state = case when b.user_id = i.customer and t.purchase = i.paid and t.created_at = i.at
                  and t.event_type = 'earn' then 'known' else 'differs' end
    from loyalty_keys k join loyalty_transactions t on t.id = k.transaction_id
      join loyalty_balances b on b.id = t.balance_id
    where k.program_id = %(program)s and k.key = i.key
"""

# In order of the customers, so that two imports that enrol the same people wait in line instead of in a circle.
_ENROL: Final = """
    insert into loyalty_balances (program_id, user_id, joined_at)
    select %(program)s, customer, min(at) from loyalty_incoming where state is null group by customer order by customer
    on conflict (program_id, user_id) do nothing
"""

# Member by member, each by the index: of a program that is new the planner believes that it has nobody, and would look
# through all lines for each of its members.
_FIND: Final = """
    update loyalty_incoming i set balance_id = (
      select b.id from loyalty_balances b where b.program_id = %(program)s and b.user_id = i.customer)
    where i.state is null
"""

# Locked by id, as everybody does it, before anything is decided by what a member is: nobody is frozen meanwhile.
_HOLD: Final = """
    with held as materialized (
      select b.id, b.is_frozen from loyalty_balances b
      where b.id = any(array(select distinct balance_id from loyalty_incoming where state is null))
      order by b.id for no key update of b
    )
    update loyalty_incoming i
    set state = case when i.balance_id in (select held.id from held where held.is_frozen) then 'frozen' end
    where i.state is null
"""

_JOINED: Final = """
    update loyalty_balances b set joined_at = first.at
    from (select balance_id, min(at) as at from loyalty_incoming where state is null group by balance_id) first
    where b.id = first.balance_id and b.joined_at > first.at
"""

_COUNT: Final = """
    select count(*) filter (where state is null), count(*) filter (where state = 'known'),
      coalesce(sum(points) filter (where state is null), 0)::bigint,
      coalesce(sum(paid) filter (where state is null), 0)
    from loyalty_incoming
"""

_REFUSED: Final = "select line, state from loyalty_incoming where state in ('differs', 'frozen') order by line"

_POST: Final = """
    insert into loyalty_transactions (balance_id, event_type, amount, purchase, origin_txn_id, idempotency_key,
      created_at)
    select balance_id, 'earn', points, paid, key, key, at from loyalty_incoming where state is null order by line
"""


@dataclass(frozen=True, slots=True)
class Sorted:
    """What is staged, held against what is there: how much is new, and the lines that cannot be loaded."""

    new: int
    known: int
    points: int
    paid: Decimal
    refused: tuple[tuple[int, str], ...]


Staged = tuple[int, str, str, datetime, Decimal, int]  # line, key, customer, at, paid, points


def begin(program_id: UUID, source: str) -> None:
    """Keep everybody else from importing this source into this program, and have a place to stage lines."""
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_advisory_xact_lock(hashtextextended(concat_ws(chr(31), 'loyalty.import', %s::text, %s), 0))",
            [str(program_id), source],
        )
        cursor.execute(_STAGE)
        cursor.execute("truncate loyalty_incoming")


def stage(lines: Iterable[Staged]) -> None:
    """Put lines beside the tables; they are gone when the transaction ends."""
    assert_in_operation()
    copying = "copy loyalty_incoming (line, key, customer, at, paid, points) from stdin"
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        for line in lines:
            copy.write_row(line)


def sort(program_id: UUID) -> Sorted:
    """Hold what is staged against the ledger, enrol who is new, and lock everybody concerned."""
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute("analyze loyalty_incoming")
        for statement in (_KNOW, _ENROL, _FIND, _HOLD, _JOINED):
            cursor.execute(statement, {"program": program_id})
        cursor.execute(_COUNT)
        new, known, points, paid = cursor.fetchone()
        cursor.execute(_REFUSED)
        return Sorted(new, known, points, paid, tuple(cursor.fetchall()))


def post() -> None:
    """Write what is new into the ledger: the last statement of the transaction; raises what the ledger refuses."""
    assert_in_operation()
    with refusals(), connection.cursor() as cursor:
        cursor.execute(_POST)


def refresh_statistics() -> None:
    """Have the planner know what the ledger holds now, or the next question about all of it may take minutes."""
    with connection.cursor() as cursor:
        cursor.execute("select loyalty_refresh_statistics()")
