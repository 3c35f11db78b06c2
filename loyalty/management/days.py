"""Days as they are typed at a shell."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime


def a_day(text: str) -> datetime:
    """The beginning of the day (UTC); raises ArgumentTypeError for what is none."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a day; write 2026-01-31") from error
