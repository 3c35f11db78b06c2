"""Freeze calendars: the list, the page of one, and the buttons that make and end them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dates import WEEKDAYS
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Press, ReasonForm, then
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Facts, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.plans import access, calendars
from opsconsole.plans.models import Calendar
from opsconsole.plans.services import freezing
from opsconsole.plans.services.freezing import CalendarDraft
from opsconsole.plans.types import registered

AHEAD: Final = 8
HTML_TIME: Final = "%Y-%m-%dT%H:%M"


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


def _moment(label: Text, help_text: Text) -> forms.DateTimeField:
    widget = forms.DateTimeInput({"type": "datetime-local"}, format=HTML_TIME)
    return forms.DateTimeField(label=label, required=False, help_text=help_text, widget=widget)


def _clock(label: Text, help_text: Text = "") -> forms.TimeField:
    return forms.TimeField(
        label=label, required=False, help_text=help_text, widget=forms.TimeInput({"type": "time"}, format="%H:%M")
    )


class CalendarForm(ReasonForm):
    """What a calendar says."""

    name = forms.CharField(label=_("Name"), max_length=200)
    plan_types = forms.MultipleChoiceField(
        label=_("Plan types"),
        required=False,
        choices=lambda: [(plan_type.name, plan_type.label) for plan_type in registered()],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen means all of them."),
    )
    banks = forms.CharField(label=_("Banks"), required=False, max_length=1000, help_text=_("Codes; empty for all."))
    currencies = forms.CharField(
        label=_("Currencies"), required=False, max_length=200, help_text=_("Codes, such as EUR; empty for all.")
    )
    starts_at = _moment(_("From"), _("In UTC; empty for now."))
    ends_at = _moment(_("Until"), _("In UTC; may be empty for one that comes again each week."))
    weekdays = forms.MultipleChoiceField(
        label=_("Each week on"),
        required=False,
        choices=lambda: [(str(day + 1), name) for day, name in WEEKDAYS.items()],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: once, from the one time to the other."),
    )
    from_time = _clock(_("From the time"))
    until_time = _clock(_("Until the time"), _("On the next day, where it is not later."))
    time_zone = forms.CharField(
        label=_("On the clocks of"), initial="UTC", max_length=64, help_text=_("A time zone, such as Europe/Paris.")
    )
    field_order = (
        *("name", "plan_types", "banks", "currencies", "starts_at", "ends_at"),
        *("weekdays", "from_time", "until_time", "time_zone", "reason"),
    )

    def draft(self) -> CalendarDraft:
        """The calendar as it was written down."""
        said = self.cleaned_data
        return CalendarDraft(
            name=said["name"],
            reason=said["reason"],
            plan_types=said["plan_types"],
            banks=_words(said["banks"]),
            currencies=_words(said["currencies"]),
            time_zone=said["time_zone"],
            weekdays=[int(day) for day in said["weekdays"]],
            from_time=said["from_time"],
            until_time=said["until_time"],
            starts_at=said["starts_at"],
            ends_at=said["ends_at"],
        )

    def clean(self) -> dict[str, Any]:
        """With the draft beside the fields."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            cleaned["draft"] = self.draft()
        return cleaned


class MakeCalendar(Action[None]):
    """Keep plans from being executed for a time."""

    name = "new"
    label = _("New calendar")
    submit = _("Make the calendar")
    icon = "add"
    tone = "primary"
    permission = "plans.manage_calendar"
    form = CalendarForm

    def question(self, _row: None) -> Text:
        """What it does."""
        return now_(
            "While a calendar holds, plans of its types are not executed; a run that is under way goes on to its end."
        )

    def perform(self, press: Press[None]) -> Answer:
        """Make it."""
        return freezing.create_calendar.once(
            press.key,
            then(lambda _calendar: now_("The calendar is made."), display.row_url),
            draft=press.data["draft"],
            actor=press.actor,
        )


class EndCalendar(Action[Calendar]):
    """Let plans be executed again."""

    name = "end"
    label = _("End it")
    icon = "lock_open"
    tone = "danger"
    permission = "plans.manage_calendar"
    form = ReasonForm

    def offered(self, _actor: Actor, row: Calendar) -> bool:
        """While it is not over."""
        return row.ended_at is None and (row.ends_at is None or row.ends_at > timezone.now())

    def question(self, row: Calendar) -> Text:
        """What follows."""
        return now_("End “%(name)s” for good? Plans that it holds can be executed at once.") % {"name": row.name}

    def perform(self, press: Press[Calendar]) -> Answer:
        """End it."""
        return freezing.end_calendar.once(
            press.key,
            then(lambda _calendar: now_("The calendar is ended."), display.row_url),
            calendar_id=press.row.pk,
            reason=press.data["reason"],
            actor=press.actor,
        )


