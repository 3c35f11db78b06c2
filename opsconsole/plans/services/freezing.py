"""Freeze calendars: made and ended, each with its reason. What one says never changes: end it and make another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, time
from typing import Final
from uuid import UUID
from zoneinfo import available_timezones

from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.texts import Text
from opsconsole.journal.record import record
from opsconsole.plans import access
from opsconsole.plans.errors import CalendarEnded, CalendarInvalid
from opsconsole.plans.models import Calendar
from opsconsole.plans.scopes import unknown_banks
from opsconsole.plans.types import registered

CURRENCY: Final = re.compile(r"[A-Z]{3}")
DAYS_OF_WEEK: Final = range(1, 8)


@dataclass(frozen=True, slots=True)
class CalendarDraft:
    """What a calendar is to say; see the model. Without `starts_at` it begins now."""

    name: str
    reason: str
    plan_types: list[str] = field(default_factory=list)
    banks: list[str] = field(default_factory=list)
    currencies: list[str] = field(default_factory=list)
    time_zone: str = "UTC"
    weekdays: list[int] = field(default_factory=list)
    from_time: time | None = None
    until_time: time | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@operation
def create_calendar(*, draft: CalendarDraft, actor: Actor) -> Calendar:
    """Keep plans of these types from being executed in that time; raises CalendarInvalid, Denied.

    A run that is under way goes on to its end.
    """
    actor.require("plans.manage_calendar")
    if actor.user is None:
        raise Denied(_("A calendar is made by a person, who is known by name."))
    now = timezone.now()
    starts_at = draft.starts_at or now
    errors = dict(_objections(draft, starts_at, now))
    if errors:
        raise CalendarInvalid(_("The calendar does not hold together."), errors=errors)
    facts = asdict(draft) | {
        "plan_types": sorted(set(draft.plan_types)),
        "banks": sorted(set(draft.banks)),
        "currencies": sorted(set(draft.currencies)),
        "weekdays": sorted(set(draft.weekdays)),
        "starts_at": starts_at,
    }
    calendar = Calendar.objects.create(created_by=actor.user, **facts)
    calendar.refresh_from_db()
    told = {key: str(value) if isinstance(value, time) else value for key, value in facts.items()}
    record(actor, "calendar.created", calendar, after=told, reason=draft.reason)
    _tell("calendar.created", calendar, by=actor.name)
    return calendar


@operation
def end_calendar(*, calendar_id: UUID, reason: str, actor: Actor) -> Calendar:
    """Let plans be executed again; raises CalendarEnded for one that is over, CalendarInvalid without a reason."""
    calendar = access.calendar_to_end(actor, calendar_id)
    now = timezone.now()
    if not reason.strip():
        raise CalendarInvalid(_("Ending a calendar takes a reason."), errors={"reason": [_("must not be blank")]})
    if calendar.ended_at is not None or (calendar.ends_at is not None and calendar.ends_at <= now):
        raise CalendarEnded(
            format_lazy(_("The calendar “{name}” is over."), name=calendar.name),
            ended_at=calendar.ended_at or calendar.ends_at,
        )
    calendar.ended_at, calendar.ended_by = now, actor.name
    calendar.save(update_fields=["ended_at", "ended_by"])
    record(actor, "calendar.ended", calendar, before={"ended_at": None}, after={"ended_at": now}, reason=reason)
    _tell("calendar.ended", calendar, by=actor.name)
    return calendar


def _objections(draft: CalendarDraft, starts_at: datetime, now: datetime) -> Iterable[tuple[str, list[Text]]]:
    types = {plan_type.name for plan_type in registered()}
    checks: list[tuple[str, bool | list[str], Callable[[], Text]]] = [
        ("name", not draft.name.strip(), lambda: _("must not be blank")),
        ("reason", not draft.reason.strip(), lambda: _("must not be blank")),
        (
            "plan_types",
            sorted(set(draft.plan_types) - types),
            lambda: format_lazy(_("must be among {known}"), known=", ".join(sorted(types))),
        ),
        (
            "banks",
            unknown_banks(draft.banks),
            lambda: format_lazy(_("no such bank: {banks}"), banks=", ".join(unknown_banks(draft.banks))),
        ),
        (
            "currencies",
            [code for code in draft.currencies if not CURRENCY.fullmatch(code)],
            lambda: _("must be codes of ISO 4217, such as EUR"),
        ),
        ("time_zone", draft.time_zone not in available_timezones(), lambda: _("is no zone, such as Europe/Berlin")),
        (
            "weekdays",
            any(day not in DAYS_OF_WEEK for day in draft.weekdays),
            lambda: _("must be from 1 (Monday) to 7 (Sunday)"),
        ),
        *_objections_to_times(draft, starts_at, now),
    ]
    for name, wrong, why in checks:
        if wrong:
            yield name, [why()]


def _objections_to_times(
    draft: CalendarDraft, starts_at: datetime, now: datetime
) -> list[tuple[str, bool | list[str], Callable[[], Text]]]:
    weekly, both = bool(draft.weekdays), draft.from_time is not None and draft.until_time is not None
    clock = draft.from_time is not None or draft.until_time is not None
    ends = draft.ends_at
    return [
        ("from_time", weekly and not both, lambda: _("a weekly calendar says from_time and until_time")),
        ("weekdays", clock and not weekly, lambda: _("times of the day need days of the week")),
        ("ends_at", not weekly and ends is None, lambda: _("must be said, unless the calendar is weekly")),
        ("ends_at", ends is not None and ends <= starts_at, lambda: _("must be later than starts_at")),
        ("ends_at", ends is not None and ends <= now, lambda: _("must lie ahead")),
    ]


def _tell(topic: str, calendar: Calendar, *, by: str) -> None:
    facts = {"name": calendar.name, "reason": calendar.reason, "plan_types": calendar.plan_types, "by": by}
    emit(topic, kind="calendar", id=calendar.pk, data=facts)
