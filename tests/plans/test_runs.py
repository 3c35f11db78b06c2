"""Runs: what a failure leads to, what people may ask of a run, and a step that nobody can tell about."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.conf import settings

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from opsconsole.plans import jobs
from opsconsole.plans.errors import NothingToRetry, PlanInvalid, RunIsLive, StepNotUnknown, StepsInDoubt
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import control, execution, resolution
from opsconsole.treasury import ledger
from opsconsole.treasury.models import Account
from tests.plans.test_races import queued
from tests.sandbox_bank.process import BankProcess
from tests.world import TESTER, World, counts, set_probing

People = Callable[..., Actor]
Approved = Callable[..., Plan]
BAD_IBAN = "DE84100700004897785971"  # of one payee in four


def work(run: Run) -> Run:
    """Let a worker have the run, and look at it again."""
    jobs.execute_run(str(run.pk))
    run.refresh_from_db()
    return run


def plan_of(run: Run) -> Plan:
    """Its plan, as it is now."""
    return Plan.objects.get(pk=run.plan_id)


def refuse_a_payee(bank: BankProcess, **more: Any) -> None:
    """Have the bank refuse every payment to one payee."""
    bank.arm("reject_account", match={"creditor_account": BAD_IBAN}, **more)


# on_failure


def test_stop_leaves_the_rest_pending(approved: Approved, person: People, world: World, bank: BankProcess) -> None:
    refuse_a_payee(bank)
    run = work(queued(approved, person))
    assert (run.status, plan_of(run).status) == ("failed", "failed")
    steps = counts("ops_plan_steps")
    assert steps == {"succeeded": 12, "failed": 4, "pending": 24}  # one batch of sixteen went out
    assert len(bank.payments()) == 12
    assert counts("treasury_payouts") == {"sent": 12, "failed": 4, "reserved": 24}
    assert ledger.prove() == []


def test_continue_goes_on_and_ends_partial(approved: Approved, person: People, world: World, bank: BankProcess) -> None:
    refuse_a_payee(bank)
    run = work(queued(approved, person, on_failure="continue"))
    assert (run.status, plan_of(run).status) == ("partial", "partial")
    assert counts("ops_plan_steps") == {"succeeded": 30, "failed": 10}
    assert len(bank.payments()) == 30
    reasons = {step.result["code"] for step in Step.objects.filter(status="failed")}
    assert reasons == {"account_closed"}


def test_rollback_takes_back_by_itself(approved: Approved, person: People, world: World, bank: BankProcess) -> None:
    refuse_a_payee(bank)
    run = work(queued(approved, person, on_failure="rollback"))
    assert (run.status, plan_of(run).status) == ("failed", "rolling_back")
    back = Run.objects.get(direction="rollback")
    assert back.requested_by == "system:worker"
    work(back)
    assert (back.status, plan_of(run).status) == ("succeeded", "rolled_back")
    assert {payment["status"] for payment in bank.payments()} == {"recalled"}
    assert Account.objects.get(pk=world.account.pk).ledger_balance == 1_000_000
    seqs = list(Step.objects.filter(direction="rollback").order_by("seq").values_list("undoes__seq", flat=True))
    assert seqs == sorted(seqs, reverse=True)


# Retried


def test_a_retry_goes_on_from_the_failed_step(
    approved: Approved, person: People, world: World, bank: BankProcess
) -> None:
    refuse_a_payee(bank)
    failed = work(queued(approved, person))
    bank.clear_faults()
    retry = execution.retry_run(plan_id=failed.plan_id, run_id=failed.pk, actor=person("pay_admin"))
    assert (retry.retry_of_id, retry.direction) == (failed.pk, "execute")
    assert work(retry).status == "succeeded"
    assert plan_of(retry).status == "succeeded"
    assert len({payment["key"] for payment in bank.payments()}) == len(bank.payments()) == 40
    with pytest.raises(WrongState):
        execution.retry_run(plan_id=failed.plan_id, run_id=retry.pk, actor=person("pay_admin"))
    with pytest.raises(NothingToRetry):
        execution.retry_run(plan_id=failed.plan_id, run_id=failed.pk, actor=person("pay_admin"))


def test_one_live_run_at_a_time(approved: Approved, person: People, world: World) -> None:
    run = queued(approved, person, total="500")
    for again in (
        lambda: execution.roll_back_plan(plan_id=run.plan_id, actor=person("pay_admin")),
        lambda: execution.retry_run(plan_id=run.plan_id, run_id=run.pk, actor=person("pay_admin")),
    ):
        with pytest.raises(RunIsLive):
            again()
    assert Run.objects.count() == 1


# What the bank has executed


def test_a_rollback_says_what_it_could_not_undo(
    approved: Approved, person: People, world: World, bank: BankProcess
) -> None:
    run = work(queued(approved, person, total="500"))
    assert bank.execute() == 4
    back = execution.roll_back_plan(plan_id=run.plan_id, actor=person("pay_admin"))
    work(back)
    assert (back.status, plan_of(run).status) == ("partial", "rollback_partial")
    assert len(back.result["not_undone"]) == 4
    assert counts("ops_plan_steps") == {"succeeded": 4, "skipped": 4}
    assert counts("treasury_payouts") == {"sent": 4, "payable": 36}


# Pause, resume, cancel


def test_a_pause_before_the_first_step(approved: Approved, person: People, world: World, bank: BankProcess) -> None:
    run = queued(approved, person, total="500")
    asked = control.pause_run(plan_id=run.plan_id, run_id=run.pk, reason="lunch", actor=person("ops"))
    assert asked.pause_asked_at
    assert asked.paused_at is None
    work(run)
    assert (run.status, bank.payments()) == ("paused", [])
    assert run.paused_at >= run.pause_asked_at
    work(run)
    assert run.status == "paused"  # nobody takes a paused run
    control.resume_run(plan_id=run.plan_id, run_id=run.pk, reason="", actor=person("ops"))
    assert work(run).status == "succeeded"
    assert (run.pause_asked_at, run.paused_at, len(bank.payments())) == (None, None, 4)


def test_a_pause_in_the_middle_takes_effect_at_the_step_boundary(
    approved: Approved, person: People, world: World, bank: BankProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queued(approved, person)
    asked: list[int] = []
    real = jobs._ask

    def ask_and_pause(*arguments: Any) -> Any:
        answers = real(*arguments)
        if not asked:
            asked.append(len(answers))
            control.pause_run(plan_id=run.plan_id, run_id=run.pk, reason="", actor=person("ops"))
        return answers

    monkeypatch.setattr(jobs, "_ask", ask_and_pause)
    work(run)
    assert (run.status, len(bank.payments())) == ("paused", asked[0])
    assert counts("ops_plan_steps") == {"succeeded": 16, "pending": 24}
    done = control.cancel_run(plan_id=run.plan_id, run_id=run.pk, reason="enough", actor=person("ops"))
    assert (done.status, plan_of(run).status) == ("cancelled", "partial")
    assert counts("treasury_payouts") == {"sent": 16, "reserved": 24}


def test_a_run_cancelled_in_the_queue_has_done_nothing(
    approved: Approved, person: People, world: World, bank: BankProcess
) -> None:
    run = queued(approved, person, total="500")
    run = control.cancel_run(plan_id=run.plan_id, run_id=run.pk, reason="", actor=person("ops"))
    assert (run.status, plan_of(run).status) == ("cancelled", "failed")
    assert work(run).status == "cancelled"
    assert bank.payments() == []
    with pytest.raises(WrongState):
        control.pause_run(plan_id=run.plan_id, run_id=run.pk, reason="", actor=person("ops"))


def test_the_auditor_steers_nothing(approved: Approved, person: People, world: World) -> None:
    run = queued(approved, person, total="500")
    for service in (control.pause_run, control.resume_run, control.cancel_run):
        with pytest.raises(Denied):
            service(plan_id=run.plan_id, run_id=run.pk, reason="", actor=person("auditor"))
    run.refresh_from_db()
    assert (run.status, run.pause_asked_at, run.cancel_asked_at) == ("queued", None, None)


# Unknown


@pytest.fixture
def in_doubt(approved: Approved, person: People, world: World, bank: BankProcess) -> Run:
    """A run that waits for a person: the bank took two payments, nobody heard it say so, and it is not to be asked."""
    set_probing(bank=world.http.pk, probing=False, actor=TESTER)
    bank.arm("drop_after_accept", times=None)
    run = work(queued(approved, person, total="250"))
    bank.assert_fired()
    bank.clear_faults()
    assert (run.status, run.waiting_for) == ("running", "person")
    assert set(Step.objects.values_list("status", "needs_person")) == {("unknown", True)}
    return run


def test_nothing_builds_on_what_is_unknown(in_doubt: Run, person: People, bank: BankProcess) -> None:
    before = len(bank.payments())
    work(in_doubt)
    assert (in_doubt.status, len(bank.payments())) == ("running", before)
    jobs.wake_due_runs()
    with pytest.raises(RunIsLive):
        execution.roll_back_plan(plan_id=in_doubt.plan_id, actor=person("pay_admin"))


def test_a_person_resolves_it_with_evidence(in_doubt: Run, person: People, bank: BankProcess, world: World) -> None:
    first, second = Step.objects.order_by("seq")
    resolve = resolution.resolve_step

    def said(step: Step, outcome: str, evidence: str = "the statement of 2 August, line 12") -> Step:
        return resolve(
            plan_id=in_doubt.plan_id, step_id=step.pk, outcome=outcome, evidence=evidence, reference="SBX-1",
            actor=person("finance_ops"),
        )  # fmt: skip

    for outcome, evidence in (("succeeded", " "), ("perhaps", "a feeling")):
        with pytest.raises(PlanInvalid):
            said(first, outcome, evidence)
    with pytest.raises(Denied):
        resolve(
            plan_id=in_doubt.plan_id, step_id=first.pk, outcome="failed", evidence="x", reference="",
            actor=person("auditor"),
        )  # fmt: skip
    assert said(first, "succeeded").status == "succeeded"
    with pytest.raises(StepNotUnknown):
        said(first, "failed")
    assert said(second, "failed", "the bank's mail of 3 August").status == "failed"
    work(in_doubt)
    assert (in_doubt.status, plan_of(in_doubt).status) == ("failed", "failed")
    entries = [entry.content for entry in Entry.objects.filter(verb="step.resolved").order_by("seq")]
    assert [entry["reason"] for entry in entries] == [
        "the statement of 2 August, line 12",
        "the bank's mail of 3 August",
    ]
    assert counts("treasury_payouts") == {"sent": 1, "failed": 1, "payable": 38}
    assert Account.objects.get(pk=world.account.pk).ledger_balance == Decimal(1_000_000) - 100
    assert ledger.prove() == []


def test_a_rollback_waits_until_nothing_is_unknown(in_doubt: Run, person: People) -> None:
    control.cancel_run(plan_id=in_doubt.plan_id, run_id=in_doubt.pk, reason="", actor=person("ops"))
    assert work(in_doubt).status == "cancelled"
    with pytest.raises(StepsInDoubt):
        execution.roll_back_plan(plan_id=in_doubt.plan_id, actor=person("pay_admin"))
    with pytest.raises(StepsInDoubt):
        execution.retry_run(plan_id=in_doubt.plan_id, run_id=in_doubt.pk, actor=person("pay_admin"))


# By hand


def test_the_runbooks_update_ends_a_run_and_the_sweeper_settles_its_plan(
    approved: Approved, person: People, world: World, connect_as: Callable[[str], psycopg.Connection[Any]]
) -> None:
    run = queued(approved, person, total="500")
    Run.objects.filter(pk=run.pk).update(status="running")
    operator = connect_as(settings.DB_OPERATOR_ROLE)
    operator.execute(
        "UPDATE ops_plan_runs SET status = 'failed', result = '{\"error\": \"timeout\"}'"
        f" WHERE id = '{run.pk}' AND status = 'running'"
    )
    jobs.close_overdue()
    assert plan_of(run).status == "failed"
    entry = Entry.objects.get(verb="direct_sql", subject_kind="ops_plan_runs", actor_id__contains="operator")
    assert entry.content["before"]["status"] == "running"
    assert entry.content["after"]["status"] == "failed"
    retry = execution.retry_run(plan_id=run.plan_id, run_id=run.pk, actor=person("finance_ops"))
    assert work(retry).status == "succeeded"


def test_a_run_past_its_deadline_is_called_off(
    approved: Approved, person: People, world: World, superuser: psycopg.Connection[Any]
) -> None:
    run = queued(approved, person, total="500")
    jobs.close_overdue()
    run.refresh_from_db()
    assert run.status == "queued"
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update ops_plan_runs set deadline_at = now() - interval '1 second'")
    jobs.close_overdue()
    run.refresh_from_db()
    assert (run.status, run.result["error"]) == ("failed", "the run passed its deadline")
    assert plan_of(run).status == "failed"
    assert counts("ops_run_totals", "runs") == {1: 1}
