"""Drift: the world is no longer what was approved. Nothing is executed, and the answer says what is different."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.conf import settings

from opsconsole.approvals.errors import QuorumIncomplete
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from opsconsole.journal.record import Subject, record
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import execution, staging
from opsconsole.plans.services.execution import Drifted
from opsconsole.treasury import ledger
from opsconsole.treasury.ledger import Movement
from opsconsole.treasury.models import Account
from opsconsole.treasury.states import AccountKind, TransferKind
from tests.plans.test_drafts import approve, verbs
from tests.sandbox_bank.process import BankProcess
from tests.world import TESTER, World, add_payouts, counts

People = Callable[..., Actor]
Operator = psycopg.Connection[Any]


@pytest.fixture
def operator(connect_as: Callable[[str], Operator]) -> Operator:
    """A person with psql."""
    return connect_as(settings.DB_OPERATOR_ROLE)


@operation
def draw(*, account: Account, amount: Decimal, actor: Actor) -> None:
    """Take money off a settlement account, as another payout would."""
    target = Account.objects.get(bank_id=account.bank_id, kind=AccountKind.IN_TRANSIT)
    record(actor, "account.drawn", Subject("test", "account"))
    ledger.book(
        [
            Movement(
                kind=TransferKind.SENT,
                reference=f"test:{amount}",
                source=account.pk,
                target=target.pk,
                amount=amount,
                currency="EUR",
            )
        ]
    )


def drifted(plan: Plan, actor: Actor) -> Drifted:
    """Executing finds a drift, and what follows from it."""
    digest = plan.digest
    outcome = execution.execute_plan(plan_id=plan.pk, actor=actor)
    assert isinstance(outcome, Drifted)
    plan.refresh_from_db()
    assert (plan.status, plan.approvals, plan.revision) == ("staged", [], 2)
    assert not Run.objects.exists()
    assert counts("approvals_requests") == {"void": 1, "pending": 1}
    error = outcome.error()
    assert (error.status, error.code, error.fields["plan_status"]) == (409, "plan_drifted", "staged")
    assert error.fields["drift"] == outcome.reasons
    assert error.fields["digest"] == plan.digest
    assert verbs(plan).count("plan.staged") == 2
    reasons = [entry.content["reason"] for entry in Entry.objects.filter(verb="plan.draft")]
    assert reasons[0].startswith("drifted: ")
    assert plan.digest != digest or plan.estimated_impact
    return outcome


def test_a_payout_released_by_pasted_sql(
    approved: Callable[..., Plan], person: People, world: World, operator: Operator
) -> None:
    plan = approved(total="500")
    operator.execute("update treasury_payouts set status = 'payable', plan_id = null where external_id = 'PAY-00000'")
    outcome = drifted(plan, person("finance_ops"))
    assert outcome.reasons[0] == "3 payouts are ready to be paid, not 4."
    assert Entry.objects.filter(verb="direct_sql", subject_kind="treasury_payouts").count() == 1
    # Staged afresh it takes the payout in again, and goes its way once the same people agree again.
    assert plan.estimated_impact["count"] == 4
    plan = approve(plan, person("finance_ops"), person("pay_admin"))
    assert isinstance(execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops")), Run)


def test_an_amount_changed_by_pasted_sql(
    approved: Callable[..., Plan], person: People, world: World, operator: Operator
) -> None:
    plan = approved(total="500")
    operator.execute(
        "update treasury_payouts set status = 'payable', plan_id = null where external_id = 'PAY-00001';"
        "update treasury_payouts set amount = 1 where external_id = 'PAY-00001';"
    )
    operator.execute(
        "update treasury_payouts set status = 'reserved', plan_id = %s where external_id = 'PAY-00001'", [plan.pk]
    )
    outcome = drifted(plan, person("finance_ops"))
    assert "The payout PAY-00001 has changed since it was staged." in outcome.reasons


def test_a_reserved_payout_stands_still_even_for_pasted_sql(
    approved: Callable[..., Plan], world: World, operator: Operator
) -> None:
    approved(total="500")
    with pytest.raises(psycopg.errors.CheckViolation, match="cannot change any more"):
        operator.execute("update treasury_payouts set amount = 1 where external_id = 'PAY-00001'")


def no_longer_possible(plan: Plan, actor: Actor) -> Drifted:
    """Executing finds a drift after which there is nothing that could be staged."""
    outcome = execution.execute_plan(plan_id=plan.pk, actor=actor)
    assert isinstance(outcome, Drifted)
    plan.refresh_from_db()
    assert (plan.status, plan.approvals) == ("draft", [])
    assert not Run.objects.exists()
    assert counts("approvals_requests") == {"void": 1}
    assert counts("treasury_payouts") == {"payable": 40}
    assert outcome.error().fields["plan_status"] == "draft"
    assert "cannot be staged" in outcome.error().message
    return outcome


def test_an_account_that_another_plan_has_drained(approved: Callable[..., Plan], person: People, world: World) -> None:
    plan = approved()
    draw(account=world.account, amount=Decimal(999_000), actor=TESTER)
    outcome = no_longer_possible(plan, person("finance_ops"))
    assert outcome.reasons == [f"The account {world.account.iban} holds 1000.00 EUR, less than 4007.80."]
    assert "holds 1000.00 EUR; the plan pays 4007.80 from it" in outcome.obstacle


def test_another_balance_that_is_enough_is_no_drift(
    approved: Callable[..., Plan], person: People, world: World
) -> None:
    plan = approved()
    draw(account=world.account, amount=Decimal(900_000), actor=TESTER)
    assert isinstance(execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops")), Run)


@pytest.mark.parametrize(
    "statement",
    ["update treasury_banks set status = 'paused' where code = 'sandbox'",
     "update treasury_accounts set status = 'frozen' where iban is not null and name like 'Sandbox%'"],
)  # fmt: skip
def test_a_bank_paused_or_an_account_frozen(
    approved: Callable[..., Plan], person: People, world: World, operator: Operator, statement: str
) -> None:
    plan = approved(total="500")
    assert operator.execute(statement).rowcount == 1
    outcome = no_longer_possible(plan, person("finance_ops"))
    assert outcome.reasons == [f"The account {world.account.iban} or its bank sandbox is not active."]
    assert "40 have no open route" in outcome.obstacle


def test_a_payout_that_came_in_later_is_nobodys_business(
    approved: Callable[..., Plan], person: People, world: World
) -> None:
    plan = approved()
    add_payouts(count=1, amount=7, actor=TESTER, prefix="EXTRA")
    run = execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    assert isinstance(run, Run)
    assert Step.objects.count() == 40


def test_steps_changed_behind_our_back_are_not_what_was_approved(
    approved: Callable[..., Plan], person: People, world: World, operator: Operator
) -> None:
    plan = approved(total="500")
    operator.execute('update ops_plan_steps set payload = payload || \'{"iban": "DE00"}\' where seq = 1')
    outcome = drifted(plan, person("finance_ops"))
    assert "The stored content of the plan is not the content that was approved." in outcome.reasons


@pytest.mark.parametrize(
    "change", ['payload = payload || \'{"total_amount": "9999.00"}\'', "on_failure = 'continue'", "name = 'x'"]
)
def test_a_plan_changed_behind_our_back_is_not_what_was_approved(
    approved: Callable[..., Plan], person: People, world: World, operator: Operator, change: str
) -> None:
    plan = approved(total="500")
    operator.execute(f"update ops_plans set {change}")
    assert "The stored content of the plan" in drifted(plan, person("finance_ops")).reasons[-1]


def test_a_plan_made_approved_by_pasted_sql_is_not_executed(
    draft: Callable[..., Plan], person: People, world: World, operator: Operator
) -> None:
    plan = draft(total="500")
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    operator.execute("update ops_plans set status = 'approved'")
    with pytest.raises(QuorumIncomplete):
        execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    assert not Run.objects.exists()


# Between the execution and the worker


def test_a_dry_run_that_disagrees_pays_nothing(
    approved: Callable[..., Plan], person: People, world: World, bank: BankProcess, operator: Operator
) -> None:
    plan = approved(payload={"currency": "EUR", "cutoff_date": "2025-08-01", "simulate_before_execute": True})
    run = execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    assert isinstance(run, Run)
    operator.execute("update treasury_payouts set status = 'payable', plan_id = null where external_id = 'PAY-00000'")
    jobs.execute_run(str(run.pk))
    run.refresh_from_db()
    plan.refresh_from_db()
    assert (run.status, run.result["simulation"], plan.status) == ("failed", "disagrees", "failed")
    assert "39 payouts are ready to be paid, not 40." in run.result["disagreements"]
    assert bank.payments() == []
    assert counts("ops_plan_steps") == {"pending": 40}


def test_a_dry_run_asks_the_bank_for_its_balance(
    approved: Callable[..., Plan], person: People, world: World, bank: BankProcess
) -> None:
    bank.open_account(balance="10.00")
    plan = approved(payload={"currency": "EUR", "cutoff_date": "2025-08-01", "simulate_before_execute": True})
    run = execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    assert isinstance(run, Run)
    jobs.execute_run(str(run.pk))
    run.refresh_from_db()
    assert run.status == "failed"
    assert "available, less than" in run.result["disagreements"][0]
    assert bank.payments() == []
