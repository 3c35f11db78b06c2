"""How what the database answers looks on a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.apps import apps
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from opsconsole.core.admin import display, pages
from opsconsole.core.admin.pages import Facts, Table
from opsconsole.core.admin.viewing import opens
from opsconsole.core.texts import Text
from opsconsole.runbooks.diagnostics import Column, Diagnostic, Shown
from opsconsole.runbooks.running import MOST_ROWS, Outcome

WIDE: Final = 5  # columns


def answer(diagnostic: Diagnostic, outcome: Outcome) -> Table | Facts:
    """What a diagnostic found: a table; the only row of a wide one as names and values."""
    if len(outcome.rows) == 1 and len(diagnostic.columns) >= WIDE:
        (row,) = outcome.rows
        pairs = zip(diagnostic.columns, row, strict=True)
        return Facts("", [(column.label, cell(column, value)) for column, value in pairs])
    return Table(
        "",
        [pages.Column(column.label, right=column.shown.is_number) for column in diagnostic.columns],
        [[cell(column, value) for column, value in zip(diagnostic.columns, row, strict=True)] for row in outcome.rows],
        empty=diagnostic.empty or _("There is nothing like that."),
    )


def told(outcome: Outcome) -> str:
    """How many rows there are, and how long that took."""
    count = len(outcome.rows)
    rows = ngettext("%(count)s row in %(time)s ms.", "%(count)s rows in %(time)s ms.", count) % {
        "count": display.number(count),
        "time": display.number(outcome.milliseconds),
    }
    more = _("These are the first %(most)s; there are more.") % {"most": MOST_ROWS} if outcome.more else ""
    return f"{rows} {more}".strip()


def cell(column: Column, value: Any) -> Text:
    """One value as its column says."""
    if value is None or value in ("", []):
        return display.NOTHING
    if column.tell is not None:
        return column.tell(value)
    if column.of:
        return _key(column.of, str(value))
    return _shown(column, value)


def _shown(column: Column, value: Any) -> Text:
    match column.shown:
        case Shown.NUMBER:
            return display.number(int(value))
        case Shown.AMOUNT:
            return display.amount(value)
        case Shown.SPAN if isinstance(value, timedelta):
            return _span(value)
        case Shown.FLAG:
            return display.yes_no(bool(value))
        case Shown.STATE:
            return display.state_label(str(value), column.words.get(str(value), ""))
        case Shown.CODE:
            return display.code(str(value))
        case Shown.JSON:
            return display.plain(json.loads(value) if isinstance(value, str) else value)
        case _:
            return figure(value)


def figure(value: Any) -> Text:
    """A value by what it is, for a cell or in a sentence."""
    match value:
        case None:
            return display.NOTHING
        case bool():
            return display.yes_no(value)
        case int():
            return display.number(value)
        case Decimal() if not value.is_finite():
            return "∞"
        case Decimal():
            return display.amount(value) if value != value.to_integral_value() else display.number(int(value))
        case datetime():
            return display.moment(value)
        case date():
            return value.isoformat()
        case list() | tuple():
            return ", ".join(map(str, value)) or display.NOTHING
        case _:
            return str(value)


def in_a_sentence(figures: Mapping[str, Any], words: Mapping[str, Text]) -> dict[str, str]:
    """Figures as they stand within a sentence: without marks of their own."""
    return {name: _said(value, words) for name, value in figures.items()}


def _said(value: Any, words: Mapping[str, Text]) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(words.get(value) or figure(value)) if isinstance(value, str) else str(figure(value))


def _span(value: timedelta) -> str:
    """Short ones to the tenth: what lasts a second is what is looked for."""
    seconds = value.total_seconds()
    if seconds < 60:  # noqa: PLR2004 - a minute
        return _("%(seconds)s s") % {"seconds": f"{seconds:.1f}"}
    return display.duration(value)


def _key(label: str, key: str) -> Text:
    """A key that leads to the row's page where there is one for the viewer, and can be copied anyhow."""
    model = apps.get_model(label)
    short = display.short_id(key)
    if not opens(model, key):
        return display.copyable(key, short)
    return format_html(
        '<span class="ops-copied">{}{}</span>', display.row_link_of(model, key, short), display.copy_button(key)
    )
