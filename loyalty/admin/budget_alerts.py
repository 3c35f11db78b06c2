"""Budget alerts: the programs that came near their limit, and who has it in hand."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty import access_fraud, budgets
from loyalty.admin.in_program import OfProgram
from loyalty.admin.program_pictures import budget, minute, percent, points
from loyalty.models import BudgetAlert
from loyalty.services import budgets as services
from loyalty.states import BudgetAlertState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Press, ReasonForm, then
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Facts, Figures, Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of

TONES = {BudgetAlertState.OPEN.value: "bad", BudgetAlertState.ACKNOWLEDGED.value: "warn"}


class AcknowledgeAlert(Action[BudgetAlert]):
    """Take it in hand; the right to it may be granted on the program alone."""

    name = "acknowledge"
    label = _("Acknowledge")
    icon = "task_alt"
    tone = "primary"
    permission = "loyalty.change_program"
    form = ReasonForm

    def allowed(self, actor: Actor, row: BudgetAlert) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)

    def offered(self, _actor: Actor, row: BudgetAlert) -> bool:
        """While nobody has it in hand."""
        return row.status == BudgetAlertState.OPEN

    def question(self, row: BudgetAlert) -> Text:
        """What the others see then."""
        return now_(
            "Take the alert of %(program)s in hand? Say below what you do about it. It closes by itself once the budget"
            " is below %(threshold)s %% again."
        ) % {"program": row.program.name, "threshold": row.threshold}

    def perform(self, press: Press[BudgetAlert]) -> Answer:
        """Take it."""
        return services.acknowledge_alert.once(
            press.key,
            then(lambda _row: now_("The alert is acknowledged."), display.row_url),
            alert_id=press.row.pk,
            note=press.data["reason"],
            actor=press.actor,
        )


@admin.register(BudgetAlert)
class BudgetAlertAdmin(ConsoleAdmin[BudgetAlert]):
    """Budget alerts, the newest first."""

    list_display = ("of_program", "at", "state", "by", "raised", "used", "exhausted")
    nothing = _("No program has come near its limit: an alert is raised at 90 and at 95 percent of a budget.")
    list_filter = ("status", OfProgram)
    list_select_related = ("program", "acknowledged_by")
    ordering = ("-id",)
    row_actions = (AcknowledgeAlert(),)

    def visible(self, actor: Actor) -> QuerySet[BudgetAlert]:
        """The alerts of programs the actor may see."""
        return access_fraud.visible_alerts(actor)

    def heading(self, row: BudgetAlert) -> Text:
        """Which program, at how much."""
        return now_("%(program)s: %(threshold)s %% of the budget") % {
            "program": row.program.name,
            "threshold": row.threshold,
        }

    @admin.display(description=_("program"))
    def of_program(self, alert: BudgetAlert) -> str:
        """Which program."""
        return alert.program.name

    @admin.display(description=_("raised at"))
    def at(self, alert: BudgetAlert) -> str:
        """The threshold."""
        return f"{alert.threshold} %"

    @admin.display(description=_("state"))
    def state(self, alert: BudgetAlert) -> SafeString:
        """Its state."""
        return display.label(alert.state.label, TONES.get(alert.status, "plain"))

    @admin.display(description=_("used then"))
    def used(self, alert: BudgetAlert) -> str:
        """How much of the budget was used when it was raised."""
        return percent(alert.budget_used, alert.budget_limit)

    @admin.display(description=_("exhausted, at that rate"))
    def exhausted(self, alert: BudgetAlert) -> SafeString | str:
        """When it would be gone."""
        return display.moment(alert.exhausted_at)

    @admin.display(description=_("raised"))
    def raised(self, alert: BudgetAlert) -> SafeString | str:
        """When."""
        return display.moment(alert.raised_at)

    @admin.display(description=_("in the hands of"))
    def by(self, alert: BudgetAlert) -> str:
        """Who has acknowledged it."""
        return alert.acknowledged_by.username if alert.acknowledged_by else display.NOTHING

    def badge(self, row: BudgetAlert) -> SafeString:
        """Its state."""
        return self.state(row)

    def sections(self, _request: HttpRequest, row: BudgetAlert) -> Sequence[Section]:
        """How it was when the alert was raised, and how the budget is now."""
        return [
            Figures(
                _("When it was raised"),
                [
                    (_("limit"), points(row.budget_limit), ""),
                    (_("used"), f"{points(row.budget_used)} ({self.used(row)})", ""),
                    (_("points a day"), points(row.burn_per_day), ""),
                    (_("exhausted, at that rate"), minute(row.exhausted_at), ""),
                ],
            ),
            budget(row.program),
        ]

    def side(self, _request: HttpRequest, row: BudgetAlert) -> Sequence[Section]:
        """Whose it is, and what became of it."""
        left = budgets.decide(row.program.budget_left, row.program.budget_limit)
        return [
            Facts(
                _("Alert"),
                [
                    (_("program"), display.row_link(row.program)),
                    (_("raised"), display.moment(row.raised_at)),
                    (_("what to do now"), left.label),
                    (_("acknowledged"), display.moment(row.acknowledged_at)),
                    (_("in the hands of"), self.by(row)),
                    (_("note"), row.note or display.NOTHING),
                    (_("closed"), display.moment(row.closed_at)),
                ],
            )
        ]

    def foot(self, request: HttpRequest, row: BudgetAlert) -> Sequence[Section]:
        """What was done to the program."""
        entries = entries_of(row.program)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(row.program._meta.db_table, row.program_id))]
