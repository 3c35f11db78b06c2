"""What needs the viewer now: one line for each kind of thing that waits for people, with its number and its list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import ngettext

from opsconsole.approvals import selectors as approvals_selectors
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import actor_of

MOST_COUNTED: Final = 1_000  # beyond this, how many exactly helps nobody


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits: how many there are, what they are, how urgent, and where they stand."""

    count: str
    text: str
    tone: str
    url: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing that may wait: the rows of a model that do, and how the list is narrowed to them."""

    label: str
    words: Callable[[int], str]
    tone: str
    waiting: dict[str, Any]
    narrowed: dict[str, str]


def _incidents(count: int) -> str:
    return ngettext("incident that nobody has taken up", "incidents that nobody has taken up", count)


def _unknown(count: int) -> str:
    return ngettext("step whose outcome a person must find out", "steps whose outcome a person must find out", count)


def _reviews(count: int) -> str:
    return ngettext("review after the fact is still open", "reviews after the fact are still open", count)


def _paused(count: int) -> str:
    return ngettext("run is paused", "runs are paused", count)


def _breaks(count: int) -> str:
    return ngettext("line of a bank file matches nothing", "lines of bank files match nothing", count)


def _dead(count: int) -> str:
    return ngettext("notification could not be delivered", "notifications could not be delivered", count)


def _alerts(count: int) -> str:
    return ngettext("budget that runs out and nobody has in hand", "budgets that run out and nobody has in hand", count)


KINDS: Final = (
    Kind("monitoring.Incident", _incidents, "bad", {"status": "open"}, {"status__exact": "open"}),
    Kind("plans.Step", _unknown, "bad", {"status": "unknown", "needs_person": True}, {"status": "unknown"}),
    Kind("approvals.Review", _reviews, "warn", {"status__in": ("open", "overdue")}, {}),
    Kind("loyalty.BudgetAlert", _alerts, "bad", {"status": "open"}, {"status__exact": "open"}),
    Kind("treasury.Break", _breaks, "warn", {"status": "open"}, {"status__exact": "open"}),
    Kind("plans.Run", _paused, "info", {"status": "paused"}, {"status__exact": "paused"}),
    Kind("notifications.Delivery", _dead, "warn", {"status": "dead"}, {"status__exact": "dead"}),
)


def needs(request: HttpRequest) -> Iterator[Need]:
    """What waits, as far as the viewer may see it; nothing for what does not."""
    actor = actor_of(request)
    mine = _waiting_for_me(request, actor)
    if mine is not None:
        yield mine
    for kind in KINDS:
        model = apps.get_model(kind.label)
        rows = _visible(request, model, actor)
        if rows is None:
            continue
        count = _counted(rows.filter(**kind.waiting))
        if count:
            yield Need(_shown(count), kind.words(count), kind.tone, display.list_url(model, **kind.narrowed))


def _waiting_for_me(request: HttpRequest, actor: Actor) -> Need | None:
    rows = _visible(request, Request, actor)
    if rows is None:
        return None
    count = _counted(approvals_selectors.decidable_by(rows, actor))
    if not count:
        return None
    text = ngettext("request waits for your approval", "requests wait for your approval", count)
    return Need(_shown(count), text, "info", display.list_url(Request, mine="1"))


def _visible(request: HttpRequest, model: type[Model], actor: Actor) -> QuerySet[Any] | None:
    shown: Any = admin.site._registry.get(model)
    if shown is None or not shown.has_view_permission(request):
        return None
    rows: QuerySet[Any] = shown.visible(actor)
    return rows


def _counted(rows: QuerySet[Any]) -> int:
    return rows.order_by().values("pk")[: MOST_COUNTED + 1].count()


def _shown(count: int) -> str:
    return display.number(count) if count <= MOST_COUNTED else f"> {display.number(MOST_COUNTED)}"
