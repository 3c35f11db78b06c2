"""What Prometheus is told about plans."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from opsconsole.core.metrics import Fact, Samples, number, register, rows
from opsconsole.plans import calendars
from opsconsole.plans.states import LIVE_RUNS, PlanState, RunState
from opsconsole.plans.types import registered

ENDED = tuple(state.value for state in RunState if state not in LIVE_RUNS)


def _plans() -> Samples:
    counted = {
        (status, kind): n for status, kind, n in rows("select status, plan_type, count(*) from ops_plans group by 1, 2")
    }
    for plan_type in registered():
        for state in PlanState:
            yield (state.value, plan_type.name), float(counted.get((state.value, plan_type.name), 0))


def _ended() -> Samples:
    counted = dict(rows("select status, runs from ops_run_totals"))
    return [((status,), float(counted.get(status, 0))) for status in ENDED]


def _durations() -> Samples:
    found = {status: (float(runs), float(seconds)) for status, runs, seconds in rows("table ops_run_totals")}
    return [((status,), found.get(status, (0.0, 0.0))) for status in ENDED]


def _live() -> Samples:
    counted = dict(
        rows("select status, count(*) from ops_plan_runs where status in ('queued', 'running', 'paused') group by 1")
    )
    return [((state.value,), float(counted.get(state.value, 0))) for state in LIVE_RUNS]


def _doubtful() -> Samples:
    # Both states, as the partial index has them; only one of the two is counted.
    counted: dict[Any, Any] = dict(
        rows(
            "select needs_person, count(*) filter (where status = 'unknown') from ops_plan_steps"
            " where status in ('unknown', 'running') group by 1"
        )
    )
    return [(("target",), float(counted.get(False, 0))), (("person",), float(counted.get(True, 0)))]


def _calendars() -> Samples:
    now = timezone.now()
    return [((), float(sum(calendars.holds(calendar, now) for calendar in calendars.in_force(now))))]


register(
    Fact("ops_plans", "Plans by status and type.", "gauge", ("status", "type"), _plans),
    Fact("ops_plan_runs_total", "Runs that have ended, by status.", "counter", ("status",), _ended),
    Fact(
        "ops_plan_run_seconds",
        "Seconds from the request to the end of a run, by the status it ended in.",
        "summary",
        ("status",),
        _durations,
    ),
    Fact("ops_plan_runs_live", "Runs that have not ended, by status.", "gauge", ("status",), _live),
    Fact(
        "ops_plan_steps_unknown",
        "Steps whose outcome is unknown, by who must answer: the target or a person.",
        "gauge",
        ("waiting_for",),
        _doubtful,
    ),
    Fact(
        "ops_plan_runs_overdue",
        "Live runs past their deadline.",
        "gauge",
        (),
        lambda: number(
            "select count(*) from ops_plan_runs where status in ('queued', 'running', 'paused') and deadline_at < now()"
        ),
    ),
    Fact(
        "ops_plan_run_overdue_seconds",
        "How far the live run that is longest past its deadline is past it; 0 when none is.",
        "gauge",
        (),
        lambda: number(
            "select extract(epoch from greatest(now() - min(deadline_at), interval '0')) from ops_plan_runs"
            " where status in ('queued', 'running', 'paused')"
        ),
    ),
    Fact(
        "ops_calendars_holding",
        "Freeze calendars that keep plans from being executed at this moment.",
        "gauge",
        (),
        _calendars,
    ),
    Fact(
        "ops_break_glass_total",
        "Plans that one person executed in an emergency.",
        "counter",
        (),
        lambda: number("select count(*) from ops_break_glass"),
    ),
    Fact(
        "ops_plan_staged_oldest_seconds",
        "Age of the oldest plan that waits for approvals.",
        "gauge",
        (),
        lambda: number("select extract(epoch from now() - min(staged_at)) from ops_plans where status = 'staged'"),
    ),
)
