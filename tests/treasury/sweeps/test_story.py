"""A sweep from draft to rollback: exact balances in the ledger and in the bank's own store, before and after."""

from __future__ import annotations

from decimal import Decimal

from opsconsole.journal.models import Entry
from opsconsole.plans.models import Step
from opsconsole.treasury import ledger
from opsconsole.treasury.models import Sweep
from tests.sandbox_bank.process import OUR_IBAN
from tests.treasury.sweeps.conftest import MILLION, POOR, RICH, Sweeping, balances
from tests.world import ISO_IBAN, counts

ABOVE = Decimal("4900.50")


def test_what_lies_above_the_minimum_moves_and_goes_back(sweeping: Sweeping) -> None:
    before = balances()
    plan = sweeping.staged()
    impact = plan.estimated_impact
    assert (impact["count"], impact["sums"], impact["fees"]) == (1, {"EUR": "4900.50"}, {"EUR": "0"})
    assert impact["accounts"] == [
        {
            "account": RICH,
            "bank": "sandbox",
            "currency": "EUR",
            "count": 1,
            "sum": "4900.50",
            "balance_before": "5000.50",
            "balance_after": "100.00",
        }
    ]
    assert (impact["target"]["balance_before"], impact["target"]["balance_after"]) == ("1000000.00", "1004900.50")
    assert impact["way_back"] == [
        {"account": OUR_IBAN, "target": RICH, "bank": "sandbox", "amount": "4900.50", "currency": "EUR"}
    ]
    assert [(one["code"], one["accounts"]) for one in impact["warnings"]] == [("nothing_to_sweep", [POOR])]

    plan, run = sweeping.execute(sweeping.approve(plan))
    assert (plan.status, run.status) == ("succeeded", "succeeded")
    assert balances() == before | {RICH: Decimal(100), "sandbox in_transit": ABOVE}
    assert sweeping.bank.execute() == 1
    sweeping.ask()
    after = before | {RICH: Decimal(100), OUR_IBAN: MILLION + ABOVE}
    assert balances() == after
    assert sweeping.at_bank() == {OUR_IBAN: MILLION + ABOVE, RICH: Decimal(100), POOR: Decimal("99.99")}
    assert counts("treasury_sweeps") == {"settled": 1}
    assert Entry.objects.get(verb="sweeps.settled").content["after"]["sum"] == {"EUR": "4900.50"}

    plan, run = sweeping.roll_back(plan)
    assert (plan.status, run.status) == ("rolled_back", "succeeded")
    assert balances() == after | {OUR_IBAN: MILLION, "sandbox in_transit": ABOVE}
    sweeping.bank.execute()
    sweeping.ask()
    assert balances() == before
    assert sweeping.at_bank() == {OUR_IBAN: MILLION, RICH: Decimal("5000.50"), POOR: Decimal("99.99")}
    assert [payment["status"] for payment in sweeping.bank.payments()] == ["executed", "executed"]
    back = Sweep.objects.get(undoes__isnull=False)
    assert (back.account.iban, back.target.iban, back.amount) == (OUR_IBAN, RICH, ABOVE)
    assert ledger.prove() == []


def test_what_is_not_executed_is_recalled(sweeping: Sweeping) -> None:
    before = balances()
    plan, _ = sweeping.executed()
    plan, run = sweeping.roll_back(plan)
    assert (plan.status, run.status) == ("rolled_back", "succeeded")
    assert balances() == before
    assert [payment["status"] for payment in sweeping.bank.payments()] == ["recalled"]
    assert counts("treasury_sweeps") == {"recalled": 1}
    assert Step.objects.get(direction="rollback").result == {"way": "recall"}
    assert ledger.prove() == []


def test_what_was_executed_unheard_of_is_paid_back(sweeping: Sweeping) -> None:
    before = balances()
    plan, _ = sweeping.executed()
    sweeping.bank.execute()  # and nobody has asked yet
    plan, run = sweeping.roll_back(plan)
    assert (plan.status, run.status) == ("rolled_back", "succeeded")
    sweeping.bank.execute()
    sweeping.ask()
    assert balances() == before
    assert sweeping.at_bank()[RICH] == Decimal("5000.50")
    assert counts("treasury_sweeps") == {"settled": 2}
    assert ledger.prove() == []


def test_to_another_bank_it_is_a_payment_and_has_a_fee(sweeping: Sweeping) -> None:
    before = balances()
    plan = sweeping.approved(source_accounts=None, source_bank="sandbox", target_account=ISO_IBAN, keep_minimum="5000")
    impact = plan.estimated_impact
    assert (impact["count"], impact["fees"]) == (2, {"EUR": "0.40"})
    assert [one["code"] for one in impact["warnings"]] == ["other_bank", "nothing_to_sweep"]
    total = Decimal("995000.50")
    assert impact["sums"] == {"EUR": f"{total}"}
    plan, run = sweeping.execute(plan)
    assert run.status == "succeeded"
    sweeping.bank.execute()
    sweeping.ask()
    assert balances()["sandbox in_transit"] == total  # executed is not arrived: it may come back yet
    sweeping.bank.settle()
    sweeping.ask()
    kept = {OUR_IBAN: Decimal(5000), RICH: Decimal(5000)}
    assert balances() == before | kept | {ISO_IBAN: MILLION + total}
    assert sweeping.at_bank() == kept | {POOR: Decimal("99.99")}
    assert ledger.prove() == []
