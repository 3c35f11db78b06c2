"""What a program's budget looks like: how full it is, how fast it goes, when it is gone, and what to do by then."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from loyalty import budgets, flows
from loyalty.flows import Flow, Period
from loyalty.models import Program
from opsconsole.core.admin import charts, display
from opsconsole.core.admin.bars import Part, shares_of
from opsconsole.core.admin.pages import Column, Figures, Fragment, Notice, Section, Table
from opsconsole.core.texts import Text

MARK: Final = budgets.THRESHOLDS[0]  # percent, at which an alert is raised
PERIOD: Final = "period"  # the parameter of the page


def points(value: Decimal | int) -> str:
    """Points, which are whole but for a budget that somebody typed with decimals."""
    return display.number(int(value)) if value == int(value) else display.amount(Decimal(value))


def percent(part: Decimal, whole: Decimal) -> str:
    """A share in percent, with one decimal."""
    return f"{share_of(part, whole)} %"


def share_of(part: Decimal, whole: Decimal) -> str:
    """The same without its sign, for a sentence that has it."""
    return number_format(round(part * 100 / whole, 1), 1, use_l10n=True)


def minute(at: datetime | None) -> SafeString | str:
    """A time among figures: to the minute, and how far ahead it is."""
    if at is None:
        return display.NOTHING
    return format_html('{} <span class="ops-subtle">{}</span>', f"{at:%Y-%m-%d %H:%M}", display.relative(at))


# The colour of what is spent, by what that has people do: a bar that is nearly full is no longer green.
_FILLED: Final = {
    budgets.Decision.WATCH: "succeeded",
    budgets.Decision.PREPARE: "warned",
    budgets.Decision.ACT: "failed",
}


def budget(program: Program) -> Fragment:
    """The budget as a bar: spent, reserved, left, and where the alert stands."""
    used = program.budget_spent + program.budget_reserved
    parts = [
        Part(_FILLED[budgets.decide(program.budget_left, program.budget_limit)], _("spent"), int(program.budget_spent)),
        Part("running", _("reserved by campaigns"), int(program.budget_reserved)),
        Part("left", _("left"), int(program.budget_left)),
    ]
    limit = program.budget_limit
    said = [
        (part.colour, part.label, points(value), percent(value, limit))
        for part, value in zip(parts, (program.budget_spent, program.budget_reserved, program.budget_left), strict=True)
    ]
    told = ", ".join(f"{label} {value} ({share})" for _colour, label, value, share in said)
    return Fragment(
        "console/loyalty/budget.html",
        _("Budget, in points"),
        {
            "shares": shares_of(parts[:2], int(limit) or 1),
            "mark": MARK,
            "legend": said,
            "limit": points(limit),
            "used": percent(used, limit),
            "told": told,
        },
    )


def outlook(program: Program) -> list[Section]:
    """How fast the budget goes and when it is gone; the runbook's matrix with the line that holds now."""
    now = budgets.decide(program.budget_left, program.budget_limit)
    matrix = Table(
        _("What to do, by what is left"),
        [_("left"), _("what to do"), Column("")],
        [
            [
                format_html('<span class="ops-whole">{}</span>', text),
                decision.label,
                display.label(_("now"), tone) if decision is now else "",
            ]
            for decision, text, tone in (
                (budgets.Decision.WATCH, _("> 10 %"), "good"),
                (budgets.Decision.PREPARE, _("5 to 10 %"), "warn"),
                (budgets.Decision.ACT, _("< 5 %"), "bad"),
            )
        ],
    )
    try:
        with flows.quickly():
            standing = budgets.standing_of(program)
    except flows.TooMuch as error:
        return [Notice(error.message, "info", _("Burn rate")), matrix]
    gone: Any = _("not at this rate")
    if standing.left <= 0:
        gone = _("it is gone")
    elif standing.exhausted_at is not None:
        gone = minute(standing.exhausted_at)
    young = datetime.now(tz=UTC) - program.created_at < budgets.BURN_OVER
    return [
        Figures(
            _("How long it lasts"),
            [
                (_("left"), points(standing.left), ""),
                (
                    _("burn rate, points a day since it was set up")
                    if young
                    else _("burn rate, points a day over 7 days"),
                    points(standing.burn_per_day),
                    "",
                ),
                (_("awarded in these 7 days"), points(sum(day.points for day in standing.days)), ""),
                (_("exhausted, at this rate"), gone, ""),
            ],
        ),
        matrix,
    ]


def chosen_period(request: HttpRequest, program: Program, today: date) -> Period:
    """The one that the address names; else the last one that holds something."""
    said = request.GET.get(PERIOD, "")
    return Period(said) if said in {one.value for one in Period} else flows.last_with_something(program.pk, today=today)


def burn(request: HttpRequest, program: Program) -> Section:
    """What was awarded, by day, week or month, beside what members spent; over days, also the mean of seven."""
    today = datetime.now(tz=UTC).date()
    flow = flows.flow(program.pk, chosen_period(request, program, today), today=today)
    series = [
        charts.Series(_("awarded"), charts.BLUE, [float(bar.awarded) for bar in flow.bars]),
        charts.Series(_("redeemed, expired or taken off"), charts.ORANGE, [float(bar.gone) for bar in flow.bars]),
    ]
    if flow.period.step == "day":
        series.append(
            charts.Series(
                _("awarded a day, mean of 7 days"),
                charts.GREEN,
                flow.rates,
                [_mean(rate) for rate in flow.rates],
                line=True,
            )
        )
    return charts.chart(
        _TITLES[flow.period.step],
        [bar.day for bar in flow.bars],
        series,
        stacked=False,
        summary=_summary(flow),
        form=_form(flow),
        tabs=[(one.label, f"?{PERIOD}={one.value}#stretches", one is flow.period) for one in Period],
    )


_TITLES: Final[dict[str, Text]] = {
    "day": _("Points a day"),
    "week": _("Points a week"),
    "month": _("Points a month"),
}


def _mean(rate: float) -> str:
    return number_format(round(rate, 1), 1, use_l10n=True, force_grouping=True)


def _form(flow: Flow) -> str:
    if flow.period.step == "month":
        return pgettext("the date format of a month in a chart", "M Y")
    return ""


def _summary(flow: Flow) -> str:
    """What the chart comes to, and how far that can be trusted."""
    told = now_("%(awarded)s awarded, %(gone)s redeemed, expired or taken off.") % {
        "awarded": points(sum(bar.awarded for bar in flow.bars)),
        "gone": points(sum(bar.gone for bar in flow.bars)),
    }
    if flow.gaps:
        told = " ".join([told, now_("Months in which nothing moved are left out.")])
    if not flow.sampled:
        return told
    guessed = now_("Estimated from %(rows)s transactions: there are more than can be added up for a page.")
    return f"{told} {guessed % {'rows': display.number(flow.sampled)}}"


def decision(program: Program) -> list[Section]:
    """What the runbook has people do at this level of the budget; nothing while there is plenty."""
    found = budgets.decide(program.budget_left, program.budget_limit)
    if found is budgets.Decision.WATCH:
        return []
    remains = now_("%(points)s points (%(share)s %%) are left.") % {
        "points": points(program.budget_left),
        "share": share_of(program.budget_left, program.budget_limit),
    }
    if found is budgets.Decision.ACT:
        told = now_("%(remains)s Act now: have the budget raised, or lower the earn rate until it is.")
        return [Notice(told % {"remains": remains}, "bad", _("Budget nearly exhausted"))]
    told = now_("%(remains)s Tell the merchant, and prepare an increase.")
    return [Notice(told % {"remains": remains}, "warn", _("Budget running low"))]
