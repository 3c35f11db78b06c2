"""The list of plans and the page of one: state, impact, approvals, steps, runs, journal, and its buttons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from opsconsole.approvals.admin.panel import approvals_panel
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Button
from opsconsole.core.admin.base import ConsoleAdmin, View, actor_of
from opsconsole.core.admin.filters import OneOf, Options, Since
from opsconsole.core.admin.pages import Facts, Fragment, Link, Notice, Section, Table
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.plans import access, selectors
from opsconsole.plans.admin.breakglass import BreakTheGlass, broken_glass_sections
from opsconsole.plans.admin.decisions import ApprovePlan, RejectPlan, RevokeApproval
from opsconsole.plans.admin.downloads import downloads_of
from opsconsole.plans.admin.drafting import DuplicatePlan, EditPlan, draft_actions, fields_of
from opsconsole.plans.admin.impact import content_sections, impact_sections
from opsconsole.plans.admin.moves import UNDOING, BackToDraft, CancelPlan, ExecutePlan, RollBackPlan, StagePlan
from opsconsole.plans.admin.revisions import comparison, comparison_sections, steps_from
from opsconsole.plans.admin.rows import latest_request, type_label, undo_request, window_closed
from opsconsole.plans.admin.runs import RunAdmin, progress_bar, progress_section, why_it_stands, wishes_of
from opsconsole.plans.admin.steps import in_doubt, steps_table
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.states import Direction, OnFailure, PlanState
from opsconsole.plans.transitions import live_run
from opsconsole.plans.types import registered

STEPS_SHOWN = 10
STEPS_ON_PAGE: Final = 200
RUNS_SHOWN = 10
SEQ_DIGITS: Final = 9
WATCHED: Final = frozenset((PlanState.STAGED, PlanState.APPROVED, PlanState.EXECUTING, PlanState.ROLLING_BACK))
ENDED_BADLY: Final = frozenset((PlanState.FAILED, PlanState.PARTIAL, PlanState.ROLLBACK_PARTIAL))
BATCHES: Final = "run.steps"  # an entry for each turn of a worker: the steps' own pages tell that better


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
    nothing = _("No plan has been drafted yet: begin one with the button above.")
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
        BreakTheGlass(),
        RevokeApproval(),
        BackToDraft(),
        RejectPlan(),
        CancelPlan(),
        RollBackPlan(),
        DuplicatePlan(),
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

    @admin.display(description=pgettext_lazy("a plan", "drafted"))
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

    def sections(self, request: HttpRequest, row: Plan) -> Sequence[Section]:
        """What is going on, what it would do, what was asked for."""
        run = live_run(row)
        if run is None and row.status in ENDED_BADLY:
            run = selectors.runs_of(row).first()  # what went wrong, and at which steps
        return [
            *([self._watch(row)] if row.status in WATCHED else []),
            *([self._expired(row)] if row.status == PlanState.EXPIRED else []),
            *broken_glass_sections(row),
            *in_doubt(actor_of(request), row),
            *([progress_section(run)] if run else []),
            *impact_sections(row.estimated_impact),
            *self._changed(row),
            self._asked(row),
        ]

    def side(self, request: HttpRequest, row: Plan) -> Sequence[Section]:
        """Who has agreed, who is still needed; and the facts."""
        approval = latest_request(row)
        linked = self.admin_site._registry[Request].has_view_permission(request)
        actor, undoing = actor_of(request), undo_request(row)
        panels = [approvals_panel(undoing, actor, linked=linked, title=UNDOING)] if undoing else []
        panels += [approvals_panel(approval, actor, linked=linked)] if approval else []
        return [*panels, self._facts(row)]

    def foot(self, request: HttpRequest, row: Plan) -> Sequence[Section]:
        """Its steps, its runs, and what happened."""
        downloads = downloads_of(request, row)
        table = Table(
            _("Downloads"),
            [_("file"), _("what it is"), _("SHA-256")],
            [
                [
                    display.link(_file_url(row, one.name), one.name),
                    one.text,
                    display.copyable(one.digest, one.digest[:12]),
                ]
                for one in downloads
            ],
        )
        return [
            self._runs(row),
            self._steps(row),
            *([table] if downloads else []),
            self._journal(request, row),
        ]

    # --- exactly what is approved, and whether anything has changed ---

    def more_urls(self) -> dict[str, View]:
        """The full content; and a word that changes with the plan, for the page that looks again."""
        return {"content": self.content_view, "state": self.state_view, "file": self.file_view}

    def file_view(self, request: HttpRequest, row: Plan) -> FileResponse:
        """One of the plan's files, by its name."""
        found = next((one for one in downloads_of(request, row) if one.name == request.GET.get("name")), None)
        if found is None:
            raise Http404
        return FileResponse(found.open(), as_attachment=True, filename=found.name, content_type=found.content_type)

    def state_view(self, _request: HttpRequest, row: Plan) -> HttpResponse:
        """A word that is another one once the page would look different."""
        return HttpResponse(_token(row), content_type="text/plain", headers={"Cache-Control": "no-store"})

    def content_view(self, request: HttpRequest, row: Plan) -> HttpResponse:
        """Everything that the approvals cover: the digest, what differs from before, and every step, page by page."""
        wanted = request.GET.get("from", "")
        first = int(wanted) if wanted.isdecimal() and len(wanted) <= SEQ_DIGITS else 1
        steps = steps_from(row, first, STEPS_ON_PAGE)
        base = reverse("admin:plans_plan_content", args=[row.pk])
        more = None
        if len(steps) > STEPS_ON_PAGE:
            more = Link(f"{base}?from={steps[STEPS_ON_PAGE].seq}", _("The next steps"))
        elif first > 1:
            more = Link(base, _("From the first step"))
        compared = comparison(row)
        title = now_("Steps from %(number)s on") % {"number": display.number(first)} if first > 1 else _("Steps")
        request_row = latest_request(row)
        content = request_row.content if request_row and request_row.digest == row.digest else None
        context = {
            "heading": now_("Exactly what is approved: %(name)s") % {"name": row.name},
            "badge": self.badge(row),
            "sections": [
                self._digests(row, content),
                *(comparison_sections(compared) if compared else []),
                steps_table(steps[:STEPS_ON_PAGE], more=more, empty=_("Staging writes the steps down."), title=title),
                *(content_sections(content) if content else [*impact_sections(row.estimated_impact), self._asked(row)]),
            ],
        }
        return self._render(request, self.detail_template, row, context)

    def _digests(self, plan: Plan, content: dict[str, object] | None) -> Section:
        return Facts(
            _("What approvals are bound to"),
            [
                (_("digest"), display.copyable(plan.digest)),
                (_("digest of the steps"), display.copyable(str((content or {}).get("steps", "")))),
                (_("revision"), plan.revision),
                (_("staged"), display.moment(plan.staged_at)),
                (
                    _("what it is"),
                    _(
                        "SHA-256 over everything on this page in its canonical form. Any other content has another"
                        " digest, and an approval counts for one digest only."
                    ),
                ),
            ],
            more=Link(display.row_url(plan), _("Back to the plan")),
        )

    def _changed(self, plan: Plan) -> list[Section]:
        found = comparison(plan)
        if found is None:
            return []
        return comparison_sections(found, Link(_content_url(plan), _("All that has changed")))

    def _expired(self, plan: Plan) -> Section:
        why = window_closed(plan) or now_("Its approvals were not complete in time.")
        told = now_("%(why)s It can no longer be executed; Duplicate begins a new draft with what it had.")
        return Notice(told % {"why": why}, "warn", _("Expired"))

    def _watch(self, plan: Plan) -> Section:
        url = reverse("admin:plans_plan_state", args=[plan.pk])
        return Fragment("console/sections/watch.html", context={"url": url, "token": _token(plan)})

    def _facts(self, plan: Plan) -> Section:
        return Facts(
            _("Plan"),
            [
                (_("external id"), plan.external_id),
                (_("type"), type_label(plan)),
                (_("description"), plan.description or display.NOTHING),
                (_("drafted by"), plan.created_by.username),
                (pgettext_lazy("a plan", "drafted"), display.moment(plan.created_at)),
                (_("staged"), display.moment(plan.staged_at)),
                (_("revision"), plan.revision),
                (_("approvals wanted"), plan.required_approvals),
                (_("digest"), display.copyable(plan.digest, plan.digest[: display.HASH_SHOWN])),
            ],
            more=Link(_content_url(plan), _("Exactly what is approved")) if plan.digest else None,
        )

    def _asked(self, plan: Plan) -> Section:
        window = f"{plan.not_before:%Y-%m-%d %H:%M}" if plan.not_before else now_("at once")
        until = f"{plan.not_after:%Y-%m-%d %H:%M}" if plan.not_after else now_("no end")
        return Facts(
            _("What was asked for"),
            [
                *display.members(fields_of(plan.plan_type).shown(plan.payload)),
                (_("when a step fails"), OnFailure(plan.on_failure).label),
                (_("window (UTC)"), f"{window} – {until}"),
            ],
        )

    def _steps(self, plan: Plan) -> Section:
        steps = list(selectors.staged_steps(plan)[: STEPS_SHOWN + 1])
        return steps_table(
            steps[:STEPS_SHOWN],
            more=Link(_content_url(plan), _("All steps, exactly as they are approved")) if steps else None,
            empty=_("Staging writes the steps down."),
        )

    def _runs(self, plan: Plan) -> Section:
        return Table(
            _("Runs"),
            [
                _("run"),
                _("state"),
                _("progress"),
                _("asked by"),
                _("asked"),
                _("finished"),
                _("wishes"),
                _("why it stands"),
            ],
            [
                [
                    display.row_link(run, Direction(run.direction).label),
                    display.state_of(run),
                    progress_bar(run),
                    run.requested_by,
                    display.moment(run.run_at),
                    display.moment(run.finished_at),
                    wishes_of(run),
                    display.prose(why_it_stands(run)),
                ]
                for run in selectors.runs_of(plan)[:RUNS_SHOWN]
            ],
            empty=_("Nothing has been executed."),
        )

    def _journal(self, request: HttpRequest, plan: Plan) -> Section:
        runs = list(selectors.runs_of(plan)[:RUNS_SHOWN])
        entries = entries_of(plan, *runs).exclude(verb=BATCHES)[:SHOWN_ON_PAGES]
        return timeline(request, entries, more=all_entries_of(Plan._meta.db_table, plan.pk))


def _file_url(plan: Plan, name: str) -> str:
    return f"{reverse('admin:plans_plan_file', args=[plan.pk])}?{urlencode({'name': name})}"


def _content_url(plan: Plan) -> str:
    return reverse("admin:plans_plan_content", args=[plan.pk])


def _token(plan: Plan) -> str:
    """A word that changes with the plan's state, its approvals, and the state of what is under way."""
    run, request = live_run(plan), latest_request(plan)
    said = request.decisions.count() if request else 0
    return f"{plan.status}-{plan.revision}-{request.status if request else ''}-{said}-{run.status if run else ''}"
