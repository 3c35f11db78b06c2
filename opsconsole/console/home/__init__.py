"""The front page: what needs the viewer now, how it goes against the targets, and whether all is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from loyalty.models import Program
from opsconsole.approvals.models import Request
from opsconsole.console.home import figures, points, sections
from opsconsole.console.home.needs import needs
from opsconsole.console.home.sections import may_see
from opsconsole.core.admin.base import actor_of
from opsconsole.core.admin.pages import Fragment, Notice, Section
from opsconsole.core.models import WorkerHeartbeat
from opsconsole.journal.models import Entry
from opsconsole.monitoring.models import Check, Incident
from opsconsole.plans.models import Plan, Run
from opsconsole.treasury.models import Bank, Payout

# A section is shown to whoever may see rows of its model.
Part = tuple[type[Model], Callable[[HttpRequest], Section]]
WIDE: Final[tuple[Part, ...]] = (
    (Plan, figures.cards),
    (Request, sections.waiting_for_me),
    (Incident, sections.incidents),
    (Run, sections.live_runs),
    (Run, sections.unknown_steps),
    (Program, points.loyalty),
    (Plan, figures.plans_chart),
    (Run, figures.runs_chart),
)
# Figures over all plans are nobody's business who was given single ones.
ABOUT_ALL: Final = (figures.cards, figures.plans_chart, figures.runs_chart)
BESIDE: Final[tuple[Part, ...]] = (
    (Check, sections.checklist),
    (Entry, sections.journal),
    (Bank, sections.banks),
    (Payout, sections.payouts),
)


def home_sections(request: HttpRequest) -> dict[str, Any]:
    """The sections of the front page, as far as the viewer's rights go."""
    wide = [
        make(request)
        for model, make in WIDE
        if may_see(request, model) and (make not in ABOUT_ALL or actor_of(request).may("plans.view_plan"))
    ]
    beside = [make(request) for model, make in BESIDE if may_see(request, model)]
    if wide or beside or may_see(request, WorkerHeartbeat):
        wide.insert(0, Fragment("console/sections/needs.html", _("What needs me now"), {"needs": list(needs(request))}))
        beside.insert(1, sections.health(request))
    else:
        wide.append(
            Notice(_("Your roles give you nothing to see here yet. An admin can tell you what they are for."), "info")
        )
    return {"sections": wide, "side": beside}
