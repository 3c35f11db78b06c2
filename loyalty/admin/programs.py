"""Programs: their budget and how fast it goes, what flows, and what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.formats import localize
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from loyalty import access
from loyalty.admin import liability
from loyalty.admin.program_buttons import (
    CarryOutOnProgram,
    ChangeBudget,
    ChangeRate,
    NewProgram,
    Resume,
    Suspend,
)
from loyalty.admin.program_pictures import budget, burn, decision, outlook, percent, points
from loyalty.admin.rules import effect_of
from loyalty.admin.tiers import times
from loyalty.models import Balance, Campaign, Program, Rule, Tier
from opsconsole.approvals.admin.deeds import waiting
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Column, Facts, Link, Section, Table
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of

CAMPAIGNS_SHOWN: Final = 10


@admin.register(Program)
class ProgramAdmin(ConsoleAdmin[Program]):
    """Programs, the newest first."""

    list_display = ("name", "state", "limit", "spent", "left", "rate")
    nothing = _("There is no loyalty program yet: set one up with its budget of points.")
    list_filter = ("status",)
    ordering = ("-id",)
    search_fields = ("name",)
    row_actions = (CarryOutOnProgram(), ChangeBudget(), ChangeRate(), Suspend(), Resume())

    def visible(self, actor: Actor) -> QuerySet[Program]:
        """The programs the actor may see."""
        return access.visible_programs(actor)

    def get_urls(self) -> list[URLPattern]:
        """With the page of the points that expire, which is about one program or all."""
        return [self._url("liability/", "liability", self.liability_view), *super().get_urls()]

    @method_decorator(require_safe)
    def liability_view(self, request: HttpRequest) -> HttpResponse:
        """What is owed to members by the month in which it expires."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {"heading": _("Points that expire"), "sections": liability.sections(request)}
        return self._render(request, self.detail_template, None, context)

    def list_actions(self) -> Sequence[Action[None]]:
        """Set one up."""
        return [NewProgram()]

    @admin.display(description=_("state"))
    def state(self, program: Program) -> SafeString:
        """Its state."""
        return display.state_of(program)

    @admin.display(description=_("budget"))
    def limit(self, program: Program) -> str:
        """Points that may be given."""
        return points(program.budget_limit)

    @admin.display(description=_("spent"))
    def spent(self, program: Program) -> str:
        """Points that were given, and the share."""
        return f"{points(program.budget_spent)} ({percent(program.budget_spent, program.budget_limit)})"

    @admin.display(description=_("left"))
    def left(self, program: Program) -> str:
        """Points that can still be given."""
        return points(program.budget_left)

    @admin.display(description=_("earn rate"))
    def rate(self, program: Program) -> str:
        """Points per unit spent."""
        return str(localize(program.earn_rate.normalize()))

    def badge(self, row: Program) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def sections(self, request: HttpRequest, row: Program) -> Sequence[Section]:
        """What its budget says to do, how full it is and how fast it goes, the flow, the campaigns."""
        return [
            *decision(row),
            *waiting(row),
            budget(row),
            *outlook(row),
            burn(request, row),
            campaigns_table(row),
        ]

    def side(self, _request: HttpRequest, row: Program) -> Sequence[Section]:
        """What it is made of."""
        return [
            Facts(
                _("Program"),
                [
                    (_("description"), row.description or display.NOTHING),
                    (_("earn rate"), self.rate(row)),
                    (_("points are valid"), _validity(row)),
                    (_("set up"), display.moment(row.created_at)),
                    (_("last changed"), display.moment(row.updated_at)),
                ],
                more=Link(display.list_url(Balance, program__id__exact=row.pk), _("Its members")),
            ),
            *liability.soon(row),
            tiers_table(row),
            rules_table(row),
        ]

    def foot(self, request: HttpRequest, row: Program) -> Sequence[Section]:
        """What was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Program._meta.db_table, row.pk))]


def campaigns_table(program: Program) -> Table:
    """Its newest campaigns."""
    found = Campaign.objects.filter(program=program).order_by("-created_at")[:CAMPAIGNS_SHOWN]
    return Table(
        _("Campaigns"),
        [
            _("campaign"),
            _("state"),
            _("starts"),
            Column(_("members awarded"), right=True),
            Column(_("points awarded"), right=True),
        ],
        [
            [
                display.row_link(one) if admin.site.is_registered(Campaign) else one.name,
                display.state_of(one),
                display.moment(one.start_date),
                display.number(one.users_awarded),
                display.number(one.total_points_awarded),
            ]
            for one in found
        ],
        empty=_("It has had no campaign yet."),
    )


def tiers_table(program: Program) -> Table:
    """Its tiers, the lowest first."""
    return Table(
        _("Tiers"),
        [_("tier"), Column(_("from"), right=True), Column(_("earns"), right=True)],
        [
            [display.row_link(tier), display.number(tier.threshold), times(tier)]
            for tier in Tier.objects.filter(program=program).order_by("rank")
        ],
        empty=_("It has no tiers."),
    )


def rules_table(program: Program) -> Table:
    """Its rules of earning that are switched on."""
    return Table(
        _("Earning rules"),
        [_("rule"), _("does")],
        [
            [display.row_link(rule), effect_of(rule)]
            for rule in Rule.objects.filter(program=program, active=True).order_by("name")
        ],
        empty=_("It has none."),
    )


def _validity(program: Program) -> str:
    if program.points_valid_months is None:
        return now_("for ever")
    months = program.points_valid_months
    return ngettext("for %(months)s month", "for %(months)s months", months) % {"months": months}
