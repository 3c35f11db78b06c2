"""The main story: drafted, staged, approved by two, executed once, rolled back as far as the bank allows."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import execution
from opsconsole.treasury import ledger
from opsconsole.treasury.models import Account
from tests.sandbox_bank.process import BankProcess
from tests.world import World, counts


def test_pays_what_its_impact_said(world: World, bank: BankProcess, executed: Callable[..., tuple[Plan, Run]]) -> None:
    plan, run = executed(total="2500")
    assert (plan.status, run.status) == ("succeeded", "succeeded")
    impact = plan.estimated_impact
    assert impact["count"] == 24
    paid = bank.payments()
    assert len(paid) == impact["count"] == len({payment["end_to_end_id"] for payment in paid})
    total = sum(Decimal(payment["amount"]) for payment in paid)
    assert Decimal(impact["sums"]["EUR"]) == total
    assert Decimal(impact["remainder"]["EUR"]) == Decimal(2500) - total
    assert counts("treasury_payouts") == {"sent": 24, "payable": 16}
    assert Account.objects.get(pk=world.account.pk).ledger_balance == Decimal(1_000_000) - total
    assert ledger.prove() == []
    assert {"plan.created", "plan.staged", "plan.approved", "run.queued", "run.claimed", "run.succeeded"} <= set(
        Entry.objects.filter(subject_id=str(plan.pk)).values_list("verb", flat=True)
    )


def test_rollback_recalls_what_the_bank_has_not_executed(
    world: World, bank: BankProcess, executed: Callable[..., tuple[Plan, Run]], person: Callable[..., Actor]
) -> None:
    plan, _ = executed()
    run = execution.roll_back_plan(plan_id=plan.pk, actor=person("pay_admin"))
    jobs.execute_run(str(run.pk))
    run.refresh_from_db()
    plan.refresh_from_db()
    assert (run.status, plan.status) == ("succeeded", "rolled_back")
    assert {payment["status"] for payment in bank.payments()} == {"recalled"}
    assert counts("treasury_payouts") == {"payable": 40}
    assert Account.objects.get(pk=world.account.pk).ledger_balance == Decimal(1_000_000)
    assert ledger.prove() == []
