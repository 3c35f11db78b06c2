"""What is left of the points that members were given, by the time they expire; and which of them have to go.

Points go first in, first out. No lots are kept: what is left of the oldest follows from the ledger, by adding up what
came in until a time and what went out at all. A reversal counts as a part of what it takes back, at that one's time:
an earn that was reversed gave nothing, and points of a redemption that was reversed are as old as they were. What has
expired went out like anything else, so nothing expires twice.

Locked points stay, and a frozen member keeps everything: neither can be spent, so neither expires until they can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from loyalty.ledger import refusals
from loyalty.models import Program
from opsconsole.core.database import bulk_memory
from opsconsole.core.operations import assert_in_operation

CHUNK: Final = 10_000

# The ledger of some members, reversals folded into what they take back: what came (`given`) and when, or what went.
_FOLDED: Final = """
    select t.balance_id, t.amount, t.amount > 0 as given, t.created_at as at from loyalty_transactions t
    where t.reverses_id is null and t.balance_id {members}
    union all
    select o.balance_id, r.amount, o.amount > 0, o.created_at
    from loyalty_transactions r join loyalty_transactions o on o.id = r.reverses_id
    where r.reverses_id is not null and r.balance_id {members}
"""
_OF_PROGRAM: Final = _FOLDED.format(members="in (select m.id from loyalty_balances m where m.program_id = %(program)s)")
_OF_CHUNK: Final = _FOLDED.format(members="= any(%(members)s)")
_EXPIRED: Final = "given and at <= %(as_of)s::timestamptz - make_interval(months => %(months)s)"
_DUE: Final = f"""
    coalesce(sum(amount) filter (where {_EXPIRED}), 0)
      + coalesce(sum(amount) filter (where not given), 0)
"""

_CANDIDATES: Final = f"""
    select string_agg(uuid_send(id), ''::bytea order by id) from (
      select b.id, (row_number() over (order by b.id) - 1) / %(chunk)s as no
      from (select balance_id, {_DUE} as due from ({_OF_PROGRAM}) folded group by balance_id) s
        join loyalty_balances b on b.id = s.balance_id
      where s.due > 0 and not b.is_frozen and b.points_balance > b.locked
    ) numbered group by no order by no
"""
_PREVIEW: Final = f"""
    select count(*) filter (where goes > 0), coalesce(sum(goes), 0)::bigint,
      count(*) filter (where frozen), coalesce(sum(due) filter (where frozen), 0)::bigint,
      count(*) filter (where not frozen and goes < due),
      coalesce(sum(due - goes) filter (where not frozen), 0)::bigint
    from (
      select s.due, b.is_frozen as frozen,
        case when b.is_frozen then 0 else least(s.due, b.points_balance - b.locked) end as goes
      from (select balance_id, {_DUE} as due from ({_OF_PROGRAM}) folded group by balance_id) s
        join loyalty_balances b on b.id = s.balance_id
      where s.due > 0
    ) members
"""

# Under the locks that the statement before has taken: whatever else was going on with these members is over.
_EXPIRING: Final = f"""
    create temporary table loyalty_expiring on commit drop as
    select b.id as balance_id, least(s.due, b.points_balance - b.locked) as points
    from loyalty_balances b
      join (select balance_id, {_DUE} as due from ({_OF_CHUNK}) folded group by balance_id) s on s.balance_id = b.id
    where b.program_id = %(program)s and not b.is_frozen and least(s.due, b.points_balance - b.locked) > 0
"""

_CALENDAR: Final = f"""
    with parts as (
      select balance_id, given, sum(amount) as points,
        case when given and not ({_EXPIRED}) then date_trunc('month', at) end as month
      from ({_OF_PROGRAM}) folded group by balance_id, given, month
    ),
    lots as (
      select given, month, points,
        sum(points) filter (where given) over (partition by balance_id order by month nulls first) as until,
        coalesce(-sum(points) filter (where not given) over (partition by balance_id), 0) as gone
      from parts
    )
    select (month + make_interval(months => %(months)s))::date, count(*), sum(least(points, until - gone))::bigint
    from lots where given and points > 0 and until > gone
    group by month order by month nulls first
