"""`pause_bank`: the whole story, what it says beforehand, and that it is done once and undone exactly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.plans import jobs
from opsconsole.plans.errors import NothingToDo, PlanInvalid
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.outcomes import Done, NeverHappened, NotStarted
from opsconsole.plans.services import execution, running, staging
from opsconsole.plans.services.execution import ApprovalWanted, Drifted
from opsconsole.plans.types import type_named
from opsconsole.treasury.models import Account, Alteration, Bank
from opsconsole.treasury.services import banks
from tests.treasury.closing.conftest import carry_out, driven, requests_of, rolled_back, rows, told
from tests.world import World, counts

pytestmark = pytest.mark.django_db(transaction=True)

People = Callable[..., Actor]
PAUSE = {"bank": "sandbox", "reason": "It answers errors since 08:40."}


def test_the_whole_story(world: World, approved: Callable[..., Plan], person: People) -> None:
    plan = approved("pause_bank", PAUSE)
    before = rows()
    run = carry_out(plan, person("finance_ops"))
    assert (plan.status, run.status) == ("succeeded", "succeeded")
    assert run.result["changed"] == [{"bank": "sandbox", "status": "paused"}]
    assert Bank.objects.get(code="sandbox").status == "paused"
    (entry,) = told("bank.paused")
    assert (entry.subject_id, entry.content["reason"]) == (str(world.http.pk), PAUSE["reason"])
    assert (entry.content["before"], entry.content["after"]["status"]) == ({"status": "active"}, "paused")
    assert entry.content["after"]["plan"] == str(plan.pk)
    changed = rows()
    assert {table for table in before if changed[table] != before[table]} == {"treasury_banks"}

    back = rolled_back(plan, person)
    assert (plan.status, back.status) == ("rolled_back", "succeeded")
    assert rows() == before
    assert [one.verb for one in told("bank.paused", "bank.resumed")] == ["bank.paused", "bank.resumed"]


def test_undoing_asks_for_its_two_approvals_first(world: World, done: Callable[..., Any], person: People) -> None:
    plan, _ = done("pause_bank", PAUSE)
    wanted = execution.roll_back_plan(plan_id=plan.pk, actor=person("ops"))
    assert isinstance(wanted, ApprovalWanted)
    error = wanted.error()
    assert (error.code, error.status) == ("approval_required", 409)
    assert requests_of(plan) == {"plan.pause_bank": "consumed", "plan.pause_bank.rollback": "pending"}
    assert Bank.objects.get(code="sandbox").status == "paused"
    assert Run.objects.count() == 1
    assert rolled_back(plan, person).status == "succeeded"
    assert Bank.objects.get(code="sandbox").status == "active"


def test_says_what_stays_behind_and_what_is_on_its_way(
    world: World, done: Callable[..., Any], staged: Callable[..., Plan]
) -> None:
    done("payout_batch", {"currency": "EUR", "cutoff_date": "2025-08-01", "total_amount": "500"})
    staged("payout_batch", {"currency": "EUR", "cutoff_date": "2025-08-01", "total_amount": "300"}, "second")
    impact = staged("pause_bank", PAUSE).estimated_impact
    lines = {line["status"]: (line["count"], line["sum"]) for line in impact["payments"]}
    sums = {
        status: (count, f"{total:.2f}")
        for status, count, total in _sums("select status, count(*), sum(amount) from treasury_payouts group by 1")
    }
    assert lines == {
        "on its way": sums["sent"],
        "in a plan that is staged": sums["reserved"],
        "waiting for a plan": sums["payable"],
    }
    assert impact["count"] == counts("treasury_payouts")["payable"] + counts("treasury_payouts")["reserved"]
    assert [plan["plan"] for plan in impact["plans"]] == ["second"]
    assert [account["account"] for account in impact["accounts"]] == [world.account.iban]
    assert {warning["code"] for warning in impact["warnings"]} == {"routes_lead_here"}
    assert "neither stops nor recalls" in impact["irreversible"]


def _sums(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_warns_that_it_is_the_last_bank_of_a_currency(world: World, staged: Callable[..., Plan]) -> None:
    Account.objects.filter(pk=world.iso_account.pk).update(status="frozen")
    codes = [warning["code"] for warning in staged("pause_bank", PAUSE).estimated_impact["warnings"]]
    assert codes == ["last_bank", "routes_lead_here"]


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        ({}, {"bank", "reason"}),
        ({"bank": "nobody", "reason": " "}, {"bank", "reason"}),
        ({"bank": 7, "reason": "x" * 2001}, {"bank", "reason"}),
        (PAUSE | {"until": "tomorrow"}, {"until"}),
    ],
)
def test_every_wrong_field_is_named(
    world: World, staged: Callable[..., Plan], payload: dict[str, Any], fields: set[str]
) -> None:
    with pytest.raises(PlanInvalid) as refused:
        staged("pause_bank", payload)
    assert set(refused.value.fields["errors"]["payload"]) == fields
    assert not Plan.objects.exists()


def test_a_bank_that_is_paused_is_nothing_to_do(world: World, staged: Callable[..., Plan]) -> None:
    Bank.objects.filter(code="sandbox").update(status="paused")
    with pytest.raises(NothingToDo):
        staged("pause_bank", PAUSE)


def test_paused_since_it_was_approved_is_a_drift(world: World, approved: Callable[..., Plan], person: People) -> None:
    plan = approved("pause_bank", PAUSE)
    Bank.objects.filter(code="sandbox").update(status="paused")
    drifted = execution.execute_plan(plan_id=plan.pk, actor=person("pay_admin"))
    assert isinstance(drifted, Drifted)
    assert drifted.reasons == ["Sandbox Bank is paused already."]
    assert not Run.objects.exists()


def test_paused_since_it_was_queued_is_said_and_left_alone(
    world: World, approved: Callable[..., Plan], person: People
) -> None:
    plan = approved("pause_bank", PAUSE)
    run = execution.execute_plan(plan_id=plan.pk, actor=person("pay_admin"))
    Bank.objects.filter(code="sandbox").update(status="paused")
    before = rows()
    driven(plan, run)
    assert (run.status, plan.status) == ("partial", "partial")
    assert run.result["left_as_it_was"][0]["code"] == "already_paused"
    assert rolled_back(plan, person).status == "succeeded"
    assert rows() == before  # paused before the plan came to it: paused after it was rolled back
    assert told("bank.paused", "bank.resumed") == []


def test_another_plans_pause_is_not_undone(
    world: World, done: Callable[..., Any], approved: Callable[..., Plan], person: People
) -> None:
    first, _ = done("pause_bank", PAUSE, "first")
    Bank.objects.filter(code="sandbox").update(status="active")  # somebody resumed it by hand
    second, _ = done("pause_bank", PAUSE, "second")
    back = rolled_back(first, person)
    assert (back.status, first.status) == ("partial", "rollback_partial")
    assert back.result["left_as_it_was"][0]["code"] == "paused_again"
    assert Bank.objects.get(code="sandbox").status == "paused"
    rolled_back(second, person)
    assert Bank.objects.get(code="sandbox").status == "active"


def test_nobody_pauses_by_hand(world: World, done: Callable[..., Any], person: People) -> None:
    plan, _ = done("pause_bank", PAUSE)
    step = Step.objects.get(plan=plan)
    before = rows()
    for name in ("pay_admin", "finance_ops", "ops", "auditor", "admin"):
        for service in (banks.pause_bank, banks.resume_bank):
            with pytest.raises(Denied):
                service(step=step, actor=person(name))
    assert rows() == before


@pytest.mark.parametrize("role", ["auditor", "admin", "dev"])
def test_others_stage_nothing(world: World, staged: Callable[..., Plan], person: People, role: str) -> None:
    plan = staged("pause_bank", PAUSE)
    before = rows()
    for service in (execution.execute_plan, execution.roll_back_plan, staging.stage_plan):
        with pytest.raises(Exception, match="lacks the permission|no such plan|There is no"):
            service(plan_id=plan.pk, actor=person(role))
    plan.refresh_from_db()
    assert (plan.status, rows()) == ("staged", before)


# Once


def running_step(plan: Plan, actor: Actor) -> Step:
    """The plan's step, marked running as a worker marks it before its call."""
    run = execution.execute_plan(plan_id=plan.pk, actor=actor)
    assert isinstance(run, Run)
    lease = running.claim_run(run_id=run.pk, owner="test", actor=jobs.WORKER)
    assert lease is not None
    (step,) = running.advance(lease=lease, answers=[], actor=jobs.WORKER).steps
    return step


