"""Rules of earning: what a program multiplies, and what it caps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext

from loyalty import access
from loyalty.admin.earn_rate import CarryOutAbout, asked_about, asked_table
from loyalty.admin.in_program import OfProgram
from loyalty.admin.rule_buttons import ChangeRule, NewCap, NewMultiplier, SwitchOff, SwitchOn
from loyalty.models import Rule
from opsconsole.approvals.admin.deeds import requests_table
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.pages import Facts, Section
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of


@admin.register(Rule)
class RuleAdmin(ConsoleAdmin[Rule]):
    """Rules, the newest first."""

    list_display = ("name", "of_program", "state", "does", "begins", "ends")
    nothing = _("There are no rules: what is earned is the earn rate, times the member's tier.")
    list_filter = (OfProgram, "kind", "active")
    list_select_related = ("program",)
    ordering = ("-id",)
    search_fields = ("name",)
    row_actions = (CarryOutAbout[Rule]("rule"), ChangeRule(), SwitchOff(), SwitchOn())

    def visible(self, actor: Actor) -> QuerySet[Rule]:
        """The rules the actor may see."""
        return access.visible_rules(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """Make one of either kind."""
        return [NewMultiplier(), NewCap()]

    def head(self, request: HttpRequest) -> Sequence[Section]:
        """What is asked for: a new multiplier is no rule before it is agreed to."""
        return asked_table(actor_of(request))

    @admin.display(description=_("program"))
    def of_program(self, rule: Rule) -> str:
        """In which program."""
        return rule.program.name

    @admin.display(description=_("state"))
    def state(self, rule: Rule) -> SafeString:
        """Whether it holds now."""
        return rule_state(rule)

    @admin.display(description=_("does"))
    def does(self, rule: Rule) -> str:
        """What it does to an earn."""
        return effect_of(rule)

    @admin.display(description=_("holds from"))
    def begins(self, rule: Rule) -> SafeString | str:
        """Since when."""
        return display.moment(rule.starts_at)

    @admin.display(description=_("holds until"))
    def ends(self, rule: Rule) -> SafeString | str:
        """Until when."""
        return display.moment(rule.ends_at)

    def badge(self, row: Rule) -> SafeString:
        """Whether it holds now."""
        return rule_state(row)

    def sections(self, _request: HttpRequest, row: Rule) -> Sequence[Section]:
        """What is asked for, and what it does."""
        facts: list[tuple[Text, Any]] = [
            (_("program"), display.row_link(row.program)),
            (_("does"), effect_of(row)),
            (_("holds from"), display.moment(row.starts_at) if row.starts_at else _("the moment it was made")),
            (_("holds until"), display.moment(row.ends_at) if row.ends_at else _("it is switched off")),
            (_("made"), display.moment(row.created_at)),
            (_("last changed"), display.moment(row.updated_at)),
            (_("id"), display.copyable(str(row.pk))),
        ]
        return [*requests_table(asked_about("rule", row)), Facts(_("Rule"), facts)]

    def foot(self, request: HttpRequest, row: Rule) -> Sequence[Section]:
        """What was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Rule._meta.db_table, row.pk))]


def rule_state(rule: Rule, at: datetime | None = None) -> SafeString:
    """Whether a rule holds at this time, now unless one is given."""
    now = at or timezone.now()
    if not rule.active:
        return display.label(pgettext("a rule", "switched off"), "plain")
    if rule.starts_at is not None and rule.starts_at > now:
        return display.label(pgettext("a rule", "to come"), "info")
    if rule.ends_at is not None and rule.ends_at <= now:
        return display.label(pgettext("a rule", "over"), "plain")
    return display.label(pgettext("a rule", "holds"), "good")


def effect_of(rule: Rule) -> str:
    """What it does, in a few words."""
    if rule.multiplier is not None:
        return now_("multiplies by %(factor)s") % {"factor": f"{rule.multiplier.normalize():f}"}
    days = rule.period_days or 0
    told = ngettext("at most %(points)s points in %(days)s day", "at most %(points)s points in %(days)s days", days)
    return told % {"points": display.number(rule.cap_points or 0), "days": display.number(days)}
