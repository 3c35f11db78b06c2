"""What a date in a segment stands for, once it is known when the segment is evaluated."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from loyalty.segments.tree import Day, DaysAgo, Moment, When, Window

INSTANT = timedelta(microseconds=1)  # the finest step of PostgreSQL's clock


def span(when: When, at: datetime) -> tuple[datetime, datetime]:
    """Its first moment and the first one after it: a day is 24 hours long, a moment is as short as can be."""
    match when:
        case Day(day=day):
            first = datetime.combine(day, time(), tzinfo=UTC)
            return first, first + timedelta(days=1)
        case Moment(at=moment):
            return moment, moment + INSTANT
        case DaysAgo(days=days):
            moment = at - timedelta(days=days)
            return moment, moment + INSTANT


def bounds(window: Window, at: datetime) -> tuple[datetime, datetime]:
    """The window's first moment and the first one after it."""
    until = at + INSTANT if window.until is None else span(window.until, at)[1]
    return span(window.since, at)[0], until
