"""Freeze calendars: when a plan may not be executed, by the clocks of the place where the calendar was made.

A weekly stretch begins and ends at wall-clock times. Where the clocks are put forward or back in that very hour, the
time does not exist or exists twice: the stretch then takes the earlier reading to begin and the later one to end, so
what is in doubt is frozen. Stretches hold their beginning and not their end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.plans.errors import Frozen
from opsconsole.plans.models import Calendar, Plan
from opsconsole.plans.types import type_named
from opsconsole.plans.warnings import declare

HORIZON: Final = timedelta(days=60)  # further ahead nobody looks for the end of a freeze
DAY: Final = timedelta(days=1)

HELD_ONCE: Final = declare(
    "calendar",
    _("The calendar “{name}” ({reason}) keeps this plan from being executed from {starts} to {ends} UTC."),
)
HELD_WEEKLY: Final = declare(
    "calendar",
    _(
        "The calendar “{name}” ({reason}) keeps this plan from being executed from {starts} to {ends} UTC, and again"
        " each week."
    ),
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when until when a calendar holds."""

    calendar: Calendar
    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Freeze:
    """The calendars that hold a plan now, and when the last of them lets go; None where no end is in sight."""

    calendars: tuple[Calendar, ...]
    until: datetime | None

    def error(self) -> Frozen:
        """The refusal that says which calendar it is, and until when."""
        quoted = [format_lazy(_("“{name}”"), name=calendar.name) for calendar in self.calendars]
        names = format_lazy(", ".join(["{}"] * len(quoted)), *quoted)
        told = (
            format_lazy(
                _("The calendar {names} keeps plans of this kind from being executed, until {until} UTC."),
                names=names,
                until=f"{self.until:%Y-%m-%d %H:%M}",
            )
            if self.until
            else format_lazy(
                _("The calendar {names} keeps plans of this kind from being executed, with no end in sight."),
                names=names,
            )
        )
        return Frozen(
            told,
            frozen_until=self.until,
            calendars=[
                {"id": str(calendar.pk), "name": calendar.name, "reason": calendar.reason}
                for calendar in self.calendars
            ],
        )


def stretches(calendar: Calendar, since: datetime, until: datetime) -> Iterator[Stretch]:
    """When the calendar holds between two moments, in order; one stretch may begin before and end after them."""
    limit = min(filter(None, (calendar.ends_at, calendar.ended_at)), default=None)
    for starts, ends in _weekly(calendar, since, until) if calendar.is_weekly else _once(calendar):
        start = max(starts, calendar.starts_at)
        end = ends if limit is None else min(ends, limit)
        if start < end and start < until and end > since:
            yield Stretch(calendar, start, end)


def applies_to(calendar: Calendar, plan: Plan) -> bool:
    """Whether the calendar is about plans like this one: its type, and a bank and a currency that it touches."""
    if calendar.plan_types and plan.plan_type not in calendar.plan_types:
        return False
    if not (calendar.banks or calendar.currencies):
        return True
    scope = type_named(plan.plan_type).scope(plan)
    banks = not calendar.banks or bool(scope.banks.intersection(calendar.banks))
    return banks and (not calendar.currencies or bool(scope.currencies.intersection(calendar.currencies)))


def freeze_of(plan: Plan, at: datetime) -> Freeze | None:
    """What keeps the plan from being executed at this moment; None when nothing does."""
    ahead = sorted(
        (stretch for calendar in _about(plan, at) for stretch in stretches(calendar, at, at + HORIZON)),
        key=lambda stretch: stretch.starts,
    )
    holding = tuple(stretch.calendar for stretch in ahead if stretch.starts <= at < stretch.ends)
    if not holding:
        return None
    until, endless = at, False
    for stretch in ahead:  # one calendar may begin where, or before, another ends
        if stretch.starts <= until < stretch.ends:
            until = stretch.ends
            endless = stretch.calendar.is_weekly and stretch.calendar.ends_at is None
    return Freeze(holding, None if endless and until >= at + HORIZON else until)


def refuse_frozen(plan: Plan, at: datetime) -> None:
    """Raise Frozen while a calendar keeps the plan from being executed."""
    freeze = freeze_of(plan, at)
    if freeze is not None:
        raise freeze.error()


def warnings(plan: Plan, at: datetime, lasting: timedelta) -> list[dict[str, Any]]:
    """A warning for each calendar that holds at some time in the plan's window; `lasting` is a window without an end.

    They are part of what is approved, as every warning is.
    """
    since = max(at, plan.not_before or at)
    until = plan.not_after or since + lasting
    found: list[dict[str, Any]] = []
    for calendar in _about(plan, since):
        first = next(stretches(calendar, since, until), None)
        if first is not None:
            found.append(
                (HELD_WEEKLY if calendar.is_weekly else HELD_ONCE).of(
                    name=calendar.name,
                    reason=calendar.reason,
                    starts=f"{first.starts:%Y-%m-%d %H:%M}",
                    ends=f"{first.ends:%Y-%m-%d %H:%M}",
                    also={"calendar": calendar.pk},
                )
            )
    return found


def in_force(at: datetime) -> list[Calendar]:
    """The calendars that nobody has ended and that are not over, whether or not they hold at this moment."""
    standing = Calendar.objects.filter(Q(ends_at=None) | Q(ends_at__gt=at), ended_at=None)
    return list(standing.order_by("starts_at", "pk"))


def holds(calendar: Calendar, at: datetime) -> bool:
    """Whether the calendar holds at this moment."""
    return any(stretch.starts <= at for stretch in stretches(calendar, at, at + timedelta(microseconds=1)))


def next_stretch(calendar: Calendar, at: datetime) -> Stretch | None:
    """The stretch that holds now, or the next one; None when there is none in sight."""
    return next(stretches(calendar, at, max(at, calendar.starts_at) + HORIZON), None)


def instants(day: date, clock: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The earlier and the later reading of a wall-clock time, in UTC; the same one but for the hours of a change."""
    wall = datetime.combine(day, clock, tzinfo=zone)
    readings = sorted(wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return readings[0], readings[1]


def _about(plan: Plan, at: datetime) -> list[Calendar]:
    return [calendar for calendar in in_force(at) if applies_to(calendar, plan)]


def _once(calendar: Calendar) -> Iterator[tuple[datetime, datetime]]:
    assert calendar.ends_at is not None  # a constraint of the table
    yield calendar.starts_at, calendar.ends_at


def _weekly(calendar: Calendar, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    zone, begin, end = ZoneInfo(calendar.time_zone), calendar.from_time, calendar.until_time
    assert begin is not None  # a constraint of the table
    assert end is not None
    day = since.astimezone(zone).date() - 2 * DAY  # one that began yesterday may still hold
    last = until.astimezone(zone).date()
    while day <= last:
        if day.isoweekday() in calendar.weekdays:
            ends_on = day if end > begin else day + DAY
            yield instants(day, begin, zone)[0], instants(ends_on, end, zone)[1]
        day += DAY
