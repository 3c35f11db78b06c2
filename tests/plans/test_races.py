"""Many at once: one run, the right quorum, each payment once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from opsconsole.approvals.models import Decision
from opsconsole.core.actors import Actor
from opsconsole.core.errors import DomainError
from opsconsole.journal.models import Entry
from opsconsole.plans import jobs
from opsconsole.plans.errors import LeaseLost
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import decisions, drafts, execution, running, staging
from opsconsole.treasury import ledger
from opsconsole.treasury.models import Account
from tests.api.servers import wait_for
from tests.api.test_idempotency import at_once
from tests.sandbox_bank.process import BankProcess
from tests.world import World, counts

People = Callable[..., Actor]
MANY = 10


def outcome(call: Callable[[], Any]) -> Callable[[], str]:
    """The call, with a refusal as its code."""

    def made() -> str:
        try:
            call()
        except DomainError as error:
            return error.code
        return "done"

    return made


def test_ten_executes_at_once_are_one_run(approved: Callable[..., Plan], person: People, world: World) -> None:
    plan = approved(total="500")
    people = [person("finance_ops"), person("pay_admin")] * (MANY // 2)
    calls = [outcome(lambda actor=actor: execution.execute_plan(plan_id=plan.pk, actor=actor)) for actor in people]
    assert Counter(at_once(*calls)) == {"done": 1, "wrong_state": MANY - 1}
    assert counts("ops_plan_runs") == {"queued": 1}
    assert counts("approvals_requests") == {"consumed": 1}
    assert Entry.objects.filter(verb="run.queued").count() == 1


def test_ten_approvals_at_once_are_the_right_quorum(draft: Callable[..., Plan], person: People, world: World) -> None:
    plan = draft(total="500", required_approvals=4)
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    people = [person(f"finance-{number}", "finance_ops") for number in range(MANY // 2)]
    people += [person(f"admin-{number}", "pay_admin") for number in range(MANY // 2)]
    calls = [
        outcome(lambda actor=actor: decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=actor))
        for actor in people
    ]
    told = Counter(at_once(*calls))
    plan.refresh_from_db()
    assert plan.status == "approved"
    assert told["done"] == len(plan.approvals) == Decision.objects.count() == 4
    assert set(told) <= {"done", "already_complete", "no_open_slot"}
    assert {one["role"] for one in plan.approvals} == {"finance_ops", "pay_admin"}
    assert Entry.objects.filter(verb="plan.approved").count() == 1


def test_one_person_many_times_at_once_is_one_approval(
    draft: Callable[..., Plan], person: People, world: World
) -> None:
    plan = draft(total="500")
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    actor = person("finance_ops")
    call = outcome(lambda: decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=actor))
    assert Counter(at_once(*[call] * MANY)) == {"done": 1, "already_approved": MANY - 1}
    assert Decision.objects.count() == 1


def test_executing_and_revoking_at_once(approved: Callable[..., Plan], person: People, world: World) -> None:
    """Either the approval was revoked and nothing runs, or it was used and stands."""
    executor, doubter = person("finance_ops"), person("pay_admin")

    def execute(plan: Plan) -> Callable[[], str]:
        return outcome(lambda: execution.execute_plan(plan_id=plan.pk, actor=executor))

    def revoke(plan: Plan) -> Callable[[], str]:
        return outcome(lambda: decisions.revoke_approval(plan_id=plan.pk, reason="wait", actor=doubter))

    for number in range(5):
        plan = approved(f"plan-{number}", total="300")
        told = at_once(execute(plan), revoke(plan))
        plan.refresh_from_db()
        runs = Run.objects.filter(plan=plan).count()
        assert (told[0] == "done") == (runs == 1) == (plan.status == "executing")
        assert told.count("done") == 1
        if plan.status == "staged":
            drafts.cancel_plan(plan_id=plan.pk, reason="", actor=person("ops"))


def test_staging_many_plans_at_once_gives_each_payout_to_one(
    draft: Callable[..., Plan], person: People, world: World
) -> None:
    plans = [draft(f"plan-{number}", total="1000") for number in range(4)]
    actor = person("ops")
    told = at_once(*(outcome(lambda plan=plan: staging.stage_plan(plan_id=plan.pk, actor=actor)) for plan in plans))
    assert set(told) <= {"done", "nothing_to_do"}
    taken = [
        Plan.objects.get(pk=plan.pk).estimated_impact["count"] for plan in plans if told[plans.index(plan)] == "done"
    ]
    assert sum(taken) == counts("treasury_payouts")["reserved"]
    assert counts("treasury_instructions") == {"planned": sum(taken)}


def queued(approved: Callable[..., Plan], person: People, **changes: Any) -> Run:
    """A run that waits for a worker."""
    run = execution.execute_plan(plan_id=approved(**changes).pk, actor=person("finance_ops"))
    assert isinstance(run, Run)
    return run


def paid_once(world: World, bank: BankProcess, count: int) -> None:
    """Each payment stands once in the bank's own store, and the ledger sums to zero."""
    paid = bank.payments()
    assert len(paid) == len({payment["end_to_end_id"] for payment in paid}) == count
    assert counts("treasury_payouts")["sent"] == count
    assert ledger.prove() == []


