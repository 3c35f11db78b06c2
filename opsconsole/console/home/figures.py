"""The runbook's figures against their targets, and how they went over the last thirty days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from opsconsole.core.admin import charts, display
from opsconsole.core.admin.pages import Fragment, Link
from opsconsole.core.texts import Text
from opsconsole.monitoring.kpis import Kpi, Series, kpis, plans_by_day, runs_by_day
from opsconsole.plans.models import Plan, Run

HOUR: Final = 3600
MINUTE: Final = 60

COLOURS: Final = {"created": charts.BLUE, "succeeded": charts.GREEN, "failed": charts.ORANGE}
NAMES: Final[dict[str, Text]] = {"created": _("drafted"), "succeeded": _("succeeded"), "failed": _("failed or in part")}
LISTS: Final[dict[str, tuple[type[Any], dict[str, str]]]] = {
    "created": (Plan, {}),
    "success": (Run, {}),
    "approval": (Plan, {"status__exact": "staged"}),
    "waiting": (Plan, {"status__exact": "staged"}),
}


@dataclass(frozen=True, slots=True)
class Card:
    """A figure as it is shown."""

    title: Text
    value: str
    target: str
    tone: str
    verdict: Text
    url: str


def cards(_request: HttpRequest) -> Fragment:
    """The four figures, each beside its target."""
    return Fragment(
        "console/sections/kpis.html",
        _("Against the targets, last 7 days"),
        {"cards": [_card(kpi) for kpi in kpis()]},
    )


def plans_chart(_request: HttpRequest) -> Fragment:
    """Plans drafted on each of the last thirty days."""
    return _chart(_("Plans drafted, last 30 days"), *plans_by_day(), more=Link(display.list_url(Plan), _("All plans")))


def runs_chart(_request: HttpRequest) -> Fragment:
    """How the runs of each of the last thirty days ended."""
    return _chart(_("Runs, last 30 days"), *runs_by_day(), more=Link(display.list_url(Run), _("All runs")))


def _card(kpi: Kpi) -> Card:
    model, narrowed = LISTS[kpi.name]
    tones: dict[bool | None, tuple[str, Text]] = {
        True: ("good", _("met")),
        False: ("bad", _("missed")),
        None: ("plain", _("nothing to measure")),
    }
    tone, verdict = tones[kpi.met]
    return Card(
        kpi.title,
        _value(kpi),
        now_("target: %(target)s") % {"target": kpi.target},
        tone,
        verdict,
        display.list_url(model, **narrowed),
    )


def _value(kpi: Kpi) -> str:
    if kpi.value is None:
        return display.NOTHING
    match kpi.unit:
        case "share":
            return f"{number_format(kpi.value * 100, 1, use_l10n=True)} %"
        case "seconds":
            return _duration(kpi.value)
        case _:
            return number_format(kpi.value, 0 if kpi.value == int(kpi.value) else 1, use_l10n=True)


def _duration(seconds: float) -> str:
    if seconds < MINUTE:
        return now_("< 1 min")
    if seconds < HOUR:
        minutes = round(seconds / MINUTE)
        return ngettext("%(count)s minute", "%(count)s minutes", minutes) % {"count": minutes}
    hours = seconds / HOUR
    return now_("%(hours)s h") % {"hours": number_format(hours, 1, use_l10n=True)}


def _chart(title: Text, days: list[date], series: list[Series], *, more: Link) -> Fragment:
    lines = [charts.Series(NAMES[one.name], COLOURS[one.name], one.values) for one in series]
    return charts.chart(title, days, lines, more=more)
