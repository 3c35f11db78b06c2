"""Ending a stuck run by force, and asking about steps in doubt once no run does."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, NotFound
from opsconsole.core.states import WrongState
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry
from opsconsole.plans import jobs
from opsconsole.plans.errors import PlanInvalid, StepsInDoubt
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.outcomes import CannotTell, NeverHappened, NoAnswer, Refused
from opsconsole.plans.services import control, doubt, execution
from opsconsole.plans.services.force_fail import force_fail_run
from tests.api.test_idempotency import at_once
from tests.api.unchanged import unchanged
from tests.plans.lamps import Lamps, approved, lamps
from tests.plans.test_calendars import ask
from tests.plans.test_races import outcome
from tests.world import counts

__all__ = ["ask", "lamps"]

pytestmark = pytest.mark.django_db(transaction=True)
People = Callable[..., Actor]
MakeLamps = Callable[..., Lamps]


@pytest.fixture
def run(lamps: MakeLamps, person: People) -> tuple[Lamps, Run]:
    """A run that waits for a worker."""
    plan_type = lamps()
    made = execution.execute_plan(plan_id=approved(person("ops"), person("pay_admin")).pk, actor=person("ops"))
    assert isinstance(made, Run)
    return plan_type, made


def force(run: Run, actor: Actor, reason: str = "it hangs") -> Run:
    return force_fail_run(plan_id=run.plan_id, run_id=run.pk, reason=reason, actor=actor)


def later(superuser: psycopg.Connection[Any]) -> None:
    """Two minutes go by."""
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update ops_plan_runs set finished_at = finished_at - interval '5 minutes'")
    superuser.execute("update ops_plan_steps set probed_at = probed_at - interval '5 minutes'")
    superuser.execute("set session_replication_role = origin")


class TestForce:
    def test_a_worker_that_is_alive_stops_at_its_next_write(self, run: tuple[Lamps, Run], person: People) -> None:
        plan_type, stuck = run
        actor = person("ops")
        plan_type.before_call = lambda: force(stuck, actor)  # while its calls are out
        jobs.execute_run(str(stuck.pk))
        stuck.refresh_from_db()
        assert (stuck.status, stuck.plan.status, stuck.lease_epoch) == ("failed", "failed", 2)
        assert plan_type.lit == ["red", "green"]  # they went out, and nobody may guess what came of them
        assert counts("ops_plan_steps") == {"unknown": 2}
        assert stuck.result["error"] == "forced to fail"
        entry = Entry.objects.get(verb="run.forced_to_fail").content
        assert entry["before"] == {"status": "executing", "run_status": "running"}
        assert (entry["after"]["status"], entry["after"]["steps_in_doubt"]) == ("failed", [1, 2])
        assert (entry["reason"], entry["actor"]["name"]) == ("it hangs", "ops")
        assert not Entry.objects.filter(verb__in=("run.failed", "run.succeeded")).exists()
        with pytest.raises(StepsInDoubt):
            execution.roll_back_plan(plan_id=stuck.plan_id, actor=person("ops"))

    def test_queued_and_paused_ones_too(self, run: tuple[Lamps, Run], person: People) -> None:
        _, queued = run
        control.pause_run(plan_id=queued.plan_id, run_id=queued.pk, reason="", actor=person("ops"))
        jobs.execute_run(str(queued.pk))
        assert force(queued, person("pay_admin")).status == "failed"
        assert Plan.objects.get().status == "failed"
        assert counts("ops_run_totals", "runs") == {1: 1}
        retry = execution.retry_run(plan_id=queued.plan_id, run_id=queued.pk, actor=person("ops"))
        jobs.execute_run(str(retry.pk))
        assert Plan.objects.get().status == "succeeded"

    def test_a_rollback_leaves_the_plan_rolled_back_in_part(self, run: tuple[Lamps, Run], person: People) -> None:
        _, first = run
        jobs.execute_run(str(first.pk))
        back = execution.roll_back_plan(plan_id=first.plan_id, actor=person("ops"))
        assert isinstance(back, Run)
        force(back, person("ops"))
        assert Plan.objects.get().status == "rollback_partial"

    def test_what_is_refused_changes_nothing(self, run: tuple[Lamps, Run], person: People, ask: Any) -> None:
        _, live = run
        for who in ("finance_ops", "auditor", "dev"):
            actor = person(who)
            with unchanged(ask), pytest.raises((Denied, NotFound)):
                force(live, actor)
        actor = person("ops")
        with unchanged(ask), pytest.raises(PlanInvalid):
            force(live, actor, " ")
        jobs.execute_run(str(live.pk))
        with unchanged(ask), pytest.raises(WrongState):
            force(live, actor)

    def test_many_at_once_are_one(self, run: tuple[Lamps, Run], person: People) -> None:
        _, live = run
        actor = person("ops")
        assert Counter(at_once(*[outcome(lambda: force(live, actor))] * 5)) == {"done": 1, "wrong_state": 4}
        assert Entry.objects.filter(verb="run.forced_to_fail").count() == 1

    def test_by_command_and_by_api(
        self, run: tuple[Lamps, Run], person: People, api: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, live = run
        out, err = io.StringIO(), io.StringIO()
        with pytest.raises(SystemExit):
            call_command("plan_force_fail", str(live.pk), reason="it hangs", stdout=out, stderr=err)
        assert "run_not_found" in err.getvalue()
        person("ops")
        monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(person("ops").user))
        call_command("plan_force_fail", str(live.pk), reason="it hangs", as_user="ops", stdout=out)
        assert "The run is failed; the plan “Light them” is failed." in out.getvalue()
        url = f"/api/ops/plans/{live.plan_id}/runs/{live.pk}/force-fail"
        assert api("finance_ops").post(url, {"reason": "x"}).status_code == 403
        assert api("ops").post(url, {}).status_code == 400
        assert api("ops").post(url, {"reason": "x"}).json()["code"] == "wrong_state"


@pytest.fixture
def doubtful(run: tuple[Lamps, Run], person: People) -> tuple[Lamps, Plan]:
    """A plan whose run was ended while nobody knew what came of its two steps."""
    plan_type, live = run
    plan_type.unclear = True
    plan_type.probed = lambda _step: NoAnswer("the target is away")
    jobs.execute_run(str(live.pk))
    assert counts("ops_plan_steps") == {"unknown": 2}
    force(live, person("ops"))
    plan_type.probes.clear()
    return plan_type, live.plan


class TestDoubt:
    def test_the_sweeper_asks_once_no_call_can_be_on_its_way(
        self, doubtful: tuple[Lamps, Plan], superuser: psycopg.Connection[Any]
    ) -> None:
        plan_type, plan = doubtful
        assert doubt.plans_in_doubt() == []
        jobs.probe_steps(str(plan.pk))
        assert plan_type.probes == []
        later(superuser)
        assert doubt.plans_in_doubt() == [plan.pk]
        plan_type.probed = lambda step: NeverHappened() if step.seq == 1 else Refused("no_power", "the fuse is out")
        jobs.probe_steps(str(plan.pk))
        assert dict(Step.objects.values_list("seq", "status")) == {1: "pending", 2: "failed"}
        assert plan_type.recorded[-1][1] == ["pending", "failed"]
        entry = Entry.objects.get(verb="steps.probed").content
        assert entry["actor"]["name"] == "system:prober"
        assert [one["status"] for one in entry["after"]["done"]] == ["pending", "failed"]
        assert doubt.plans_in_doubt() == []

    def test_one_that_does_not_answer_is_asked_again_in_a_minute(
        self, doubtful: tuple[Lamps, Plan], superuser: psycopg.Connection[Any]
    ) -> None:
        plan_type, plan = doubtful
        later(superuser)
        jobs.probe_steps(str(plan.pk))
        assert len(plan_type.probes) == 2
        jobs.probe_steps(str(plan.pk))
        assert len(plan_type.probes) == 2
        assert counts("ops_plan_steps") == {"unknown": 2}
        assert not Entry.objects.filter(verb="steps.probed").exists()
        later(superuser)
        assert doubt.plans_in_doubt() == [plan.pk]

    def test_one_that_cannot_tell_leaves_it_to_a_person(
        self, doubtful: tuple[Lamps, Plan], superuser: psycopg.Connection[Any]
    ) -> None:
        plan_type, plan = doubtful
        plan_type.probed = lambda _step: CannotTell("it keeps no list")
        later(superuser)
        jobs.probe_steps(str(plan.pk))
        assert set(Step.objects.values_list("status", "needs_person")) == {("unknown", True)}
        assert doubt.plans_in_doubt() == []

    def test_a_run_that_began_meanwhile_asks_by_itself(
        self, doubtful: tuple[Lamps, Plan], person: People, superuser: psycopg.Connection[Any]
    ) -> None:
        plan_type, plan = doubtful
        later(superuser)
        taken = doubt.claim_doubtful_steps(plan_id=plan.pk, actor=jobs.PROBER)
        assert [step.seq for step in taken] == [1, 2]
        execution.retry_run(plan_id=plan.pk, run_id=Run.objects.get().pk, actor=person("ops"))
        answers = [(step, Refused("late", "too late")) for step in taken]
        assert doubt.settle_doubt(plan_id=plan.pk, answers=answers, actor=jobs.PROBER) == 0
        assert counts("ops_plan_steps") == {"unknown": 2}

    def test_the_sweeper_wakes_a_worker(
        self, doubtful: tuple[Lamps, Plan], superuser: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, plan = doubtful
        later(superuser)
        woken: list[Any] = []
        monkeypatch.setattr(jobs, "enqueue", lambda *job, **queue: woken.append((job, queue)) or True)
        jobs.wake_probes()
        assert woken == [(("opsconsole.plans.jobs.probe_steps", str(plan.pk)), {"queue": "plans"})]