def test_four_workers_on_one_run_pay_each_payment_once(
    approved: Callable[..., Plan], person: People, world: World, bank: BankProcess
) -> None:
    run = queued(approved, person)
    at_once(*[lambda: jobs.execute_run(str(run.pk))] * 4)
    run.refresh_from_db()
    assert (run.status, run.lease_epoch) == ("succeeded", 1)
    assert bank.stats()["duplicate_attempts"] == 0
    paid_once(world, bank, 40)


def test_a_slow_worker_that_loses_its_lease_writes_nothing_more(
    approved: Callable[..., Plan], person: People, world: World, bank: BankProcess, superuser: psycopg.Connection[Any]
) -> None:
    """The first is held up in its call until the second, which took the run over, has finished it."""
    run = queued(approved, person)
    balance = Account.objects.get(pk=world.account.pk).ledger_balance
    bank.arm("delay", seconds=3, times=16)

    def calls_are_out() -> bool:
        return superuser.execute("select count(*) = 16 from ops_plan_steps where status = 'running'").fetchone()[0]

    def second() -> None:
        wait_for("the first worker's calls", calls_are_out)
        superuser.execute("set session_replication_role = replica")
        superuser.execute("update ops_plan_runs set lease_until = now() - interval '1 second'")
        jobs.execute_run(str(run.pk))

    at_once(lambda: jobs.execute_run(str(run.pk)), second)
    bank.assert_fired()
    run.refresh_from_db()
    assert (run.status, run.lease_epoch) == ("succeeded", 2)
    paid_once(world, bank, 40)
    plan = Plan.objects.get(pk=run.plan_id)
    total = plan.estimated_impact["sums"]["EUR"]
    assert str(balance - Account.objects.get(pk=world.account.pk).ledger_balance) == total
    claimed = Entry.objects.filter(verb="run.claimed").latest("seq").content["after"]
    assert (claimed["epoch"], len(claimed["steps_in_doubt"])) == (2, 16)


def test_a_stale_epoch_can_write_nothing(approved: Callable[..., Plan], person: People, world: World) -> None:
    run = queued(approved, person, total="500")
    lease = running.claim_run(run_id=run.pk, owner="first", actor=jobs.WORKER)
    assert lease is not None
    assert running.claim_run(run_id=run.pk, owner="second", actor=jobs.WORKER) is None
    Run.objects.filter(pk=run.pk).update(lease_epoch=lease.epoch + 1)
    for write in (
        lambda: running.advance(lease=lease, answers=[], actor=jobs.WORKER),
        lambda: running.finish_run(lease=lease, actor=jobs.WORKER),
        lambda: running.note_simulation(lease=lease, disagreements=[], actor=jobs.WORKER),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert counts("ops_plan_steps") == {"pending": 4}
