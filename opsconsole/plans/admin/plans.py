"""The list of plans and the page of one: state, impact, approvals, steps, runs, journal, and its buttons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.admin.panel import approvals_panel
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Button
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.filters import OneOf, Options, Since
from opsconsole.core.admin.pages import Facts, Link, Section, Table
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.plans import access, selectors
from opsconsole.plans.admin.decisions import ApprovePlan, RejectPlan, RevokeApproval
from opsconsole.plans.admin.drafting import EditPlan, draft_actions
from opsconsole.plans.admin.impact import impact_sections
from opsconsole.plans.admin.moves import BackToDraft, CancelPlan, ExecutePlan, RollBackPlan, StagePlan
from opsconsole.plans.admin.rows import latest_request, type_label
from opsconsole.plans.admin.runs import RunAdmin, progress_bar, progress_section
from opsconsole.plans.admin.steps import steps_table, steps_url
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.states import Direction, OnFailure
from opsconsole.plans.transitions import live_run
from opsconsole.plans.types import registered

STEPS_SHOWN = 10
RUNS_SHOWN = 10


class OfType(OneOf):
    """Plans of one type."""

    title = _("type")
    parameter_name = "plan_type"

    def options(self, _request: HttpRequest) -> Options:
        """The types there are."""
        return [(plan_type.name, plan_type.label) for plan_type in registered()]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Plan], value: str) -> QuerySet[Plan]:
        """The plans of the type."""
        return rows.filter(plan_type=value)


@admin.register(Plan)
class PlanAdmin(ConsoleAdmin[Plan]):
    """Plans, newest first."""

    list_display = ("name", "state", "kind", "money_in_all", "count_of_items", "agreed", "drafted_by", "drafted")
    list_filter = ("status", OfType, Since.by("created_at"))
    list_select_related = ("created_by",)
    ordering = ("-created_at", "-id")
    search_fields = ("name", "external_id")
    search_help_text = _("Words of the name, or of the external id")
    row_actions = (
        StagePlan(),
        EditPlan(),
        ApprovePlan(),
        ExecutePlan(),
        RevokeApproval(),
        BackToDraft(),
        RejectPlan(),
        CancelPlan(),
        RollBackPlan(),
    )

    def visible(self, actor: Actor) -> QuerySet[Plan]:
        """The plans the actor may see."""
        return access.visible_plans(actor).select_related("created_by")

    def list_actions(self) -> Sequence[Action[None]]:
        """Draft a new one."""
        return draft_actions()

    # --- the list ---

    @admin.display(description=_("state"))
    def state(self, plan: Plan) -> SafeString:
        """Its state."""
        return display.state_of(plan)

    @admin.display(description=_("type"))
    def kind(self, plan: Plan) -> str:
        """Its type."""
        return type_label(plan)

    @admin.display(description=_("in all"))
    def money_in_all(self, plan: Plan) -> SafeString | str:
        """What it moves, as it was staged."""
        return display.sums((plan.estimated_impact or {}).get("sums", {}))

    @admin.display(description=_("items"))
    def count_of_items(self, plan: Plan) -> str:
        """How much it does, as it was staged."""
        impact = plan.estimated_impact
        return display.number(impact["count"]) if impact else display.NOTHING

    @admin.display(description=_("agreed"))
    def agreed(self, plan: Plan) -> str:
        """How many have agreed, of how many."""
        return f"{len(plan.approvals)} / {plan.required_approvals}"

    @admin.display(description=_("by"))
    def drafted_by(self, plan: Plan) -> str:
        """Who drafted it."""
        return plan.created_by.username

    @admin.display(description=_("drafted"))
    def drafted(self, plan: Plan) -> SafeString | str:
        """When."""
        return display.moment(plan.created_at)

    # --- the page ---

    def badge(self, row: Plan) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def buttons(self, request: HttpRequest, row: Plan) -> list[Button]:
        """Its own, and before them those of the run that is under way."""
        run = live_run(row)
        runs = cast(RunAdmin, self.admin_site._registry[Run])
        return [*(runs.buttons(request, run) if run else []), *super().buttons(request, row)]

    def sections(self, _request: HttpRequest, row: Plan) -> Sequence[Section]:
        """What is going on, what it would do, what was asked for."""
        run = live_run(row)
        return [
            *([progress_section(run)] if run else []),
            *impact_sections(row.estimated_impact),
            self._asked(row),
        ]

    def side(self, request: HttpRequest, row: Plan) -> Sequence[Section]:
        """Who has agreed, who is still needed; and the facts."""
        approval = latest_request(row)
        linked = self.admin_site._registry[Request].has_view_permission(request)
        panel = [approvals_panel(approval, actor_of(request), linked=linked)] if approval else []
        return [*panel, self._facts(row)]

    def foot(self, request: HttpRequest, row: Plan) -> Sequence[Section]:
        """Its steps, its runs, and what happened."""
        return [self._runs(row), self._steps(row), self._journal(request, row)]

    def _facts(self, plan: Plan) -> Section:
        return Facts(
            _("Plan"),
            [
                (_("external id"), plan.external_id),
                (_("type"), type_label(plan)),
                (_("description"), plan.description or display.NOTHING),
                (_("drafted by"), plan.created_by.username),
                (_("drafted"), display.moment(plan.created_at)),
                (_("staged"), display.moment(plan.staged_at)),
                (_("revision"), plan.revision),
                (_("approvals wanted"), plan.required_approvals),
                (_("digest"), display.short(plan.digest)),
            ],
        )

    def _asked(self, plan: Plan) -> Section:
        window = f"{plan.not_before:%Y-%m-%d %H:%M}" if plan.not_before else now_("at once")
        until = f"{plan.not_after:%Y-%m-%d %H:%M}" if plan.not_after else now_("no end")
        return Facts(
            _("What was asked for"),
            [
                *display.members(plan.payload),
                (_("when a step fails"), OnFailure(plan.on_failure).label),
                (_("window (UTC)"), f"{window} – {until}"),
            ],
        )

    def _steps(self, plan: Plan) -> Section:
        steps = list(selectors.staged_steps(plan)[: STEPS_SHOWN + 1])
        return steps_table(
            steps[:STEPS_SHOWN],
            more=Link(steps_url(plan, Direction.EXECUTE, plan.revision), _("All steps")) if steps else None,
            empty=_("Staging writes the steps down."),
        )

    def _runs(self, plan: Plan) -> Section:
        return Table(
            _("Runs"),
            [_("run"), _("state"), _("progress"), _("asked by"), _("asked"), _("finished")],
            [
                [
                    display.row_link(run, Direction(run.direction).label),
                    display.state_of(run),
                    progress_bar(run),
                    run.requested_by,
                    display.moment(run.run_at),
                    display.moment(run.finished_at),
                ]
                for run in selectors.runs_of(plan)[:RUNS_SHOWN]
            ],
            empty=_("Nothing has been executed."),
        )

    def _journal(self, request: HttpRequest, plan: Plan) -> Section:
        runs = list(selectors.runs_of(plan)[:RUNS_SHOWN])
        entries = entries_of(plan, *runs)[:SHOWN_ON_PAGES]
        return timeline(request, entries, more=all_entries_of(Plan._meta.db_table, plan.pk))