class Standing(OneOf):
    """Those that are not over."""

    title = _("state")
    parameter_name = "standing"

    def options(self, _request: HttpRequest) -> Options:
        """In force, or over."""
        return [("yes", _("in force")), ("no", _("over"))]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Calendar], value: str) -> QuerySet[Calendar]:
        """The calendars that fit."""
        over = Q(ended_at__isnull=False) | Q(ends_at__lte=timezone.now())
        return rows.filter(over) if value == "no" else rows.exclude(over)


@admin.register(Calendar)
class CalendarAdmin(ConsoleAdmin[Calendar]):
    """Calendars, newest first."""

    list_display = ("name", "state", "about", "when", "until", "made_by")
    nothing = _("No freeze calendar holds plans back. Make one for days on which nothing may be executed.")
    list_filter = (Standing,)
    ordering = ("-created_at", "-id")
    row_actions = (EndCalendar(),)

    def visible(self, actor: Actor) -> QuerySet[Calendar]:
        """All, for those who may see any."""
        return access.visible_calendars(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """Make one."""
        return (MakeCalendar(),)

    @admin.display(description=_("state"))
    def state(self, calendar: Calendar) -> SafeString:
        """Whether it holds at this moment."""
        return state_of(calendar)

    @admin.display(description=_("keeps back"))
    def about(self, calendar: Calendar) -> str:
        """Which plans it is about."""
        return about(calendar)

    @admin.display(description=_("when"))
    def when(self, calendar: Calendar) -> str:
        """Once, or each week."""
        return when(calendar)

    @admin.display(description=_("lets go"))
    def until(self, calendar: Calendar) -> SafeString | str:
        """When the stretch that holds, or the next one, ends."""
        stretch = calendars.next_stretch(calendar, timezone.now())
        return display.moment(stretch.ends if stretch else None)

    @admin.display(description=_("by"))
    def made_by(self, calendar: Calendar) -> str:
        """Who made it."""
        return calendar.created_by.username

    def badge(self, row: Calendar) -> SafeString:
        """Whether it holds."""
        return state_of(row)

    def sections(self, request: HttpRequest, row: Calendar) -> Sequence[Section]:
        """What it says, when it holds next, and what happened to it."""
        now = timezone.now()
        ahead = calendars.stretches(row, now, max(now, row.starts_at) + calendars.HORIZON)
        return [
            Facts(
                _("Calendar"),
                [
                    (_("reason"), row.reason),
                    (_("keeps back"), about(row)),
                    (_("when"), when(row)),
                    (_("from"), display.moment(row.starts_at)),
                    (_("until"), display.moment(row.ends_at)),
                    (_("made by"), row.created_by.username),
                    (_("made"), display.moment(row.created_at)),
                    (_("ended"), display.moment(row.ended_at)),
                    (_("ended by"), row.ended_by or display.NOTHING),
                ],
            ),
            Table(
                _("When it holds next"),
                [_("from"), _("until")],
                [
                    [display.moment(stretch.starts), display.moment(stretch.ends)]
                    for stretch, _number in zip(ahead, range(AHEAD), strict=False)
                ],
                empty=_("It does not hold any more."),
            ),
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of(Calendar._meta.db_table, row.pk)),
        ]


def state_of(calendar: Calendar) -> SafeString:
    """Whether it holds now, will, or is over."""
    now = timezone.now()
    if calendar.ended_at is not None:
        return display.label(_("ended"))
    if calendar.ends_at is not None and calendar.ends_at <= now:
        return display.label(_("over"))
    if calendars.holds(calendar, now):
        return display.label(_("holds now"), "bad")
    return display.label(_("ahead"), "info")


def about(calendar: Calendar) -> str:
    """Which plans it keeps from being executed, in words."""
    names = {plan_type.name: str(plan_type.label) for plan_type in registered()}
    types = ", ".join(names.get(name, name) for name in calendar.plan_types) or now_("all plans")
    parts = [types, ", ".join(calendar.banks), ", ".join(calendar.currencies)]
    return " · ".join(part for part in parts if part)


def when(calendar: Calendar) -> str:
    """Once, or on which days of the week, on whose clocks."""
    if not calendar.is_weekly or calendar.from_time is None or calendar.until_time is None:
        return now_("once")
    days = ", ".join(str(WEEKDAYS[day - 1]) for day in calendar.weekdays)
    return now_("%(days)s, %(begin)s to %(end)s, %(zone)s") % {
        "days": days,
        "begin": f"{calendar.from_time:%H:%M}",
        "end": f"{calendar.until_time:%H:%M}",
        "zone": calendar.time_zone,
    }
