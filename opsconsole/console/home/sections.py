"""The sections of the front page. Short queries, each over an index."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import access as approvals_access
from opsconsole.approvals import selectors as approvals_selectors
from opsconsole.approvals.models import Request
from opsconsole.core import queue
from opsconsole.core.admin import display
from opsconsole.core.admin.base import actor_of
from opsconsole.core.admin.floor import health_of
from opsconsole.core.admin.pages import Column, Facts, Link, Section, Table
from opsconsole.core.models import WorkerHeartbeat
from opsconsole.journal import selectors as journal_selectors
from opsconsole.journal.models import Checkpoint, Pending
from opsconsole.monitoring import selectors as monitoring_selectors
from opsconsole.monitoring.admin.checks import verdict_label
from opsconsole.monitoring.admin.incidents import severity_label, state_label
from opsconsole.monitoring.checklist import DEEPEST_QUEUE
from opsconsole.monitoring.models import Check, Incident
from opsconsole.plans.admin.rows import visible_runs, visible_steps
from opsconsole.plans.admin.runs import progress_bar
from opsconsole.plans.admin.steps import step_state, summary_of
from opsconsole.plans.models import Run, Step
from opsconsole.plans.states import LIVE_RUNS, Direction, StepState
from opsconsole.treasury import access as treasury_access
from opsconsole.treasury import selectors as treasury_selectors
from opsconsole.treasury.models import Bank, Payout
from opsconsole.treasury.states import PayoutState

SHOWN: Final = 8
UNSEALED_COUNTED: Final = 10_000


def may_see(request: HttpRequest, model: type[Model]) -> bool:
    """Whether the viewer may see rows of this model."""
    return admin.site._registry[model].has_view_permission(request)


def waiting_for_me(request: HttpRequest) -> Section:
    """Requests that the viewer could decide on, the most urgent first."""
    actor = actor_of(request)
    mine = approvals_selectors.decidable_by(approvals_access.visible_requests(actor), actor)
    return Table(
        _("Waiting for my approval"),
        [_("what"), _("asked by"), _("until")],
        [
            [
                display.row_link(one, display.prose(str(one))),
                display.by_whom(one.requested_by.username, one.created_at),
                display.moment(one.expires_at),
            ]
            for one in mine.order_by("expires_at")[:SHOWN]
        ],
        empty=_("Nothing waits for you."),
        more=Link(display.list_url(Request, mine="1"), _("All of them")),
    )


def live_runs(request: HttpRequest) -> Section:
    """Runs under way."""
    runs = visible_runs(actor_of(request)).filter(status__in=LIVE_RUNS).order_by("-run_at")[:SHOWN]
    return Table(
        _("Live runs"),
        [_("plan"), _("way"), _("state"), _("progress"), _("asked")],
        [
            [
                display.row_link(run, run.plan.name),
                Direction(run.direction).label,
                display.state_of(run),
                progress_bar(run),
                display.moment(run.run_at),
            ]
            for run in runs
        ],
        empty=_("No run is under way."),
        more=Link(display.list_url(Run), _("All runs")),
    )


def unknown_steps(request: HttpRequest) -> Section:
    """Steps that nobody knows the outcome of."""
    steps = visible_steps(actor_of(request)).filter(status=StepState.UNKNOWN).order_by("-needs_person", "-id")[:SHOWN]
    return Table(
        _("Unknown steps"),
        [_("step"), _("plan"), _("state"), _("since")],
        [
            [
                display.row_link(step, f"{step.seq}: {summary_of(step)}"),
                display.row_link(step.plan),
                step_state(step),
                display.moment(step.started_at),
            ]
            for step in steps
        ],
        empty=_("The outcome of every step is known."),
        more=Link(display.list_url(Step, status=StepState.UNKNOWN.value), _("All unknown steps")),
    )


def payouts(_request: HttpRequest) -> Section:
    """Payouts by state and currency."""
    return Table(
        _("Payouts"),
        [_("state"), Column(_("count"), right=True), Column(_("in all"), right=True)],
        [
            [
                display.link(
                    display.list_url(Payout, status__exact=tally.status),
                    display.state_label(tally.status, PayoutState(tally.status).label),
                ),
                display.number(tally.count),
                display.money(tally.amount, tally.currency),
            ]
            for tally in treasury_selectors.payout_tallies()
        ],
        empty=_("None has come in."),
        more=Link(display.list_url(Payout), _("All payouts")),
    )


def journal(_request: HttpRequest) -> Section:
    """How far the journal is signed and verified."""
    head, check = journal_selectors.last_checkpoint(), journal_selectors.last_check()
    unsealed = Pending.objects.values("pk")[:UNSEALED_COUNTED].count()
    verified: Any = _("never")
    if check is not None:
        verdict = display.label(_("sound"), "good") if check.sound else display.label(_("broken"), "bad")
        verified = format_html("{} {}", verdict, display.moment(check.at))
    return Facts(
        _("Journal"),
        [
            (
                _("last checkpoint"),
                display.row_link(head, _("%(size)s entries") % {"size": display.number(head.size)})
                if head
                else _("none yet"),
            ),
            (_("signed"), display.moment(head.at if head else None)),
            (_("not sealed yet"), display.number(unsealed)),
            (_("last verified"), verified),
        ],
        more=Link(display.list_url(Checkpoint), _("All checkpoints")),
    )


def incidents(request: HttpRequest) -> Section:
    """Incidents that have not ended."""
    return Table(
        _("Live incidents"),
        [_("incident"), _("severity"), _("state"), _("since")],
        [
            [
                display.row_link(one),
                severity_label(one),
                state_label(one),
                display.moment(one.opened_at),
            ]
            for one in monitoring_selectors.live_incidents(actor_of(request))[:SHOWN]
        ],
        empty=_("No incident is open."),
        more=Link(display.list_url(Incident), _("All incidents")),
    )


def checklist(request: HttpRequest) -> Section:
    """Today's checklist, as it stands now."""
    rows = [
        [item.title, verdict_label(finding.verdict)]
        for item, finding, _check in monitoring_selectors.todays_checks(actor_of(request))
    ]
    return Table(
        _("Daily checklist"),
        [_("item"), _("stands")],
        rows,
        more=Link(display.list_url(Check), _("Open the checklist")),
    )


