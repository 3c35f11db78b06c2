"""Runs: the list, the page of one with its progress while it goes, and its buttons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.bars import Part, shares_of
from opsconsole.core.admin.base import ConsoleAdmin, View, actor_of
from opsconsole.core.admin.pages import Facts, Fragment, Link, Section, Table, table_of
from opsconsole.core.admin.progress import progress_answer, progress_card
from opsconsole.plans import selectors
from opsconsole.plans.admin.control import CancelRun, PauseRun, ResumeRun, RetryRun
from opsconsole.plans.admin.evidence import ForceFailRun
from opsconsole.plans.admin.rows import visible_runs
from opsconsole.plans.admin.steps import in_doubt, steps_table, steps_url
from opsconsole.plans.models import Run, Step
from opsconsole.plans.states import Direction, PlanState, RunState, StepState, Waiting

NOTABLE_SHOWN = 20
LIVE_SHOWN = 8
SHOWN_ELSEWHERE = frozenset(("steps", "halted", "error", "disagreements"))
GUESSED_AFTER: Final = timedelta(seconds=5)  # what is left is not guessed from less
# From the left: what is done, what went wrong, what goes on.
BAR_ORDER: Final = (
    *(StepState.SUCCEEDED, StepState.SKIPPED, StepState.FAILED, StepState.UNKNOWN, StepState.RUNNING),
    StepState.PENDING,
)
PROGRESS = "console/progress_inside.html"
BAR = "console/progress_bar.html"


def _shares(run: Run) -> dict[str, Any]:
    progress = selectors.progress_of(run)
    parts = [Part(state, state.label, progress.by_state[state]) for state in BAR_ORDER if state != StepState.PENDING]
    shares = shares_of(parts, progress.total)
    return {"run": run, "progress": progress, "percent": progress.percent, "shares": shares}


def progress_bar(run: Run) -> SafeString:
    """How far the run has come, as a bar."""
    return mark_safe(render_to_string(BAR, _shares(run)))  # noqa: S308 - a template escapes


def _progress(run: Run) -> dict[str, Any]:
    return {
        **_shares(run),
        "state": display.state_of(run),
        "waiting_for": Waiting(run.waiting_for).label if run.waiting_for else "",
        "wishes": _wishes(run),
        "left": _left(run) if run.status == RunState.RUNNING else "",
        "why": why_it_stands(run),
        "steps": steps_table(_under_way(run), more=None, title=_("Under way, failed or in doubt")).lines,
    }


def progress_section(run: Run) -> Fragment:
    """How far the run has come, looking again while it goes."""
    title = _("Progress: %(way)s") % {"way": Direction(run.direction).label}
    live_url = reverse("admin:plans_run_progress", args=[run.pk]) if run.is_live else ""
    return progress_card(title, PROGRESS, _progress(run), live_url=live_url)


def _under_way(run: Run) -> list[Step]:
    """The steps that something is going on with, by an index."""
    wanted = (StepState.UNKNOWN, StepState.FAILED, StepState.RUNNING)
    return list(selectors.steps_of(run).filter(status__in=wanted)[:LIVE_SHOWN])


def _left(run: Run) -> str:
    """How fast the run goes, and how long it will take at that pace; empty while that is anybody's guess."""
    if run.started_at is None or timezone.now() - run.started_at < GUESSED_AFTER:
        return ""
    ended = (StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED)
    # Those of this run alone: a retry finds others done, and done at once.
    done = Step.objects.filter(run=run, status__in=ended).count()
    if not done:
        return ""
    pace = done / (timezone.now() - run.started_at).total_seconds()
    progress = selectors.progress_of(run)
    return now_("%(pace)s steps a second, about %(time)s left") % {
        "pace": f"{pace:.1f}" if pace < 10 else display.number(round(pace)),  # noqa: PLR2004 - two digits are enough
        "time": display.duration(timedelta(seconds=(progress.total - progress.done) / pace)),
    }