"""


@dataclass(frozen=True, slots=True)
class Preview:
    """What expiring would take at a time: members and points; and what stays although it is old enough."""

    members: int
    points: int
    frozen_members: int
    frozen_points: int
    locked_members: int
    locked_points: int


@dataclass(frozen=True, slots=True)
class Month:
    """Points that expire in a month, and of how many members; no month for those that are old enough by now."""

    month: date | None
    members: int
    points: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Ids of members, packed: those of a million take sixteen megabytes."""

    packed: bytes

    @property
    def ids(self) -> list[UUID]:
        """The ids themselves."""
        return [UUID(bytes=self.packed[at : at + 16]) for at in range(0, len(self.packed), 16)]


NOTHING: Final = Preview(0, 0, 0, 0, 0, 0)


def preview(program: Program, as_of: datetime) -> Preview:
    """What `expire` would take from the program's members at this time."""
    if program.points_valid_months is None:
        return NOTHING
    with bulk_memory(), connection.cursor() as cursor:
        cursor.execute(_PREVIEW, _facts(program, as_of))
        return Preview(*cursor.fetchone())


def take_turn(program: Program) -> None:
    """Keep everybody else from writing down what is owed in this program until the transaction ends."""
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_advisory_xact_lock(hashtextextended('loyalty.liability' || chr(31) || %s, 0))",
            [str(program.pk)],
        )


def liability(program: Program, as_of: datetime) -> list[Month]:
    """What members still have, by the month in which it expires, the overdue first; empty where nothing expires."""
    if program.points_valid_months is None:
        return []
    with bulk_memory(), connection.cursor() as cursor:
        cursor.execute(_CALENDAR, _facts(program, as_of))
        return [Month(*row) for row in cursor.fetchall()]


def candidates(program: Program, as_of: datetime) -> list[Chunk]:
    """The members with points to expire, in chunks by id, worked out once; before any of them is locked."""
    if program.points_valid_months is None:
        return []
    with bulk_memory(), connection.cursor() as cursor:
        cursor.execute(_CANDIDATES, {**_facts(program, as_of), "chunk": CHUNK})
        return [Chunk(bytes(row[0])) for row in cursor.fetchall()]


def hold(program: Program, balance_ids: Sequence[UUID], as_of: datetime) -> tuple[int, int]:
    """Lock these members and put what expires beside the tables; how many members, and how many points."""
    assert_in_operation()
    facts = {**_facts(program, as_of), "members": list(balance_ids)}
    with connection.cursor() as cursor:
        # By id, as everybody does it.
        cursor.execute(
            "select from loyalty_balances b where b.id = any(%(members)s) and b.program_id = %(program)s"
            " order by b.id for no key update of b",
            facts,
        )
        cursor.execute("drop table if exists loyalty_expiring")
        cursor.execute(_EXPIRING, facts)
        cursor.execute("select count(*), coalesce(sum(points), 0)::bigint from loyalty_expiring")
        members, points = cursor.fetchone()
        return members, points


def post(as_of: datetime) -> None:
    """Write what expires into the ledger: the last statement of the transaction."""
    assert_in_operation()
    with refusals(), connection.cursor() as cursor:
        cursor.execute(
            "insert into loyalty_transactions (balance_id, event_type, amount, origin_txn_id)"
            " select balance_id, 'expire', -points, %s from loyalty_expiring order by balance_id",
            [f"expiry:{as_of:%Y-%m-%d}"],
        )


def _facts(program: Program, as_of: datetime) -> dict[str, Any]:
    return {"program": program.pk, "months": program.points_valid_months, "as_of": as_of}
