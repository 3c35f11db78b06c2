"""Bars that show what a whole is made of, with the numbers beside them for whoever does not see the picture."""

from __future__ import annotations

from collections.abc import Sequence

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from opsconsole.core.admin import display
from opsconsole.core.admin.bars import Part, shares_of
from opsconsole.core.admin.pages import Fragment, Link
from opsconsole.core.texts import Text


def strip(parts: Sequence[Part], total: int) -> SafeString:
    """A bar for the cell of a table, with the first part in percent."""
    return render_to_string("console/loyalty/strip.html", _strip(parts, total))


def section(title: Text, parts: Sequence[Part], total: int, *, more: Link | None = None) -> Fragment:
    """A bar as a part of a page, with a legend."""
    return Fragment("console/loyalty/bar.html", title, _strip(parts, total), more=more)


def percent(count: int, total: int) -> int:
    """Whole percents, rounded; a few are not none, and all but a few are not all."""
    if total <= 0 or count <= 0:
        return 0
    return 100 if count >= total else min(max((count * 200 + total) // (2 * total), 1), 99)


def _strip(parts: Sequence[Part], total: int) -> dict[str, object]:
    told = ", ".join(f"{part.label} {display.number(part.count)}" for part in parts)
    return {
        "shares": shares_of(parts, total),
        "legend": list(parts),
        "told": told,
        "percent": percent(parts[0].count if parts else 0, total),
    }