def why_it_stands(run: Run) -> str:
    """Why the run stopped or does not go on, in plain words; empty where it simply goes, or simply ended."""
    result = run.result or {}
    told: list[str] = []
    if disagreements := result.get("disagreements"):
        told.append(now_("The dry run did not agree with what was approved: %(what)s") % {"what": disagreements[0]})
    if "halted" in result and run.status != RunState.SUCCEEDED:
        told.append(now_("It stopped before sending more: %(why)s") % {"why": result["halted"]})
        if run.plan_id and run.plan.status in (PlanState.FAILED, PlanState.PARTIAL):
            told.append(now_("Once that is over, Retry goes on from here; rolling back undoes what was done."))
    if result.get("not_undone"):
        told.append(now_("Its page lists what could no longer be undone, each with the reason."))
    if "error" in result:
        told.append(now_("It was ended: %(why)s.") % {"why": str(result["error"]).rstrip(".")})
    if run.status == RunState.CANCELLED:
        told.append(now_("A person ended it at a step boundary."))
    if run.is_live and run.waiting_for == Waiting.PERSON:
        told.append(now_("It waits until somebody says what became of the steps in doubt."))
    if not told and run.status in (RunState.FAILED, RunState.PARTIAL):
        told.extend(_first_failure(run))
    return " ".join(told)


def _first_failure(run: Run) -> Iterator[str]:
    """What the first step that failed says; the others mostly failed of the same."""
    step = Step.objects.filter(run=run, status=StepState.FAILED).order_by("seq").first()
    if step is not None and (reason := (step.result or {}).get("reason")):
        yield now_("Step %(number)s failed: %(why)s") % {"number": display.number(step.seq), "why": reason}


def wishes_of(run: Run) -> SafeString | str:
    """What people asked of the run: when they did, and when it took effect."""
    lines = []
    if run.pause_asked_at:
        lines.append((now_("pause"), _clock(run.pause_asked_at), _clock(run.paused_at)))
    if run.cancel_asked_at:
        ended = run.finished_at if run.status == RunState.CANCELLED else None
        lines.append((now_("end"), _clock(run.cancel_asked_at), _clock(ended)))
    if not lines:
        return display.NOTHING
    return format_html_join(
        mark_safe("<br>"),  # noqa: S308 - a constant
        now_("{}: asked {}, in effect {}"),
        lines,
    )


def _clock(at: Any) -> str:
    return f"{at:%H:%M:%S}" if at else now_("not yet")


def _wishes(run: Run) -> list[Any]:
    if not run.is_live:
        return []
    wishes = []
    if run.pause_asked_at and not run.paused_at:
        wishes.append(_("It was asked to pause; it does at the next step boundary."))
    if run.cancel_asked_at:
        wishes.append(_("It was asked to end; it does at the next step boundary."))
    return wishes


