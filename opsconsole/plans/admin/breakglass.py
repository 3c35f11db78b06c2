"""The button that breaks the glass, and what a plan's page says once it was broken."""

from __future__ import annotations

from collections.abc import Sequence

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.models import Review
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Press, ReasonForm, done, refused
from opsconsole.core.admin.pages import Facts, Notice, Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.plans import calendars
from opsconsole.plans.admin.impact import impact_sections
from opsconsole.plans.admin.rows import PlanAction, size_of, why_frozen, why_not_execute
from opsconsole.plans.models import BreakGlass, Plan, Run
from opsconsole.plans.services import break_glass
from opsconsole.plans.starting import Drifted
from opsconsole.plans.states import PlanState
from opsconsole.plans.types import UnknownPlanType, type_named


class BreakGlassForm(ReasonForm):
    """Under which incident, and why."""

    incident = forms.CharField(
        label=_("Incident"), max_length=200, help_text=_("The id under which the emergency is handled.")
    )
    field_order = ("incident", "reason")


class BreakTheGlass(PlanAction[Plan]):
    """Execute it in an emergency."""

    name = "break-glass"
    label = _("Break the glass")
    icon = "emergency_home"
    tone = "danger"
    permission = "plans.break_glass"
    form = BreakGlassForm

    def offered(self, _actor: Actor, row: Plan) -> bool:
        """Staged or approved, and of a type that one person may execute in an emergency."""
        return row.status in (PlanState.STAGED, PlanState.APPROVED) and _may_be_broken(row)

    def obstacle(self, actor: Actor, row: Plan) -> Text:
        """Nothing stands in the way, or another role is needed."""
        if not _may_be_broken(row):
            return now_("No emergency lets one person execute a plan of this type.")
        if row.status == PlanState.APPROVED and calendars.freeze_of(row, timezone.now()) is None:
            return now_("Nothing stands in the way: execute it as usual.")
        return why_not_execute(row, actor)

    def question(self, row: Plan) -> Text:
        """What is passed over."""
        return now_(
            "Execute “%(name)s” now without waiting for approvals or calendars: %(size)s? Everybody is told at once,"
            " and two people who had no part in it review it within 24 hours."
        ) % {"name": row.name, "size": size_of(row)}

    def sections(self, _actor: Actor, row: Plan) -> Sequence[Section]:
        """The calendars that are passed, and the impact again."""
        freeze = calendars.freeze_of(row, timezone.now())
        held = [Notice(why_frozen(freeze), "warn", _("A freeze calendar holds"))] if freeze else []
        return [*held, *impact_sections(row.estimated_impact)]

    def typed(self, row: Plan) -> str:
        """The plan's external id."""
        return row.external_id

    def perform(self, press: Press[Plan]) -> Answer:
        """Break it."""

        def render(outcome: Run | Drifted) -> Answer:
            if isinstance(outcome, Drifted):
                return refused(outcome.error(), to=display.row_url(outcome.plan))
            return done(
                now_("The run is queued, everybody is told, and a review is due in 24 hours."),
                to=display.row_url(outcome),
            )

        return break_glass.break_glass.once(
            press.key,
            render,
            plan_id=press.row.pk,
            incident=press.data["incident"],
            reason=press.data["reason"],
            actor=press.actor,
        )


def broken_glass_sections(plan: Plan) -> list[Section]:
    """Who executed the plan in an emergency, for which incident, and what the review says; nothing where nobody did."""
    broken = BreakGlass.objects.filter(plan=plan).select_related("broken_by").order_by("-at").first()
    if broken is None:
        return []
    review = Review.objects.filter(pk=broken.review_id).first()
    return [
        Notice(
            now_("%(user)s executed this in an emergency (%(incident)s): %(reason)s")
            % {"user": broken.broken_by.username, "incident": broken.incident, "reason": broken.reason},
            "bad",
            _("Break-glass"),
        ),
        Facts(
            _("Break-glass"),
            [
                (_("at"), display.moment(broken.at)),
                (_("incident"), broken.incident),
                (_("without its approvals"), display.yes_no(broken.without_quorum)),
                (_("through calendars"), ", ".join(one["name"] for one in broken.calendars) or display.NOTHING),
                (_("run"), display.row_link(broken.run)),
                (_("review"), display.row_link(review, review.state.label) if review else display.NOTHING),
            ],
        ),
    ]


def _may_be_broken(plan: Plan) -> bool:
    try:
        return type_named(plan.plan_type).break_glass
    except UnknownPlanType:
        return False
