"""What moved lately, read from the ends of indexes: a bounded look, however long the ledger and the lists have grown.

A leg's id begins with its time, so the legs of an account in a stretch of days are a range of one index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import connection

DAYS: Final = 14
MOST_LEGS: Final = 40_000  # of one account: what a page waits some 15 ms for, 50 where the machine is busy
MOST_IN_FLIGHT: Final = 20_000
ANSWERS: Final = 500
REFUSED: Final = ("failed", "not_sent", "returned")


@dataclass(slots=True)
class Day:
    """What came onto the accounts on a day, and what left them."""

    day: date
    came: int = 0
    came_sum: Decimal = Decimal(0)
    left: int = 0
    left_sum: Decimal = Decimal(0)


def by_day(accounts: Sequence[UUID], *, today: date) -> list[Day]:
    """The movements on these accounts, day by day in UTC, the oldest first; of one currency, so that sums have sense.

    At most the newest MOST_LEGS of each account are counted: fewer days where that is not enough, never a day in part.
    """
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    starts = [_first_id(day) for day in days]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select a.id, l.nth, count(*) filter (where amount > 0), coalesce(sum(amount) filter (where amount > 0), 0),
              count(*) filter (where amount < 0), -coalesce(sum(amount) filter (where amount < 0), 0)
            from unnest(%(accounts)s::uuid[]) as a (id), lateral (
              select amount, width_bucket(l.id, %(starts)s::uuid[]) - 1 as nth from treasury_legs l
              where l.account_id = a.id and l.id >= %(first)s order by l.id desc limit %(most)s) l
            group by 1, 2
            """,
            {"accounts": list(accounts), "starts": starts, "first": starts[0], "most": MOST_LEGS},
        )
        rows = cursor.fetchall()
    found = [Day(day) for day in days]
    counted: dict[UUID, int] = {}
    oldest: dict[UUID, int] = {}
    for account, nth, came, came_sum, left, left_sum in rows:
        one = found[nth]
        one.came, one.came_sum = one.came + came, one.came_sum + came_sum
        one.left, one.left_sum = one.left + left, one.left_sum + left_sum
        counted[account] = counted.get(account, 0) + came + left
        oldest[account] = min(oldest.get(account, DAYS), nth)
    # Where the count ended at its limit, its oldest day may go on beyond it.
    whole = max((oldest[account] + 1 for account, count in counted.items() if count == MOST_LEGS), default=0)
    return found[whole:]


def closing_balances(days: Sequence[Day], balance: Decimal) -> list[Decimal]:
    """What was on the account at the end of each of these days, from what is on it now."""
    closing: list[Decimal] = []
    for day in reversed(days):
        closing.append(balance)
        balance += day.left_sum - day.came_sum
    return closing[::-1]


@dataclass(slots=True)
class InFlight:
    """Payments in one state and currency: how many (`capped` where there are more), their sum, the oldest's time."""

    status: str
    currency: str
    count: int
    amount: Decimal
    oldest: datetime | None
    capped: bool = field(default=False)


def in_flight(bank_id: UUID) -> list[InFlight]:
    """Payouts and sweeps through a bank that have not ended; counted up to MOST_IN_FLIGHT in each state.

    Of those that were sent the oldest is known whatever their number, since their index is in that order.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with going as (
              (select status, currency, amount, sent_at as at from treasury_instructions
               where bank_id = %(bank)s and status = 'sent' order by sent_at limit %(most)s)
              union all
              (select status, currency, amount, created_at from treasury_instructions
               where bank_id = %(bank)s and status = 'sending' limit %(most)s)
              union all
              (select status, currency, amount, created_at from treasury_instructions
               where bank_id = %(bank)s and status = 'planned' limit %(most)s)
              union all
              (select status, currency, amount, coalesce(sent_at, created_at) from treasury_sweeps
               where bank_id = %(bank)s and status in ('planned', 'sending', 'sent') limit %(most)s))
            select status, currency, count(*), sum(amount), min(at) from going group by 1, 2
            order by array_position(array['planned', 'sending', 'sent'], status), 2
            """,
            {"bank": bank_id, "most": MOST_IN_FLIGHT},
        )
        found = [InFlight(*row) for row in cursor.fetchall()]
    for state in {one.status for one in found}:
        same = [one for one in found if one.status == state]
        if sum(one.count for one in same) >= MOST_IN_FLIGHT:
            for one in same:
                one.capped = True
                one.oldest = one.oldest if state == "sent" else None
    return found


@dataclass(frozen=True, slots=True)
class Answered:
    """How many of a bank's last orders moved like this, and when one did last."""

    kind: str
    count: int
    last: datetime


def last_answers(bank_id: UUID) -> list[Answered]:
    """What became of the last ANSWERS movements of each currency through a bank, the most recent kind first."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_LAST} select kind, count(*), max(booked_at) from last group by 1 order by 3 desc",
            {"bank": bank_id, "most": ANSWERS},
        )
        return [Answered(*row) for row in cursor.fetchall()]


def last_refusals(bank_id: UUID, *, limit: int = 8) -> list[tuple[str, str, datetime]]:
    """Kind, EndToEndId and time of the last movements that brought money back, among the same."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_LAST} select kind, split_part(reference, ':', 2), booked_at from last"
            " where kind = any(%(refused)s) order by booked_at desc limit %(limit)s",
            {"bank": bank_id, "most": ANSWERS, "refused": list(REFUSED), "limit": limit},
        )
        return [(kind, end_to_end_id, at) for kind, end_to_end_id, at in cursor.fetchall()]


_LAST: Final = """
    with last as (
      select t.kind, t.reference, t.booked_at
      from treasury_accounts a, lateral (
          select l.transfer_id from treasury_legs l where l.account_id = a.id order by l.id desc limit %(most)s) l
        join treasury_transfers t on t.id = l.transfer_id
      where a.bank_id = %(bank)s and a.kind = 'in_transit')
"""


def _first_id(day: date) -> UUID:
    """No id that is given on this day or later is smaller: a UUIDv7 begins with its milliseconds."""
    at = datetime.combine(day, time(), tzinfo=UTC)
    return UUID(int=int(at.timestamp() * 1000) << 80)