@admin.register(Run)
class RunAdmin(ConsoleAdmin[Run]):
    """Runs, newest first."""

    list_display = ("asked", "state", "of_plan", "way", "asked_by", "began", "ended")
    nothing = _("Nothing has run yet: a run begins when an approved plan is executed.")
    list_filter = ("status", "direction")
    list_select_related = ("plan",)
    ordering = ("-run_at", "-id")
    row_actions = (PauseRun(), ResumeRun(), RetryRun(), CancelRun(), ForceFailRun())

    def visible(self, actor: Actor) -> QuerySet[Run]:
        """The runs of the plans the actor may see."""
        return visible_runs(actor)

    def more_urls(self) -> dict[str, View]:
        """The progress alone, for the page that looks again."""
        return {"progress": self.progress_view}

    def progress_view(self, _request: HttpRequest, row: Run) -> HttpResponse:
        """The progress alone; the header says whether to look again."""
        return progress_answer(PROGRESS, _progress(row), live=row.is_live)

    # --- the list ---

    @admin.display(description=_("asked"))
    def asked(self, run: Run) -> SafeString | str:
        """When it was asked for."""
        return display.moment(run.run_at)

    @admin.display(description=_("state"))
    def state(self, run: Run) -> SafeString:
        """Its state."""
        return display.state_of(run)

    @admin.display(description=_("plan"))
    def of_plan(self, run: Run) -> SafeString | str:
        """Its plan."""
        return display.row_link(run.plan)

    @admin.display(description=_("way"))
    def way(self, run: Run) -> str:
        """Doing or undoing."""
        return str(Direction(run.direction).label)

    @admin.display(description=_("asked by"))
    def asked_by(self, run: Run) -> str:
        """Who asked for it."""
        return run.requested_by

    @admin.display(description=_("started"))
    def began(self, run: Run) -> SafeString | str:
        """When a worker took it."""
        return display.moment(run.started_at)

    @admin.display(description=_("finished"))
    def ended(self, run: Run) -> SafeString | str:
        """When it ended."""
        return display.moment(run.finished_at)

    # --- the page ---

    def heading(self, row: Run) -> str:
        """Its direction and its plan."""
        way = str(Direction(row.direction).label).capitalize()
        return now_("%(way)s: %(plan)s") % {"way": way, "plan": row.plan.name}

    def badge(self, row: Run) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def sections(self, request: HttpRequest, row: Run) -> Sequence[Section]:
        """How far it has come, what came of it, and the steps worth a look."""
        notable = selectors.steps_of(row).exclude(status__in=(StepState.SUCCEEDED, StepState.PENDING))
        return [
            *in_doubt(actor_of(request), row.plan),
            progress_section(row),
            *_result(row),
            self._counts(row),
            steps_table(
                notable[:NOTABLE_SHOWN],
                more=None,
                title=_("Steps worth a look"),
                empty=_("None: every step is done or still to come."),
            ),
        ]

    def _counts(self, run: Run) -> Table:
        def cell(state: str, count: int) -> Any:
            url = steps_url(run.plan, run.direction, run.revision, status=state)
            return display.link(url, display.number(count)) if count else display.number(count)

        counted = selectors.progress_of(run).by_state
        return Table(
            _("Steps by state"),
            [StepState(state).label for state in counted],
            [[cell(state, count) for state, count in counted.items()]],
        )

    def side(self, _request: HttpRequest, row: Run) -> Sequence[Section]:
        """Its times, who asked, who has it."""
        return [
            Facts(
                _("Run"),
                [
                    (_("plan"), display.row_link(row.plan)),
                    (_("way"), Direction(row.direction).label),
                    (_("asked by"), row.requested_by),
                    (_("asked"), display.moment(row.run_at)),
                    (_("started"), display.moment(row.started_at)),
                    (_("finished"), display.moment(row.finished_at)),
                    (_("to be done by"), display.moment(row.deadline_at)),
                    (_("pause asked"), display.moment(row.pause_asked_at)),
                    (_("paused"), display.moment(row.paused_at)),
                    (_("end asked"), display.moment(row.cancel_asked_at)),
                    (_("retry of"), display.row_link(row.retry_of, _("the run before")) if row.retry_of else "–"),
                    (_("worker"), row.lease_owner or display.NOTHING),
                    (_("taken up"), _times_taken(row)),
                ],
                more=_back_to(row),
            )
        ]


def _times_taken(run: Run) -> str:
    """How many times a worker took it: more than once when one went away in the middle."""
    count = run.lease_epoch
    return ngettext("%(count)s time", "%(count)s times", count) % {"count": display.number(count)}


def _back_to(run: Run) -> Link:
    plan = run.plan
    undoable = run.direction == Direction.EXECUTE and PlanState.ROLLING_BACK.value in plan.state.following
    told = _("To the plan, where it can be rolled back") if undoable else _("To the plan")
    return Link(display.row_url(plan), told)


def _result(run: Run) -> list[Section]:
    """What a run that ended did, in its plan type's words."""
    told = {name: value for name, value in (run.result or {}).items() if name not in SHOWN_ELSEWHERE}
    lists = {name: value for name, value in told.items() if _is_table(value)}
    rest = {name: value for name, value in told.items() if name not in lists}
    return [
        *([Facts(_("Result"), display.members(rest))] if rest else []),
        *(table_of(display.word(name).capitalize(), _for_people(value)) for name, value in lists.items()),
    ]


def _for_people(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without ids: what they are of is named beside them."""
    ids = {
        key
        for key in {key for row in rows for key in row}
        if (key == "id" and all("of" in row for row in rows))
        or all(display.UUID_FORM.fullmatch(str(row.get(key, ""))) for row in rows)
    }
    return [{key: value for key, value in row.items() if key not in ids} for row in rows]


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
