"""A segment as a typed tree, the form in which it is compiled and told; `parse` makes it and vouches for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import TypeAlias

from loyalty.segments.schema import Op, Var
from loyalty.states import EventType


@dataclass(frozen=True, slots=True)
class Day:
    """A whole day of UTC."""

    day: date


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time."""

    at: datetime


@dataclass(frozen=True, slots=True)
class DaysAgo:
    """So many times 24 hours before the segment is evaluated."""

    days: int


When: TypeAlias = Day | Moment | DaysAgo


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, both ends included; no `until` means up to when the segment is evaluated."""

    since: When
    until: When | None = None


class Measure(Enum):
    """What is worked out of a member's transactions."""

    COUNT = "count"
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class Measured:
    """How many transactions of some events a member has in a window, or how many points they come to."""

    measure: Measure
    events: tuple[EventType, ...]
    window: Window


@dataclass(frozen=True, slots=True)
class NumberIs:
    """A number of the member compared with one value, with two for BETWEEN, with any of several for IN."""

    what: Var | Measured
    op: Op
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DateIs:
    """A date of the member compared with one value, or with two for BETWEEN."""

    what: Var
    op: Op
    values: tuple[When, ...]


@dataclass(frozen=True, slots=True)
class TierIs:
    """The member's tier compared by name, or by rank with one of this name; None is the lack of a tier."""

    op: Op
    names: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class FrozenIs:
    """Whether the member is frozen."""

    frozen: bool


@dataclass(frozen=True, slots=True)
class MemberIs:
    """The member is the one of this user id, is not (NE), or is one of several (IN)."""

    op: Op
    user_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HasFlag:
    """Fraud control has put this flag on the member."""

    flag: str


@dataclass(frozen=True, slots=True)
class And:
    """All of these hold."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of these holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    part: Condition


@dataclass(frozen=True, slots=True)
class Everyone:
    """All members of the program."""


Test: TypeAlias = NumberIs | DateIs | TierIs | FrozenIs | MemberIs | HasFlag
Condition: TypeAlias = And | Or | Not | Test
Segment: TypeAlias = Condition | Everyone


def comparisons_in(segment: Segment) -> Iterator[Test]:
    """Every comparison in the tree, in order."""
    match segment:
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from comparisons_in(part)
        case Not(part=part):
            yield from comparisons_in(part)
        case Everyone():
            return
        case _:
            yield segment
