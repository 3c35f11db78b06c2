"""People in mid-run: pause, resume, cancel, retry, the runbook's UPDATE; and what on_failure makes of a refusal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from django.test.utils import override_settings

from opsconsole.journal.models import Entry
from opsconsole.plans.errors import StepsInDoubt
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import control, execution
from tests.faults.harness import Console
from tests.faults.payouts import OPENING, Lane, ended, person, progress, steps_of, succeeded
from tests.faults.processes import wait_for
from tests.sandbox_bank.process import BankProcess
from tests.world import set_probing

pytestmark = pytest.mark.fault

REFUSED = {"amount": "100.20"}  # the twenty-first: in the middle of the second batch


def test_pause_and_resume(running: Console, lane: Callable[..., Lane]) -> None:
    one = lane()
    plan, run = _slow(one)
    control.pause_run(plan_id=plan.pk, run_id=run.pk, reason="wait", actor=person("ops"))
    _reaches(run, "paused")
    assert run.pause_asked_at is not None
    assert run.paused_at is not None
    assert run.pause_asked_at <= run.paused_at
    done = progress(run)
    assert 16 <= done < 96
    assert steps_of(plan, "execute") == {"succeeded": done, "pending": 96 - done}
    time.sleep(2)
    assert (progress(run), len(one.payments())) == (done, done)
    control.resume_run(plan_id=plan.pk, run_id=run.pk, reason="go", actor=person("ops"))
    succeeded(run, since=time.time())
    one.assert_paid(plan)
    assert {"run.pause_asked", "run.resumed"} <= _verbs(plan)


def test_cancel_and_retry(running: Console, lane: Callable[..., Lane]) -> None:
    one = lane()
    plan, run = _slow(one)
    control.cancel_run(plan_id=plan.pk, run_id=run.pk, reason="stop it", actor=person("ops"))
    ended(run, seconds=20)
    plan.refresh_from_db()
    assert (run.status, plan.status) == ("cancelled", "partial")
    assert run.cancel_asked_at is not None
    assert run.finished_at is not None
    assert run.cancel_asked_at <= run.finished_at
    done = progress(run)
    assert 16 <= done < 96
    assert steps_of(plan, "execute") == {"succeeded": done, "pending": 96 - done}
    assert one.payouts() == {"sent": done, "reserved": 96 - done}
    retry = execution.retry_run(plan_id=plan.pk, run_id=run.pk, actor=person("finance_ops"))
    succeeded(retry, since=time.time())
    one.assert_paid(plan)


@pytest.mark.parametrize("on_failure", ["stop", "rollback", "continue"])
def test_on_failure(on_failure: str, running: Console, lane: Callable[..., Lane]) -> None:
    """One account is refused in the middle of 40 payments."""
    one = lane()
    one.arm("reject_account", match=REFUSED)
    plan, run = one.start(payouts=40, on_failure=on_failure)
    ended(run)
    assert one.fired() == {"reject_account": 1}
    plan.refresh_from_db()
    if on_failure == "rollback":
        rollback = Run.objects.get(plan=plan, direction="rollback")
        ended(rollback)
        plan.refresh_from_db()
        assert (run.status, rollback.status, plan.status) == ("failed", "succeeded", "rolled_back")
        assert Counter(payment["status"] for payment in one.payments()) == {"recalled": 31}
        assert one.payouts() == {"payable": 39, "failed": 1}
        assert one.balance() == OPENING
        return
    done = 31 if on_failure == "stop" else 39
    expected = ("failed", "failed") if on_failure == "stop" else ("partial", "partial")
    assert (run.status, plan.status) == expected
    assert len(one.payments()) == done
    assert one.payouts() == Counter({"sent": done, "failed": 1, "reserved": 39 - done}) + Counter()
    assert one.balance() == OPENING - sum(Decimal(payment["amount"]) for payment in one.payments())

    one.server.clear_faults()  # the cause is mended
    retry = execution.retry_run(plan_id=plan.pk, run_id=run.pk, actor=person("finance_ops"))
    succeeded(retry, since=time.time())
    one.assert_paid(plan)


def test_the_update_of_the_runbook(running: Console, lane: Callable[..., Lane]) -> None:
    """`running -> failed` by psql in mid-run: the worker stops, the plan is settled, and both ways on are open."""
    forth, back = lane(), lane()
    begun = [(one, *_slow(one)) for one in (forth, back)]
    for _, plan, run in begun:
        wait_for("calls in flight", lambda plan=plan: Step.objects.filter(plan=plan, status="running").exists())
        with running.operator() as psql:
            psql.execute(
                "UPDATE ops_plan_runs SET status = 'failed', result = '{\"error\": \"timeout\"}'"
                " WHERE id = %s AND status = 'running'",
                [run.pk],
            )
    retries = [_assert_settled(one, plan, run) for one, plan, run in begun]

    succeeded(retries[0], since=time.time())
    forth.assert_paid(begun[0][1])

    plan = begun[1][1]
    wait_for("the doubt to be over", lambda: "unknown" not in steps_of(plan, "execute"))
    control.cancel_run(plan_id=plan.pk, run_id=retries[1].pk, reason="back", actor=person("ops"))
    ended(retries[1])
    for one, each, _ in begun:
        succeeded(one.roll_back(each), since=time.time())
        each.refresh_from_db()
        assert each.status == "rolled_back"
        assert one.payouts() == {"payable": 96}
        assert one.balance() == OPENING
        assert {payment["status"] for payment in one.payments()} == {"recalled"}


def _assert_settled(one: Lane, plan: Plan, run: Run) -> Run:
    """What the UPDATE leaves behind, and the retry that it allows."""

    def is_settled() -> bool:
        plan.refresh_from_db()
        return plan.status == "failed"

    wait_for("the plan to be settled", is_settled)
    run.refresh_from_db()
    assert (run.status, run.result) == ("failed", {"error": "timeout"})
    assert run.finished_at is not None
    done, steps = progress(run), steps_of(plan, "execute")
    assert 16 <= done < 96
    rest = {"unknown": steps["unknown"], "pending": 96 - done - steps["unknown"]}
    assert steps == {"succeeded": done} | {state: count for state, count in rest.items() if count}
    sent = len(one.payments())
    assert done <= sent <= done + steps["unknown"], "what was marked is in doubt, though not all of it went out"
    time.sleep(1)
    assert len(one.payments()) == sent, "the worker went on"
    entry = Entry.objects.get(subject_kind="ops_plan_runs", subject_id=str(run.pk), verb="direct_sql")
    assert "operator" in entry.body
    with pytest.raises(StepsInDoubt):
        one.roll_back(plan)
    return execution.retry_run(plan_id=plan.pk, run_id=run.pk, actor=person("finance_ops"))


def test_killed_before_it_wakes_the_automatic_rollback(running: Console, lane: Callable[..., Lane]) -> None:
    """The rollback is committed with the end of the run; that nobody was woken for it is no loss."""
    one = lane()
    one.arm("reject_account", match=REFUSED)
    plan = one.plan(payouts=40, on_failure="rollback")
    running.freeze()
    armed = running.forked_worker("plans", crash_at="queue.before_enqueue", wake_ups=1)
    with override_settings(REDIS_URL=running.redis_url(1)):
        run = one.execute(plan)
    assert armed.crashed() == "queue.before_enqueue"
    killed = armed.crashed_at
    running.thaw()
    ended(run)
    rollback = Run.objects.get(plan=plan, direction="rollback")
    succeeded(rollback, since=killed)
    assert one.payouts() == {"payable": 39, "failed": 1}
    assert one.balance() == OPENING


def test_what_the_bank_has_executed_stays(running: Console, lane: Callable[..., Lane], tmp_path: Path) -> None:
    with BankProcess(tmp_path / "bank") as bank:
        one = lane(server=bank)
        set_probing(bank=one.bank.pk, probing=False, actor=person("ops"))  # nothing is to be settled meanwhile
        plan, run = _slow(one)
        control.pause_run(plan_id=plan.pk, run_id=run.pk, reason="half of it", actor=person("ops"))
        _reaches(run, "paused")
        executed = bank.execute()
        assert 16 <= executed < 96
        control.resume_run(plan_id=plan.pk, run_id=run.pk, reason="the rest", actor=person("ops"))
        succeeded(run, since=time.time())

        rollback = ended(one.roll_back(plan))
        plan.refresh_from_db()
        assert (rollback.status, plan.status) == ("partial", "rollback_partial")
        assert steps_of(plan, "rollback") == {"succeeded": 96 - executed, "skipped": executed}
        assert Counter(payment["status"] for payment in one.payments()) == {
            "executed": executed,
            "recalled": 96 - executed,
        }
        left = rollback.result["not_undone"]
        assert len(left) == executed
        assert {line["reason"] for line in left} == {"executed"}
        gone = sum(Decimal(line["amount"]) for line in left)
        assert one.balance() == OPENING - gone
        assert one.payouts() == {"sent": executed, "payable": 96 - executed}

        # What came back may be paid again, by another plan; what did not is not paid twice.
        again = one.plan(payouts=1)
        assert again.estimated_impact["count"] == 96 - executed + 1
        succeeded(one.execute(again), since=time.time())
        assert len(one.payments()) == 96 + again.estimated_impact["count"]


def _slow(one: Lane) -> tuple[Plan, Run]:
    """96 payments under way, with time to step in."""
    one.arm("delay", seconds=0.4, times=None)
    plan, run = one.start(payouts=96)
    wait_for("the run to get on", lambda: progress(run) >= 16)
    return plan, run


def _reaches(run: Run, status: str) -> None:
    def look() -> bool:
        run.refresh_from_db()
        return run.status == status

    wait_for(f"the run to be {status}", look)


def _verbs(plan: Plan) -> set[str]:
    return set(Entry.objects.filter(subject_id=str(plan.pk)).values_list("verb", flat=True))
