"""How points flow: what was given and what was taken, day by day, read from the time index of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from django.db import connection

DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Day:
    """Points that came and went on one day (UTC)."""

    day: date
    given: int
    taken: int


def by_day(program_id: UUID, *, today: date, days: int = DAYS) -> list[Day]:
    """The last days of a program, the oldest first; days without a movement have zeros."""
    since = today - timedelta(days=days - 1)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select (t.created_at at time zone 'UTC')::date,
              coalesce(sum(t.amount) filter (where t.amount > 0), 0)::bigint,
              coalesce(-sum(t.amount) filter (where t.amount < 0), 0)::bigint
            from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
            where b.program_id = %s and t.created_at >= %s
            group by 1
            """,
            [program_id, since],
        )
        found = {day: (given, taken) for day, given, taken in cursor.fetchall()}
    stretch = [since + timedelta(days=number) for number in range(days)]
    return [Day(day, *found.get(day, (0, 0))) for day in stretch]
