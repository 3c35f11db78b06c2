"""Where the bank answers no probes, nobody guesses: the step stops at unknown until a person says what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from opsconsole.journal.models import Entry
from opsconsole.plans.errors import StepsInDoubt
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import control, execution, resolution
from tests.faults.harness import Console
from tests.faults.payouts import TESTER, Lane, ended, person, steps_of, succeeded
from tests.faults.processes import wait_for
from tests.world import set_probing

pytestmark = pytest.mark.fault

PAYMENT = {"amount": "100.07"}  # the eighth, in the first of two batches
ALL_ATTEMPTS = 4


def test_probing_is_off_and_it_had_happened(running: Console, lane: Callable[..., Lane]) -> None:
    one = lane()
    set_probing(bank=one.bank.pk, probing=False, actor=TESTER)
    plan, run, step = _in_doubt(one, "drop_after_accept")
    assert len(one.payments()) == 16
    reference = next(payment["id"] for payment in one.payments() if payment["amount"] == "100.07")
    _resolve(plan, step, "succeeded", reference=reference)
    succeeded(run, since=time.time())
    one.assert_paid(plan)
    entry = Entry.objects.get(subject_id=str(plan.pk), verb="step.resolved")
    assert "resolved by telephone" in entry.body

    # What a person said is as good as what the bank says: it can be recalled.
    succeeded(one.roll_back(plan), since=time.time())
    one.assert_taken_back(plan)


def test_probes_are_refused_and_it_had_not_happened(running: Console, lane: Callable[..., Lane]) -> None:
    one = lane()
    one.arm("refuse_probes", match={"key": ""})
    one.server.arm("refuse_probes")
    plan, run, step = _in_doubt(one, "drop_before_accept")
    assert one.server.fired("refuse_probes")
    assert len(one.payments()) == 15
    _resolve(plan, step, "failed")
    ended(run)
    plan.refresh_from_db()
    assert (run.status, plan.status) == ("failed", "failed")
    assert steps_of(plan, "execute") == {"succeeded": 15, "failed": 1, "pending": 4}
    assert one.payouts() == {"sent": 15, "failed": 1, "reserved": 4}
    assert one.balance() == Decimal(500_000) - sum(Decimal(payment["amount"]) for payment in one.payments())

    # The cause is mended: the same payment goes out again under the same key.
    one.server.clear_faults()
    retry = execution.retry_run(plan_id=plan.pk, run_id=run.pk, actor=person("finance_ops"))
    succeeded(retry, since=time.time())
    one.assert_paid(plan)


def test_what_nobody_resolves_ends_at_its_deadline(running: Console, lane: Callable[..., Lane]) -> None:
    one = lane()
    set_probing(bank=one.bank.pk, probing=False, actor=TESTER)
    plan, run, step = _in_doubt(one, "drop_after_accept")
    with running.superuser() as su:
        su.execute("update ops_plan_runs set deadline_at = now() - interval '1 second' where id = %s", [run.pk])
    ended(run, seconds=20)
    plan.refresh_from_db()
    assert (run.status, plan.status) == ("failed", "failed")
    assert run.result["error"] == "the run passed its deadline"
    assert steps_of(plan, "execute") == {"succeeded": 15, "unknown": 1, "pending": 4}
    assert one.payouts() == {"sent": 15, "sending": 1, "reserved": 4}

    # Neither way on leads past the doubt; once a person has ended it, both are open.
    with pytest.raises(StepsInDoubt):
        execution.retry_run(plan_id=plan.pk, run_id=run.pk, actor=person("finance_ops"))
    with pytest.raises(StepsInDoubt):
        one.roll_back(plan)
    _resolve(plan, step, "succeeded", reference=one.payments()[7]["id"])
    retry = execution.retry_run(plan_id=plan.pk, run_id=run.pk, actor=person("finance_ops"))
    succeeded(retry, since=time.time())
    one.assert_paid(plan)


def test_a_wait_can_be_cancelled_without_redis(running: Console, lane: Callable[..., Lane]) -> None:
    """Nobody hands out a run that waits for a person; a wish must reach it all the same."""
    one = lane()
    set_probing(bank=one.bank.pk, probing=False, actor=TESTER)
    plan, run, _ = _in_doubt(one, "drop_after_accept")
    running.freeze()
    control.cancel_run(plan_id=plan.pk, run_id=run.pk, reason="enough", actor=person("pay_admin"))
    running.redis().flushall()
    running.thaw()
    ended(run, seconds=30)
    plan.refresh_from_db()
    assert (run.status, plan.status) == ("cancelled", "partial")
    assert steps_of(plan, "execute") == {"succeeded": 15, "unknown": 1, "pending": 4}


def _in_doubt(one: Lane, fault: str) -> tuple[Plan, Run, Step]:
    """A run that waits for a person because of one payment, and sends nothing else meanwhile."""
    one.arm(fault, times=ALL_ATTEMPTS, match=PAYMENT)
    plan, run = one.start()

    def waits() -> bool:
        run.refresh_from_db()
        return bool(run.waiting_for == "person")

    wait_for("the run to wait for a person", waits)
    assert one.fired()[fault] == ALL_ATTEMPTS
    before = one.payments()
    time.sleep(1.5)
    run.refresh_from_db()
    assert (run.status, run.waiting_for) == ("running", "person")
    assert one.payments() == before
    assert steps_of(plan, "execute") == {"succeeded": 15, "unknown": 1, "pending": 4}
    step = Step.objects.get(plan=plan, status="unknown")
    assert step.needs_person
    assert step.payload["amount"] == PAYMENT["amount"]
    return plan, run, step


def _resolve(plan: Plan, step: Step, outcome: str, *, reference: str = "") -> None:
    resolution.resolve_step(
        plan_id=plan.pk,
        step_id=step.pk,
        outcome=outcome,
        evidence="resolved by telephone with the bank",
        reference=reference,
        actor=person("ops"),
    )
