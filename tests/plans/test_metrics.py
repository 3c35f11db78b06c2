"""What Prometheus is told of plans: every fact of the design with each of its label values, zero included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from opsconsole.core import metrics
from opsconsole.core.actors import Actor
from opsconsole.core.queue import QUEUES
from opsconsole.plans import jobs
from opsconsole.plans.services import execution
from opsconsole.plans.states import PlanState
from opsconsole.plans.types import registered
from tests.plans.lamps import Lamps, approved, lamps, staged
from tests.plans.test_break_glass import smash
from tests.plans.test_calendars import frozen

__all__ = ["lamps"]

pytestmark = pytest.mark.django_db(transaction=True)
ENDED = {("succeeded",), ("partial",), ("failed",), ("cancelled",)}
LIVE = {("queued",), ("running",), ("paused",)}


def told(name: str) -> dict[tuple[str, ...], Any]:
    """What a fact says now, by its label values."""
    (fact,) = [one for one in metrics.registered() if one.name == name]
    return dict(fact.samples())


def test_everything_is_there_from_the_start_at_zero() -> None:
    types = {plan_type.name for plan_type in registered()}
    labels = {
        "ops_plans": {(state.value, name) for state in PlanState for name in types},
        "ops_plan_runs_total": ENDED,
        "ops_plan_run_seconds": ENDED,
        "ops_plan_runs_live": LIVE,
        "ops_plan_steps_unknown": {("target",), ("person",)},
        "ops_plan_runs_overdue": {()},
        "ops_plan_run_overdue_seconds": {()},
        "ops_plan_staged_oldest_seconds": {()},
        "ops_calendars_holding": {()},
        "ops_break_glass_total": {()},
        "ops_break_glass_reviews_overdue": {()},
        "ops_reviews_waiting": {("open",), ("overdue",)},
        "ops_queue_depth": {(name,) for name in QUEUES},
    }
    for name, wanted in labels.items():
        found = told(name)
        assert set(found) == wanted, name
        if name != "ops_queue_depth":  # other tests share the queues
            assert set(found.values()) <= {0.0, (0.0, 0.0)}, name
    waits = told("ops_approval_wait_seconds")
    assert {(f"plan.{name}",) for name in types} <= set(waits)
    assert set(waits.values()) == {(0.0, 0.0)}


def test_they_follow_what_happens(
    lamps: Callable[..., Lamps], person: Callable[..., Actor], superuser: psycopg.Connection[Any]
) -> None:
    lamps()
    plan = approved(person("ops"), person("pay_admin"))
    run = execution.execute_plan(plan_id=plan.pk, actor=person("ops"))
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update ops_plan_runs set deadline_at = now() - interval '100 seconds'")
    assert told("ops_plan_runs_overdue") == {(): 1.0}
    assert 100 <= told("ops_plan_run_overdue_seconds")[()] < 160
    superuser.execute("update ops_plan_runs set deadline_at = now() + interval '100 seconds'")
    assert told("ops_plan_run_overdue_seconds") == {(): 0.0}
    jobs.execute_run(str(run.pk))
    assert told("ops_plan_runs_total")["succeeded",] == 1.0
    assert told("ops_plan_run_seconds")["succeeded",][0] == 1.0
    assert told("ops_plans")["succeeded", "lamps"] == 1.0
    frozen(person("pay_admin"))
    assert told("ops_calendars_holding") == {(): 1.0}
    smash(staged(person("ops"), external_id="lamps-2"), person("ops"))
    assert told("ops_break_glass_total") == {(): 1.0}
    assert told("ops_reviews_waiting")["open",] == 1.0
    assert told("ops_approval_wait_seconds")["plan.lamps",][0] == 1.0
