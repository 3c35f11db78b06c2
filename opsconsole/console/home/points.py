"""How loyalty stands, in a few numbers that each lead on: budgets, campaigns, fraud, disputes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from django.contrib import admin
from django.db.models import Exists, Model, OuterRef, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from loyalty import budgets
from loyalty.campaigns import progress
from loyalty.models import Campaign, Dispute, FraudHit, Program
from loyalty.states import CampaignState, DisputeState, HitState
from opsconsole.approvals.models import Request
from opsconsole.approvals.states import RequestState
from opsconsole.console.home.needs import MOST_COUNTED
from opsconsole.core.admin import display
from opsconsole.core.admin.base import actor_of
from opsconsole.core.admin.pages import Figures, Link
from opsconsole.core.texts import Text

Figure = tuple[Text, Any, str]
NEAR: Final = budgets.THRESHOLDS[0]  # percent of a budget


def loyalty(request: HttpRequest) -> Figures:
    """What goes on and what waits in the programs that the viewer may see."""
    figures = [
        *_of(request, Program, _near_their_limit),
        *_of(request, Campaign, _campaigns),
        *_of(request, FraudHit, _fraud),
        *_of(request, Dispute, _disputes),
    ]
    return Figures(_("Loyalty"), figures, more=Link(display.list_url(Program), _("All programs")))


def _of(
    request: HttpRequest, model: type[Model], figures: Callable[[QuerySet[Any]], Iterator[Figure]]
) -> Iterator[Figure]:
    """The figures over the rows of a model that the viewer may see; none where that is none."""
    shown: Any = admin.site._registry[model]
    if shown.has_view_permission(request):
        yield from figures(shown.visible(actor_of(request)))


def _near_their_limit(rows: QuerySet[Any]) -> Iterator[Figure]:
    near = list(rows.filter(budgets.crossed(NEAR))[: MOST_COUNTED + 1])
    yield _figure(_("programs at 90 percent of their budget, or over"), len(near), _only_or_all(near, Program))


def _campaigns(rows: QuerySet[Any]) -> Iterator[Figure]:
    running = rows.filter(status=CampaignState.RUNNING)
    yield _figure(
        _("campaigns running"), _counted(running), display.list_url(Campaign, status__exact=CampaignState.RUNNING.value)
    )
    found = list(rows.filter(pk__in=progress.stuck_campaigns())[: MOST_COUNTED + 1])
    yield _figure(_("campaigns stuck"), len(found), _only_or_all(found, Campaign))
    asked = Request.objects.filter(
        subject_kind=Campaign._meta.db_table,
        subject_id=Cast(OuterRef("pk"), TextField()),
        status=RequestState.PENDING,
    )
    yield _figure(
        _("launches that wait for approval"),
        _counted(rows.filter(Exists(asked), status=CampaignState.SCHEDULED)),
        display.list_url(Campaign, status__exact=CampaignState.SCHEDULED.value),
    )


def _fraud(rows: QuerySet[Any]) -> Iterator[Figure]:
    yield _figure(
        _("fraud hits to be looked at"),
        _counted(rows.filter(status=HitState.OPEN)),
        display.list_url(FraudHit, standing=HitState.OPEN.value),
    )


def _disputes(rows: QuerySet[Any]) -> Iterator[Figure]:
    yield _figure(
        _("disputes open"),
        _counted(rows.filter(status=DisputeState.OPEN)),
        display.list_url(Dispute, standing=DisputeState.OPEN.value),
    )


def _only_or_all(found: Sequence[Model], model: type[Model]) -> str:
    """The page of the only one, or the list."""
    return display.row_url(found[0]) if len(found) == 1 else display.list_url(model)


def _figure(name: Text, count: int, url: str) -> Figure:
    shown = display.number(count) if count <= MOST_COUNTED else f"> {display.number(MOST_COUNTED)}"
    return name, shown, url if count else ""


def _counted(rows: QuerySet[Any]) -> int:
    return rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
