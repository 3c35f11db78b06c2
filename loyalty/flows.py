"""How points flow in a program: what was awarded and what went, by day, week or month, over a stretch of time.

The ledger may have millions of rows. Each statement here has a short time: what cannot be added up in it is estimated
from a sample of the ledger's pages, and said to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext_lazy as _

from loyalty.patience import at_most
from opsconsole.core.errors import Unavailable
from opsconsole.core.texts import Text

PATIENCE: Final = timedelta(seconds=2)
SAMPLED: Final = 200_000  # rows of the ledger, about, from which the rest is estimated
WEEK: Final = 7
MANY: Final = 100  # bars are too thin to be seen beyond this
MONTHS_A_YEAR: Final = 12


class TooMuch(Unavailable):
    """There is more of it than can be read in a moment."""

    code = "too_much"


class Period(StrEnum):
    """A stretch of time to look at, up to now."""

    MONTH = "30d"
    QUARTER = "90d"
    YEAR = "year"
    ALL = "all"

    @property
    def label(self) -> Text:
        """In words."""
        return _LABELS[self]

    @property
    def days(self) -> int | None:
        """How long it is; None for all there is."""
        return _DAYS[self]

    @property
    def step(self) -> str:
        """What one bar of it stands for."""
        return _STEPS[self]

    def since(self, today: date) -> date | None:
        """Its first day, at the beginning of a bar; None for all there is."""
        if self.days is None:
            return None
        first = today - timedelta(days=self.days - 1)
        return first - timedelta(days=first.weekday()) if self.step == "week" else first


_LABELS: Final[dict[Period, Text]] = {
    Period.MONTH: _("30 days"),
    Period.QUARTER: _("90 days"),
    Period.YEAR: _("One year"),
    Period.ALL: _("All"),
}
_DAYS: Final = {Period.MONTH: 30, Period.QUARTER: 90, Period.YEAR: 365, Period.ALL: None}
_STEPS: Final = {Period.MONTH: "day", Period.QUARTER: "day", Period.YEAR: "week", Period.ALL: "month"}


@dataclass(frozen=True, slots=True)
class Bar:
    """Points of a day, or of the week or month that begins with it: what took budget, what members spent or lost."""

    day: date
    awarded: int
    gone: int


@dataclass(frozen=True, slots=True)
class Flow:
    """The bars of a period, the oldest first; `sampled`: estimated from about so many rows.

    There is a bar for each day, week or month, also where nothing moved; but years of nothing, as after an import of
    old purchases, are left out (`gaps`).
    """

    period: Period
    bars: Sequence[Bar]
    rates: Sequence[float] = ()  # awarded a day, as the mean of the seven days up to each; where the bars are days
    sampled: int = 0
    gaps: bool = False


# What counts against the budget, as the ledger counts it. What members redeemed is less what they got back of it.
_FLOW: Final = """
    select date_trunc(%(step)s, t.created_at at time zone 'UTC')::date,
      coalesce(sum(case when t.event_type in ('earn', 'bonus') then t.amount
                        when t.event_type = 'adjust' then greatest(t.amount, 0)
                        when t.event_type = 'reverse' then least(t.amount, 0) end), 0)::bigint,
      coalesce(-sum(case when t.event_type in ('redeem', 'expire') then t.amount
                         when t.event_type = 'adjust' then least(t.amount, 0)
                         when t.event_type = 'reverse' then greatest(t.amount, 0) end), 0)::bigint,
      count(*)
    from loyalty_transactions t {sample} join loyalty_balances b on b.id = t.balance_id
    where b.program_id = %(program)s and t.created_at >= coalesce(%(since)s, '-infinity'::timestamptz)
    group by 1 order by 1
"""
# Looked for by the index of times: the planner hopes to meet a row soon, and would read the ledger from its beginning.
_ANY: Final = """
    select exists (select from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
                   where b.program_id = %(program)s and t.created_at >= %(since)s)
"""


def flow(program_id: UUID, period: Period, *, today: date) -> Flow:
    """The period's bars up to today."""
    first, by_day = period.since(today), period.step == "day"
    # The mean of the first days is that of the days before them, too.
    since = first - timedelta(days=WEEK - 1) if first is not None and by_day else first
    facts: dict[str, Any] = {"program": program_id, "step": period.step, "since": _midnight(since)}
    try:
        with quickly(), connection.cursor() as cursor:
            cursor.execute(_FLOW.format(sample=""), facts)
            found, sampled = cursor.fetchall(), 0
    except TooMuch:
        found, sampled = _sampled(facts)
    known = {day: (awarded, gone) for day, awarded, gone, _rows in found}
    first, since = first or min(known, default=None), since or min(known, default=None)
    if first is None or since is None:
        return Flow(period, [])
    bars = [Bar(day, *known.get(day, (0, 0))) for day in _days(since, today, period.step)]
    if len(bars) > MANY and len(bars) > 2 * len(known):
        return Flow(period, [bar for bar in bars if bar.day in known], sampled=sampled, gaps=True)
    rates = _means([bar.awarded for bar in bars]) if by_day else []
    return Flow(period, [bar for bar in bars if bar.day >= first], rates, sampled)


def last_with_something(program_id: UUID, *, today: date) -> Period:
    """The shortest period in which points have moved."""
    for period in (Period.MONTH, Period.QUARTER, Period.YEAR):
        try:
            with quickly(), connection.cursor() as cursor:
                cursor.execute("set local enable_seqscan = off")
                cursor.execute(_ANY, {"program": program_id, "since": _midnight(period.since(today))})
                found = cursor.fetchone()[0]
                cursor.execute("set local enable_seqscan = on")
            if found:
                return period
        except TooMuch:
            break
    return Period.ALL


def quickly() -> AbstractContextManager[None]:
    """Have no statement last longer than a page may wait for it; raises TooMuch where one would."""
    return at_most(PATIENCE, lambda: TooMuch(_("There is more of it than can be added up for a page.")))


def _sampled(facts: dict[str, Any]) -> tuple[list[tuple[date, int, int, int]], int]:
    """The same from a share of the ledger's pages, always the same ones, as of all of them."""
    with connection.cursor() as cursor:
        cursor.execute("select greatest(reltuples, 1) from pg_class where oid = 'loyalty_transactions'::regclass")
        share = min(SAMPLED / cursor.fetchone()[0], 1.0)
        cursor.execute(_FLOW.format(sample=f"tablesample system ({share * 100:.6f}) repeatable (1)"), facts)
        rows = cursor.fetchall()
    found = [(day, round(awarded / share), round(gone / share), number) for day, awarded, gone, number in rows]
    return found, max(sum(row[3] for row in rows), 1)


def _means(values: Sequence[int]) -> list[float]:
    """The mean of each seven values in a row."""
    return [sum(values[at : at + WEEK]) / WEEK for at in range(len(values) - WEEK + 1)]


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


def _days(first: date, last: date, step: str) -> Iterator[date]:
    """The first days of the bars from one day to another; what lies ahead is no stretch of its own."""
    day = first
    while day <= last:
        yield day
        day = _month_after(day) if step == "month" else day + timedelta(days=WEEK if step == "week" else 1)


def _month_after(day: date) -> date:
    years, month = divmod(day.month, MONTHS_A_YEAR)
    return date(day.year + years, month + 1, 1)
