"""Programs: their budget and how fast it goes, what flows, and what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty import access, flows
from loyalty.admin.program_buttons import (
    CarryOutOnProgram,
    ChangeBudget,
    ChangeRate,
    NewProgram,
    Resume,
    Suspend,
)
from loyalty.models import Balance, Campaign, Program, Rule, Tier
from opsconsole.approvals.admin.deeds import waiting
from opsconsole.core.actors import Actor
from opsconsole.core.admin import charts, display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Column, Facts, Figures, Link, Notice, Section, Table
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of

# The runbook's decision matrix (4.3), by what is left of the budget.
WATCH_ABOVE: Final = Decimal("0.10")
ACT_BELOW: Final = Decimal("0.05")
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
        return f"{points(program.budget_spent)} ({share_used(program):.1f} %)"

    @admin.display(description=_("left"))
    def left(self, program: Program) -> str:
        """Points that can still be given."""
        return points(program.budget_left)

    @admin.display(description=_("earn rate"))
    def rate(self, program: Program) -> str:
        """Points per unit spent."""
        return f"{program.earn_rate.normalize():f}"

    def badge(self, row: Program) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def sections(self, _request: HttpRequest, row: Program) -> Sequence[Section]:
        """What its budget says to do, the figures, the flow, the campaigns."""
        return [*decision(row), *waiting(row), figures(row), flow_chart(row), campaigns_table(row)]

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
            tiers_table(row),
            rules_table(row),
        ]

    def foot(self, request: HttpRequest, row: Program) -> Sequence[Section]:
        """What was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Program._meta.db_table, row.pk))]


def points(value: Decimal | int) -> str:
    """Points, which are whole but for a budget that somebody typed with decimals."""
    return display.number(int(value)) if value == int(value) else display.amount(Decimal(value))


def share_used(program: Program) -> Decimal:
    """What is spent of the budget, in percent."""
    return program.budget_spent / program.budget_limit * 100


def decision(program: Program) -> list[Section]:
    """What the runbook has people do at this level of the budget; nothing while there is plenty."""
    left = program.budget_left / program.budget_limit
    if left > WATCH_ABOVE:
        return []
    remains = now_("%(points)s points (%(share)s %%) are left.") % {
        "points": points(program.budget_left),
        "share": f"{left * 100:.1f}",
    }
    if left < ACT_BELOW:
        told = now_("%(remains)s Act now: have the budget raised, or lower the earn rate until it is.")
        return [Notice(told % {"remains": remains}, "bad", _("Budget nearly exhausted"))]
    told = now_("%(remains)s Tell the merchant, and prepare an increase.")
    return [Notice(told % {"remains": remains}, "warn", _("Budget running low"))]


def figures(program: Program) -> Figures:
    """The budget in numbers."""
    return Figures(
        _("Budget, in points"),
        [
            (_("limit"), points(program.budget_limit), ""),
            (_("spent"), points(program.budget_spent), ""),
            (_("reserved by campaigns"), points(program.budget_reserved), ""),
            (_("left"), points(program.budget_left), ""),
            (_("used"), f"{share_used(program):.1f} %", ""),
        ],
    )


def flow_chart(program: Program) -> Section:
    """Points given and taken, day by day."""
    days = flows.by_day(program.pk, today=datetime.now(tz=UTC).date())
    return charts.chart(
        now_("Points, last %(days)s days") % {"days": len(days)},
        [one.day for one in days],
        [
            charts.Series(_("given"), charts.BLUE, [float(one.given) for one in days]),
            charts.Series(_("redeemed or taken back"), charts.ORANGE, [float(one.taken) for one in days]),
        ],
        stacked=False,
    )


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
            [tier.name, display.number(tier.threshold), f"x {tier.multiplier.normalize():f}"]
            for tier in Tier.objects.filter(program=program).order_by("rank")
        ],
        empty=_("It has no tiers."),
    )


def rules_table(program: Program) -> Table:
    """Its rules of earning that are switched on."""
    return Table(
        _("Earning rules"),
        [_("rule"), _("does")],
        [[rule.name, _rule(rule)] for rule in Rule.objects.filter(program=program, active=True).order_by("name")],
        empty=_("It has none."),
    )


def _rule(rule: Rule) -> str:
    if rule.multiplier is not None:
        return now_("multiplies by %(factor)s") % {"factor": f"{rule.multiplier.normalize():f}"}
    return now_("at most %(points)s points in %(days)s days") % {
        "points": display.number(rule.cap_points or 0),
        "days": rule.period_days,
    }


def _validity(program: Program) -> str:
    if program.points_valid_months is None:
        return now_("for ever")
    return now_("for %(months)s months") % {"months": program.points_valid_months}
