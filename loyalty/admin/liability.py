"""Points that expire: what is still owed to members by the month in which it is gone, and what would go by a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import groupby
from typing import Any, Final, cast
from uuid import UUID

from django import forms
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from loyalty import access, expiry, flows
from loyalty.admin.words import in_members
from loyalty.expiry import Month
from loyalty.models import Liability, Program
from opsconsole.core.admin import display
from opsconsole.core.admin.base import actor_of
from opsconsole.core.admin.pages import Column, Facts, Figures, Fragment, Link, Notice, Section, Table
from opsconsole.core.texts import Text

CALENDAR: Final = "console/loyalty/months.html"
SOON: Final = 3  # months on the page of the program
TALLEST: Final = 100
A_YEAR: Final = 12  # months


class ExpiryForm(forms.Form):
    """Which program, and by which day."""

    program = forms.ModelChoiceField(Program.objects.none(), label=_("Program"), required=False, empty_label=_("all"))
    as_of = forms.DateField(
        label=_("What would have expired by"),
        help_text=_("In UTC. A day ahead supposes that nobody earns or spends anything until then."),
        required=False,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, programs: QuerySet[Program], data: Any) -> None:
        super().__init__(data)
        cast("forms.ModelChoiceField[Program]", self.fields["program"]).queryset = programs

    def clean(self) -> dict[str, Any] | None:
        """A day is for one program; raises ValidationError for none."""
        if self.cleaned_data.get("as_of") and not self.cleaned_data.get("program") and not self.has_error("program"):
            self.add_error("program", now_("What expires by a day is worked out for one program: choose it."))
        return super().clean()


@dataclass(frozen=True, slots=True)
class Tile:
    """A month in the calendar, filled so high of a hundred."""

    name: str
    points: str
    members: str
    top: str
    height: str


def page_url(program_id: UUID | None = None) -> str:
    """The page; of one program, with its preview."""
    url = reverse("admin:loyalty_program_liability")
    return url if program_id is None else f"{url}?program={program_id}"


def sections(request: HttpRequest) -> list[Section]:
    """The page: the form, then the calendar of one program with its preview, or of all of them."""
    programs = access.visible_programs(actor_of(request)).order_by("name")
    form = ExpiryForm(programs, request.GET if request.GET else None)
    parts: list[Section] = [Fragment("console/loyalty/asked.html", _("Which points"), {"form": form})]
    if form.is_bound and not form.is_valid():
        return parts
    chosen = form.cleaned_data["program"] if form.is_bound else None
    if chosen is not None:
        return [*parts, *_one(chosen, form.cleaned_data["as_of"])]
    expiring = list(programs.filter(points_valid_months__isnull=False))
    if not expiring:
        return [*parts, Notice(_("Points of none of these programs expire."), "info")]
    for program in expiring:
        parts += _stored(program, Link(page_url(program.pk), _("Now, with a preview")))
    return parts


def soon(program: Program) -> list[Section]:
    """What expires next, for the page of the program."""
    if program.points_valid_months is None:
        return []
    found = list(_owed(program)[:SOON])
    return [
        Table(
            _("Points that expire"),
            [_("month"), Column(_("points"), right=True), Column(_("members"), right=True)],
            [[_month(one.month), display.number(one.points), display.number(one.members)] for one in found],
            empty=_("It has not been worked out yet."),
            more=Link(page_url(program.pk), _("The calendar")),
        )
    ]


def _one(program: Program, by: date | None) -> list[Section]:
    """A program as it is now where that can be had in a moment, else as it was added up last."""
    if program.points_valid_months is None:
        return [Notice(now_("Points of %(name)s do not expire.") % {"name": program.name}, "info")]
    now = timezone.now()
    at = now if by is None else datetime.combine(by, time.max, UTC)
    back = Link(display.row_url(program), _("The program"))
    try:
        with flows.quickly():
            found = expiry.preview(program, at)
            owed = expiry.liability(program, now)
    except flows.TooMuch as error:
        told = _("What is owed was added up at the time below; a preview takes longer than a page may.")
        return [Notice(told, "info", error.message), *_stored(program, back)]
    return [_preview(found, at), calendar(program, owed, _("as of now"), back)]


def _preview(found: expiry.Preview, at: datetime) -> Figures:
    return Figures(
        now_("By %(day)s") % {"day": f"{at:%Y-%m-%d}"},
        [
            (_("points that would expire"), display.number(found.points), ""),
            (_("of members"), display.number(found.members), ""),
            (_("held back, as they are locked"), display.number(found.locked_points), ""),
            (_("held back, of frozen members"), display.number(found.frozen_points), ""),
        ],
    )


def _stored(program: Program, more: Link) -> list[Section]:
    found = list(_owed(program))
    if not found:
        told = now_("What %(name)s owes has not been added up yet: that is done once a day.") % {"name": program.name}
        return [Facts(program.name, [(_("owed"), told)], more=more)]
    owed = [Month(one.month, one.members, one.points) for one in found]
    return [calendar(program, owed, display.moment(found[0].worked_out_at), more)]


def _owed(program: Program) -> QuerySet[Liability]:
    return Liability.objects.filter(program=program).order_by(F("month").asc(nulls_first=True))


def calendar(program: Program, owed: Sequence[Month], as_of: Text, more: Link) -> Fragment:
    """The months by year, each as full as its share of the fullest; beside it what is old enough already."""
    tallest = max((month.points for month in owed if month.month), default=0)
    known = {month.month: month for month in owed if month.month is not None}
    due = next((month for month in owed if month.month is None), None)
    first, last = min(known, default=None), max(known, default=None)
    years = [
        (str(year), [_tile(known.get(day), day, tallest) for day in days])
        for year, days in groupby(_months(first, last), key=lambda day: day.year)
    ]
    return Fragment(
        CALENDAR,
        program.name,
        {
            "years": years,
            "as_of": as_of,
            "figures": [
                (_("owed in all"), display.number(sum(month.points for month in owed))),
                (_("old enough to expire"), display.number(due.points if due else 0)),
                (_("valid for"), _validity(program.points_valid_months or 0)),
            ],
        },
        more=more,
    )


def _validity(months: int) -> str:
    return ngettext("%(months)s month", "%(months)s months", months) % {"months": months}


def _months(first: date | None, last: date | None) -> Iterator[date]:
    """The first days of all months between them."""
    if first is None or last is None:
        return
    for number in range(first.year * A_YEAR + first.month - 1, last.year * A_YEAR + last.month):
        year, month = divmod(number, A_YEAR)
        yield date(year, month + 1, 1)


def _tile(month: Month | None, day: date, tallest: int) -> Tile:
    name = date_format(day, "F")
    if month is None or not month.points:
        return Tile(name, "", "", f"{TALLEST}", "0")
    height = max(month.points * TALLEST / tallest, 2)
    return Tile(
        name, display.number(month.points), in_members(month.members), f"{TALLEST - height:.2f}", f"{height:.2f}"
    )


def _month(day: date | None) -> Text:
    return _("old enough") if day is None else date_format(day, "F Y")
