"""The front page: what needs the viewer now, and how things stand. A few short queries, each over an index."""

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
from opsconsole.core.admin import display
from opsconsole.core.admin.base import actor_of
from opsconsole.core.admin.floor import health_of
from opsconsole.core.admin.pages import Column, Facts, Link, Notice, Section, Table
from opsconsole.core.models import WorkerHeartbeat
from opsconsole.journal import selectors as journal_selectors
from opsconsole.journal.models import Checkpoint, Entry, Pending
from opsconsole.plans.admin.rows import visible_runs, visible_steps
from opsconsole.plans.admin.runs import progress_bar
from opsconsole.plans.admin.steps import step_state, summary_of
from opsconsole.plans.models import Run, Step
from opsconsole.plans.states import LIVE_RUNS, Direction, StepState
from opsconsole.treasury import selectors as treasury_selectors
from opsconsole.treasury.models import Payout
from opsconsole.treasury.states import PayoutState

SHOWN: Final = 8
UNSEALED_COUNTED: Final = 10_000


def home_sections(request: HttpRequest) -> dict[str, Any]:
    """The sections of the front page, as far as the viewer's rights go."""
    wide: list[Section] = []
    beside: list[Section] = []
    if _may_see(request, Request):
        wide.append(_waiting_for_me(request))
    if _may_see(request, Run):
        wide += [_live_runs(request), _unknown_steps(request)]
    if _may_see(request, Payout):
        beside.append(_payouts())
    if _may_see(request, Entry):
        beside.append(_journal())
    if wide or beside or _may_see(request, WorkerHeartbeat):
        beside.append(_workers(request))
    if not (wide or beside):
        wide.append(
            Notice(_("Your roles give you nothing to see here yet. An admin can tell you what they are for."), "info")
        )
    return {"sections": wide, "side": beside}


def _may_see(request: HttpRequest, model: type[Model]) -> bool:
    return admin.site._registry[model].has_view_permission(request)


def _waiting_for_me(request: HttpRequest) -> Section:
    actor = actor_of(request)
    mine = approvals_selectors.decidable_by(approvals_access.visible_requests(actor), actor)
    return Table(
        _("Waiting for my approval"),
        [_("what"), _("asked by"), _("asked"), _("until")],
        [
            [
                display.row_link(one),
                one.requested_by.username,
                display.moment(one.created_at),
                display.moment(one.expires_at),
            ]
            for one in mine.order_by("expires_at")[:SHOWN]
        ],
        empty=_("Nothing waits for you."),
        more=Link(display.list_url(Request, mine="1"), _("All of them")),
    )


def _live_runs(request: HttpRequest) -> Section:
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


def _unknown_steps(request: HttpRequest) -> Section:
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


def _payouts() -> Section:
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


def _journal() -> Section:
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


def _workers(request: HttpRequest) -> Section:
    alive = list(WorkerHeartbeat.objects.order_by("kind", "name")[: 2 * SHOWN])
    linked = _may_see(request, WorkerHeartbeat)
    return Table(
        _("Workers"),
        [_("process"), _("state"), _("last heard")],
        [
            [
                display.row_link(one, one.kind) if linked else one.kind,
                health_of(one),
                display.relative(one.beat_at),
            ]
            for one in alive
        ],
        empty=_("No worker has ever been heard of: nothing will be executed."),
        more=Link(display.list_url(WorkerHeartbeat), _("All of them")) if linked else None,
    )
