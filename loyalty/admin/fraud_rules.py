"""Fraud rules: what they look for, how right they were, and whom they would hit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from loyalty import access_fraud
from loyalty.admin import rule_sections
from loyalty.admin.fraud_rule_buttons import ChangeRule, CopyRule, LookNow, SwitchOff, SwitchOn, TryOut
from loyalty.fraud.figures import Precision
from loyalty.models import FraudHit, FraudRule, SiraFeedback
from loyalty.states import HitState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Section
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of


def _counted(rows: QuerySet[Any], by: str) -> Coalesce:
    """How many rows of another table there are for a row."""
    counts = rows.order_by().values(by).annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counts, output_field=IntegerField()), 0)


def _verdicts(verdict: HitState) -> Coalesce:
    return _counted(SiraFeedback.objects.filter(rule_code=OuterRef("code"), verdict=verdict.value), "rule_code")


@admin.register(FraudRule)
class FraudRuleAdmin(ConsoleAdmin[FraudRule]):
    """Fraud rules, by name."""

    list_display = ("code", "state", "limits_shown", "precision", "verdicts", "waiting", "locks_shown")
    nothing = _("There is no fraud rule: nobody is looked for.")
    list_filter = ("active", "kind")
    ordering = ("code",)
    search_fields = ("code",)
    row_actions = (TryOut(), SwitchOn(), SwitchOff(), ChangeRule(), LookNow(), CopyRule())

    def visible(self, actor: Actor) -> QuerySet[FraudRule]:
        """All of them, for whoever may see any."""
        return access_fraud.visible_fraud_rules(actor)

    def get_queryset(self, request: HttpRequest) -> QuerySet[FraudRule]:
        """With what people found of their hits."""
        return (
            super()
            .get_queryset(request)
            .annotate(
                confirmed=_verdicts(HitState.CONFIRMED),
                dismissed=_verdicts(HitState.DISMISSED),
                waits=_counted(FraudHit.objects.filter(rule=OuterRef("pk"), status=HitState.OPEN), "rule"),
            )
        )

    @admin.display(description=_("state"))
    def state(self, rule: FraudRule) -> SafeString:
        """Whether it looks."""
        if rule.active:
            return display.label(pgettext("a fraud rule", "on"), "good")
        if (rule.backtest or {}).get("version") == rule.version:
            return display.label(pgettext("a fraud rule", "off"), "plain")
        return display.label(_("off, not tried out"), "warn")

    @admin.display(description=_("limits"))
    def limits_shown(self, rule: FraudRule) -> SafeString | str:
        """In a line."""
        return display.prose(rule_sections.limits_in_words(rule))

    def _found(self, rule: Any) -> Precision:
        return Precision(rule.code, rule.waits, rule.confirmed, rule.dismissed)

    @admin.display(description=_("precision"))
    def precision(self, rule: FraudRule) -> str:
        """How much of what it hit was fraud, and at least."""
        found = self._found(rule)
        if found.precision is None:
            return display.NOTHING
        return now_("%(share)s, at least %(least)s") % {
            "share": rule_sections.percent(found.precision),
            "least": rule_sections.percent(found.at_least),
        }

    @admin.display(description=_("verdicts"))
    def verdicts(self, rule: FraudRule) -> str:
        """How many people have given."""
        found = self._found(rule)
        return display.number(found.confirmed + found.dismissed)

    @admin.display(description=_("waiting"))
    def waiting(self, rule: FraudRule) -> SafeString | str:
        """Its hits in the queue."""
        count = self._found(rule).open
        queue = display.list_url(FraudHit, rule=rule.code, standing="open")
        return display.link(queue, display.number(count)) if count else display.NOTHING

    @admin.display(description=_("locks points"))
    def locks_shown(self, rule: FraudRule) -> str:
        """Whether it does."""
        return display.yes_no(rule.locks)

    def badge(self, row: FraudRule) -> SafeString:
        """Whether it looks."""
        return self.state(row)

    def sections(self, _request: HttpRequest, row: FraudRule) -> Sequence[Section]:
        """Whether it was tried, how right it was, whom it would have hit and has hit."""
        return [
            *rule_sections.tried_notice(row),
            rule_sections.precision_figures(row),
            *rule_sections.tried_section(row),
            rule_sections.hits_table(row),
        ]

    def side(self, _request: HttpRequest, row: FraudRule) -> Sequence[Section]:
        """What it looks for."""
        return [rule_sections.limits_facts(row)]

    def foot(self, request: HttpRequest, row: FraudRule) -> Sequence[Section]:
        """What was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(FraudRule._meta.db_table, row.pk))]
