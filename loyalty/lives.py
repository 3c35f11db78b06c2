"""A member's balance over time, as the ledger adds it up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection

from loyalty.models import Balance

DAYS: Final = 120  # what is longer is shown by weeks
WEEKS: Final = 3 * 365


@dataclass(frozen=True, slots=True)
class Point:
    """The balance at the end of a day, or of the week or month that begins with it."""

    day: date
    balance: int


@dataclass(frozen=True, slots=True)
class Line:
    """The balance from the first movement to the last, a point for each day, week or month between them."""

    step: str
    points: Sequence[Point]
    last: datetime | None  # movement


def balance_of(member: Balance) -> Line:
    """The line of one member; read by the index over their part of the ledger."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select min(created_at), max(created_at) from loyalty_transactions where balance_id = %s", [member.pk]
        )
        first, last = cursor.fetchone()
        if first is None:
            return Line("day", [], None)
        step = _step(last - first)
        # Each stretch is there, also one in which nothing moved: the balance stands at what it was.
        cursor.execute(
            """
            select s.at::date, (sum(coalesce(m.amount, 0)) over (order by s.at))::bigint
            from generate_series(
                date_trunc(%(step)s, %(first)s at time zone 'UTC'), date_trunc(%(step)s, %(last)s at time zone 'UTC'),
                ('1 ' || %(step)s)::interval) s (at)
              left join (
                select date_trunc(%(step)s, created_at at time zone 'UTC') as at, sum(amount) as amount
                from loyalty_transactions where balance_id = %(balance)s group by 1
              ) m on m.at = s.at
            order by s.at
            """,
            {"step": step, "first": first, "last": last, "balance": member.pk},
        )
        return Line(step, [Point(*row) for row in cursor.fetchall()], last)


def _step(stretch: timedelta) -> str:
    if stretch <= timedelta(days=DAYS):
        return "day"
    return "week" if stretch <= timedelta(days=WEEKS) else "month"