def test_the_same_step_twice_is_done_once(world: World, approved: Callable[..., Plan], person: People) -> None:
    step = running_step(approved("pause_bank", PAUSE), person("pay_admin"))
    plan_type = type_named("pause_bank")
    assert plan_type.probe([step]) == [NeverHappened()]
    first, again = plan_type.execute([step]), plan_type.execute([step])
    assert first == again == [Done({"bank": "sandbox", "status": "paused"})]
    assert plan_type.probe([step]) == first
    assert len(told("bank.paused")) == Alteration.objects.count() == 1


def test_eight_workers_do_it_once(world: World, approved: Callable[..., Plan], person: People) -> None:
    step = running_step(approved("pause_bank", PAUSE), person("pay_admin"))
    answers: list[Any] = []

    def work() -> None:
        try:
            answers.extend(type_named("pause_bank").execute([step]))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [Done({"bank": "sandbox", "status": "paused"})] * 8
    assert len(told("bank.paused")) == Alteration.objects.count() == 1


def test_a_worker_that_lost_the_step_does_nothing(world: World, approved: Callable[..., Plan], person: People) -> None:
    step = running_step(approved("pause_bank", PAUSE), person("pay_admin"))
    Step.objects.filter(pk=step.pk).update(status="unknown")
    (answer,) = type_named("pause_bank").execute([step])
    assert isinstance(answer, NotStarted)
    assert Bank.objects.get(code="sandbox").status == "active"
    assert not Alteration.objects.exists()


def test_a_worker_killed_after_the_commit_is_found_out(
    world: World, approved: Callable[..., Plan], person: People
) -> None:
    """The step was done and nobody wrote it down: the next worker asks, and goes on."""
    plan = approved("pause_bank", PAUSE)
    step = running_step(plan, person("pay_admin"))
    type_named("pause_bank").execute([step])
    Run.objects.update(lease_until="2020-01-01T00:00:00Z")
    run = driven(plan, Run.objects.get())
    assert (run.status, plan.status) == ("succeeded", "succeeded")
    assert len(told("bank.paused")) == 1
