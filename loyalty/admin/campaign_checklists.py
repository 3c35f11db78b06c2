"""The runbook's checklists on the page of a campaign: what a machine knows, and what a person has to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty.campaigns.checklist import Checklist, Item, checklists
from loyalty.models import Campaign
from loyalty.states import CampaignState
from opsconsole.core.admin import display
from opsconsole.core.admin.base import actor_of
from opsconsole.core.admin.pages import Fragment, Link
from opsconsole.core.texts import Text

WHEN: Final[dict[str, Text]] = {"before": _("T-24 h"), "launch": _("T=0"), "after": _("T+1 h")}
# What no figure answers: whoever goes through the list ticks it.
BY_HAND: Final[dict[str, Sequence[Text]]] = {
    "before": (
        _("The number of members is plausible, neither far too high nor far too low"),
        _("The projected return on investment was looked at"),
        _("After the test run, the metric has moved"),
    ),
    "launch": (_("Somebody watches the metrics and the workers' log"),),
    "after": (_("Some of the members awarded were looked at"),),
}
# The list that matters in a state stands open.
OPEN: Final = {
    CampaignState.DRAFT.value: "before",
    CampaignState.SCHEDULED.value: "before",
    CampaignState.RUNNING.value: "launch",
    CampaignState.PAUSED.value: "launch",
    CampaignState.COMPLETED.value: "after",
    CampaignState.FAILED.value: "after",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A point that a machine has looked at."""

    standing: SafeString
    label: Text
    detail: Text


@dataclass(frozen=True, slots=True)
class List:
    """One of the three lists, as the page has it."""

    when: Text
    title: Text
    standing: SafeString
    lines: Sequence[Line]
    by_hand: Sequence[Text]
    is_open: bool


def section(request: HttpRequest, campaign: Campaign) -> Fragment:
    """The three lists as things stand now; with the way to the runbook for those who may read it."""
    more = None
    if actor_of(request).may("runbooks.view_runbook"):
        runbook = reverse("admin:runbooks_runbook", args=["loyalty-campaign-launch"])
        more = Link(f"{runbook}?campaign_id={campaign.pk}", _("The runbook, with its diagnostics"))
    return Fragment(
        "console/loyalty/checklists.html",
        _("Checklists"),
        {"lists": [_list(one, campaign) for one in checklists(campaign)]},
        more=more,
    )


def _list(one: Checklist, campaign: Campaign) -> List:
    return List(
        when=WHEN[one.key],
        title=one.title,
        standing=_all_of(one, reached=one.key in _reached(campaign)),
        lines=[_line(item) for item in one.items],
        by_hand=BY_HAND[one.key],
        is_open=OPEN.get(campaign.status) == one.key,
    )


def _line(item: Item) -> Line:
    return Line(_standing(item.holds), item.label, item.detail)


def _standing(holds: bool | None) -> SafeString:  # noqa: FBT001 - this is what it shows
    if holds is None:
        return display.label(_("not yet"), "plain")
    return display.label(_("in order"), "good") if holds else display.label(_("not in order"), "bad")


def _reached(campaign: Campaign) -> tuple[str, ...]:
    """The lists whose time has come: what is still to come is no alarm."""
    keys = tuple(WHEN)
    return keys[: keys.index(OPEN.get(campaign.status, keys[0])) + 1]


def _all_of(one: Checklist, *, reached: bool) -> SafeString:
    holding = sum(1 for item in one.items if item.holds)
    told = now_("%(holding)s of %(all)s in order") % {"holding": holding, "all": len(one.items)}
    tones = {True: "good", False: "bad" if reached else "plain", None: "plain"}
    return display.label(told, tones[one.holds])
