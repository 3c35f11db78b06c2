"""The review queue of fraud: who fits a rule, why, and the verdicts of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Case, Count, IntegerField, Min, Q, QuerySet, Value, When
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty import access_fraud
from loyalty.admin import hit_sections
from loyalty.admin.fraud_hit_buttons import TICKED, Confirm, ConfirmSeveral, Dismiss, DismissSeveral, offer
from loyalty.admin.in_program import OfProgram
from loyalty.fraud.severity import Severity, times_over, within
from loyalty.models import FraudHit, FraudRule
from loyalty.services.fraud import MOST_AT_ONCE
from loyalty.states import HitState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm
from opsconsole.core.admin.base import Tab, actor_of
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Facts, Figures, Notice, Section
from opsconsole.core.admin.ticks import Choice, TickableAdmin
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of

TONES = {HitState.OPEN: "warn", HitState.CONFIRMED: "bad", HitState.DISMISSED: "good"}


class HitStanding(OneOf):
    """How a hit stands."""

    title = _("state")
    parameter_name = "standing"

    def options(self, _request: HttpRequest) -> Options:
        """The states, and those that wait too long."""
        open_, *judged = HitState.choices
        return [open_, ("overdue", _("overdue")), *judged]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The hits that fit."""
        return rows.filter(overdue()) if value == "overdue" else rows.filter(status=value)


