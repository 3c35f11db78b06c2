"""Days as they are typed at a shell."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime

from loyalty.segments.schema import FIRST_DAY


def a_day(text: str) -> datetime:
    """The beginning of the day (UTC); raises ArgumentTypeError for what is none, and for one before 1970."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a day; write 2026-01-31") from error
    if day.date() < FIRST_DAY:
        raise ArgumentTypeError(f"{text!r} is before {FIRST_DAY}")
    return day
