"""Progress: how far something has come, as a card of a page that looks again by itself while it goes on."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.template.loader import render_to_string

from opsconsole.core.admin.pages import Fragment
from opsconsole.core.texts import Text


def progress_card(title: Text, template: str, context: dict[str, Any], *, live_url: str) -> Fragment:
    """The card with this template inside, which the page fetches anew from `live_url`; never, where that is empty."""
    inside = render_to_string(template, context)
    return Fragment("console/sections/progress.html", title, {"inside": inside, "live_url": live_url})


def progress_answer(template: str, context: dict[str, Any], *, live: bool) -> HttpResponse:
    """The inside of the card alone; the header says whether to look again."""
    headers = {"Ops-Live": "yes" if live else "no", "Cache-Control": "no-store"}
    return HttpResponse(render_to_string(template, context), headers=headers)