class BySeverity(OneOf):
    """How far over the limit."""

    title = _("severity")
    parameter_name = "severity"

    def options(self, _request: HttpRequest) -> Options:
        """The three words."""
        return list(Severity.choices)

    def narrow(self, _request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The hits that fit; all of them for one that is unknown."""
        return rows.filter(within(Severity(value))) if value in Severity.values else rows


class ByRule(OneOf):
    """The hits of one rule."""

    title = _("rule")
    parameter_name = "rule"

    def options(self, _request: HttpRequest) -> Options:
        """All rules."""
        return [(code, code) for code in FraudRule.objects.order_by("code").values_list("code", flat=True)]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The hits that fit."""
        return rows.filter(rule__code=value)


def overdue() -> Q:
    """Open, and due."""
    return Q(status=HitState.OPEN, due_at__lt=timezone.now())


@admin.register(FraudHit)
class FraudHitAdmin(TickableAdmin[FraudHit]):
    """Hits: those that wait first, of these the furthest over their limit."""

    list_display = ("member", "severity", "gist", "of_rule", "state", "due")
    nothing = _("No hit: either nobody stands out, or no fraud rule is switched on.")
    list_filter = (HitStanding, BySeverity, ByRule, OfProgram.by("balance__program"))
    list_select_related = ("rule", "balance", "balance__program")
    search_help_text = _("A member's id, in full")
    row_actions = (Confirm(), Dismiss())
    choices_for_ticked = (
        Choice("dismiss_ticked", DismissSeveral, _("Dismiss those ticked")),
        Choice("confirm_ticked", ConfirmSeveral, _("Confirm those ticked")),
    )
    ticked_as = TICKED
    most_ticked = MOST_AT_ONCE

    def visible(self, actor: Actor) -> QuerySet[FraudHit]:
        """The hits of members the actor may see."""
        return access_fraud.visible_hits(actor)

    def get_queryset(self, request: HttpRequest) -> QuerySet[FraudHit]:
        """With how far they are over the limit of today."""
        return super().get_queryset(request).annotate(over=times_over())

    def get_ordering(self, _request: HttpRequest) -> Sequence[Any]:  # type: ignore[override] # expressions order as well
        """What waits comes first."""
        waits = Case(When(status=HitState.OPEN, then=Value(0)), default=Value(1), output_field=IntegerField())
        return [waits.asc(), Case(When(status=HitState.OPEN, then=times_over())).desc(nulls_last=True), "-id"]

    def list_actions(self) -> Sequence[Action[None]]:
        """Verdicts on several."""
        return [DismissSeveral(), ConfirmSeveral()]

    def show_ticked(self, request: HttpRequest, form: ActionForm, ticked: Sequence[str]) -> None:
        """Offer only those ticked."""
        offer(form, actor_of(request), ticked)

    def tabs(self, request: HttpRequest) -> Sequence[Tab]:
        """What waits, what waits too long, and all of them."""
        chosen = request.GET.get("standing", "")
        return [
            Tab(_("To be looked at"), "?standing=open", chosen == "open"),
            Tab(_("Overdue"), "?standing=overdue", chosen == "overdue"),
            Tab(_("Everything"), "?", not request.GET),
        ]

    def head(self, request: HttpRequest) -> Sequence[Section]:
        """How much waits, of what the viewer may see."""
        return [queue_figures(self.get_queryset(request))]

    def get_search_fields(self, _request: HttpRequest) -> tuple[str, ...]:
        """So that there is a field to search in."""
        return ("balance__user_id",)

    def find(self, rows: QuerySet[FraudHit], words: str) -> QuerySet[FraudHit]:
        """By the member."""
        return rows.filter(balance__user_id=words)

    @admin.display(description=_("member"))
    def member(self, hit: FraudHit) -> SafeString | str:
        """Who."""
        return display.whole(hit.balance.user_id)

    @admin.display(description=_("rule"))
    def of_rule(self, hit: FraudHit) -> str:
        """By which rule."""
        return hit.rule.code

    @admin.display(description=_("severity"))
    def severity(self, hit: FraudHit) -> SafeString | str:
        """How far over the limit."""
        return hit_sections.severity_label(getattr(hit, "over", None))

    @admin.display(description=_("stands out by"))
    def gist(self, hit: FraudHit) -> str:
        """The number that is furthest over its limit."""
        return hit_sections.gist_of(hit)

    @admin.display(description=_("state"))
    def state(self, hit: FraudHit) -> SafeString:
        """Its state."""
        return display.label(hit.state.label, TONES[HitState(hit.status)])

    @admin.display(description=_("verdict due"))
    def due(self, hit: FraudHit) -> SafeString | str:
        """By when, while it waits."""
        return display.moment(hit.due_at) if hit.status == HitState.OPEN else display.NOTHING

    def heading(self, row: FraudHit) -> Text:
        """Who, and by which rule."""
        return now_("%(member)s, by %(rule)s") % {"member": row.balance.user_id, "rule": row.rule.code}

    def badge(self, row: FraudHit) -> SafeString:
        """Its state."""
        return self.state(row)

    def sections(self, request: HttpRequest, row: FraudHit) -> Sequence[Section]:
        """Why, how it came to it, what was done, and who else was there."""
        actor = actor_of(request)
        return [
            *_late(row),
            *hit_sections.verdict_facts(row),
            hit_sections.why_table(row),
            *hit_sections.course_chart(row),
            hit_sections.member_figures(row),
            hit_sections.movements_table(actor, row),
            *hit_sections.neighbours_table(actor, row),
        ]

    def side(self, request: HttpRequest, row: FraudHit) -> Sequence[Section]:
        """Who, by what, since when."""
        return [
            hit_sections.member_facts(actor_of(request), row),
            Facts(
                _("Hit"),
                [
                    (_("rule"), display.row_link(row.rule)),
                    (_("version"), row.rule_version),
                    (_("severity"), self.severity(row)),
                    (_("looked at until"), display.moment(row.as_of)),
                    (_("found"), display.moment(row.found_at)),
                    (_("verdict due"), self.due(row)),
                    (_("flags it put on"), ", ".join(map(str, row.flagged)) or display.NOTHING),
                ],
            ),
            hit_sections.other_hits_table(row),
        ]

    def foot(self, request: HttpRequest, row: FraudHit) -> Sequence[Section]:
        """What was done about it, to the member as well."""
        entries = entries_of(row, row.balance)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(FraudHit._meta.db_table, row.pk))]


def queue_figures(rows: QuerySet[FraudHit]) -> Figures:
    """What waits for a verdict."""
    waiting = rows.filter(status=HitState.OPEN).order_by()
    found = waiting.aggregate(
        all=Count("pk"),
        late=Count("pk", filter=overdue()),
        high=Count("pk", filter=within(Severity.HIGH)),
        since=Min("found_at"),
    )
    queue = display.list_url(FraudHit)
    return Figures(
        _("Waiting for a verdict"),
        [
            (_("hits"), display.number(found["all"]), f"{queue}?standing=open"),
            (_("of them severe"), display.number(found["high"]), f"{queue}?standing=open&severity=high"),
            (_("overdue"), display.number(found["late"]), f"{queue}?standing=overdue"),
            (_("the oldest, found"), display.relative(found["since"]) if found["since"] else display.NOTHING, ""),
        ],
    )


def _late(row: FraudHit) -> list[Section]:
    if row.status != HitState.OPEN or row.due_at >= timezone.now():
        return []
    told = now_("A verdict was due %(ago)s.") % {"ago": display.relative(row.due_at)}
    return [Notice(told, "bad", _("Overdue"))]
