"""Charts over days, each with its numbers as a table beside it, for whoever does not see the picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from django.utils.formats import date_format
from django.utils.translation import gettext, pgettext

from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Fragment, Link
from opsconsole.core.texts import Text

TEMPLATE: Final = "console/sections/chart.html"
# Colours that are told apart in both themes and by people who see red and green alike.
BLUE, GREEN, ORANGE = "#3b82f6", "#16a34a", "#f97316"

Kind = Literal["bar", "line"]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart, or its bars of one colour: a value for each day, the oldest first."""

    name: Text
    colour: str
    values: Sequence[float]
    shown: Sequence[Text] = ()  # the values as the table says them; whole numbers where nothing is said
    line: bool = False  # a line, where the others are bars
    is_limit: bool = False  # a line across the bars, which sums to nothing and alone makes no row of the table


def chart(
    title: Text,
    days: Sequence[date],
    series: Sequence[Series],
    *,
    kind: Kind = "bar",
    stacked: bool = True,
    unit: str = "",
    summary: Text = "",
    form: str = "",
    tabs: Sequence[tuple[Text, str, bool]] = (),
    more: Link | None = None,
) -> Fragment:
    """A chart; `summary` says in a line what it shows, else what each series sums to. Empty days are no rows.

    `form` is the date format of a label, where that is not a day; `tabs` are the stretches of time to choose from:
    name, address, and whether it is the one that is shown.
    """
    labels = [date_format(day, form or pgettext("the date format of a day in a chart", "j M")) for day in days]
    told = summary or ", ".join(_sum_of(one) for one in series if not one.is_limit)
    return Fragment(
        TEMPLATE,
        title,
        {
            "kind": kind,
            "unit": unit,
            "data": json.dumps({"labels": labels, "datasets": [_dataset(one, kind, stacked) for one in series]}),
            "sums": told,
            "tabs": tabs,
            "heads": [one.name for one in series],
            "rows": [
                (label, [_said(one, place) for one in series])
                for place, label in enumerate(labels)
                if kind == "line" or any(one.values[place] for one in series if not one.is_limit)
            ],
        },
        more=more,
    )


def _sum_of(one: Series) -> str:
    return gettext("%(name)s: %(sum)s") % {"name": one.name, "sum": display.number(int(sum(one.values)))}


def _dataset(one: Series, kind: Kind, stacked: bool) -> dict[str, object]:  # noqa: FBT001 - passed on
    if one.is_limit:
        line = {"type": "line", "borderColor": one.colour, "borderWidth": 2, "borderDash": [6, 4], "pointRadius": 0}
        return {"label": str(one.name), "data": list(one.values), "backgroundColor": one.colour, **line}
    if one.line and kind == "bar":
        return {**_dataset(one, "line", stacked), "type": "line", "order": -1}
    # unfold draws bars 4 pixels wide and on top of one another, unless the bars say otherwise.
    bars = {"stack": "all"} if stacked else {"stack": str(one.name), "grouped": True}
    return {
        "label": str(one.name),
        "data": list(one.values),
        "displayYAxis": True,
        "maxTicksXLimit": 8,
        "backgroundColor": one.colour,
        **({"borderColor": one.colour, **_dot(one)} if kind == "line" else {"maxBarThickness": 10, **bars}),
    }


def _dot(one: Series) -> dict[str, object]:
    # A line through one day is no line.
    return {"pointRadius": 4, "pointStyle": "circle"} if len(one.values) == 1 else {}


def _said(one: Series, place: int) -> Text:
    return one.shown[place] if one.shown else display.number(int(one.values[place]))