def banks(request: HttpRequest) -> Section:
    """Banks, the paused ones first."""
    banks = treasury_access.visible_banks(actor_of(request)).defer("secret").order_by("status", "code")
    return Table(
        _("Banks"),
        [_("bank"), _("state")],
        [[display.row_link(bank), display.state_of(bank)] for bank in reversed(list(banks[: 2 * SHOWN]))],
        empty=_("There is no bank yet."),
        more=Link(display.list_url(Bank), _("All banks")),
    )


def health(request: HttpRequest) -> Section:
    """The processes that work, and what waits for them."""
    alive = list(WorkerHeartbeat.objects.order_by("kind", "name")[: 2 * SHOWN])
    linked = may_see(request, WorkerHeartbeat)
    rows: list[list[Any]] = [
        [
            display.row_link(one, one.kind) if linked else one.kind,
            health_of(one),
            display.relative(one.beat_at),
        ]
        for one in alive
    ]
    return Table(
        _("Workers and queues"),
        [_("process"), _("state"), _("last heard")],
        rows + _queues(),
        empty=_("No worker has ever been heard of: nothing will be executed."),
        more=Link(display.list_url(WorkerHeartbeat), _("All of them")) if linked else None,
    )


def _queues() -> list[list[Any]]:
    depths = queue.depths_if_known()
    if depths is None:
        return [[_("Redis"), display.label(_("does not answer"), "bad"), _("sweepers go on without it")]]
    deepest = max(depths.values(), default=0)
    tone = "good" if deepest < DEEPEST_QUEUE else "bad"
    waiting = ", ".join(f"{name} {depth}" for name, depth in sorted(depths.items()) if depth) or _("nothing waits")
    return [[_("queues"), display.label(display.number(sum(depths.values())), tone), waiting]]
