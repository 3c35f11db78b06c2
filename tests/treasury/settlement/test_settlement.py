"""What becomes of sent payments: the bank says it, the records and the ledger follow, each once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import OutboxEvent
from opsconsole.core.operations import operation
from opsconsole.core.queue import depths
from opsconsole.journal.models import Entry
from opsconsole.plans.models import Plan, Run
from opsconsole.treasury import jobs, ledger
from opsconsole.treasury.gateways.base import Known, PaymentState
from opsconsole.treasury.models import Account, Bank, Instruction, Payout, Transfer
from opsconsole.treasury.services import payouts, settlement
from opsconsole.treasury.states import AccountKind
from tests.sandbox_bank.process import BankProcess
from tests.treasury.conftest import verbs
from tests.world import TESTER, World, counts, set_probing

Executed = Callable[..., tuple[Plan, Run]]
POLLER = SYSTEM("test")


@operation
def make_due(*, actor: Actor) -> None:
    """Let every payment be asked for now, and every bank be woken for."""
    Instruction.objects.filter(status="sent").update(next_poll_at=timezone.now() - timedelta(seconds=1))
    Bank.objects.update(wake_at=timezone.now() - timedelta(seconds=1))


def ask(world: World) -> None:
    make_due(actor=TESTER)
    jobs.settle_bank(str(world.http.pk))


def balances(world: World) -> dict[str, Decimal]:
    return {account.kind: account.ledger_balance for account in Account.objects.filter(bank=world.http)}


def total() -> Decimal:
    return sum((payout.amount for payout in Payout.objects.all()), Decimal(0))


def test_settled_payments_are_settled_once(world: World, bank: BankProcess, executed: Executed) -> None:
    plan, _ = executed()
    bank.execute()
    bank.settle()
    ask(world)
    assert counts("treasury_payouts") == {"settled": 40}
    assert counts("treasury_instructions") == {"settled": 40}
    assert not Instruction.objects.filter(settled_at=None).exists()
    money = balances(world)
    assert (money["in_transit"], money["paid_out"]) == (0, total())
    assert money["settlement"] == Decimal(1_000_000) - total()
    assert ledger.prove() == []
    entry = Entry.objects.get(verb="payouts.settled")
    assert (entry.subject_kind, entry.subject_id) == ("ops_plans", str(plan.pk))
    assert entry.content["after"] == {"bank": str(world.http.pk), "count": 40, "sum": {"EUR": f"{total()}"}}
    transfers = Transfer.objects.count()
    ask(world)
    assert (Transfer.objects.count(), verbs("payouts")) == (transfers, ["payouts.made", "payouts.settled"])


def test_payments_on_their_way_are_asked_for_later_and_later(
    world: World, bank: BankProcess, executed: Executed
) -> None:
    executed()
    ask(world)
    assert counts("treasury_payouts") == {"sent": 40}
    assert verbs("payouts") == ["payouts.made"]
    assert settlement.claim_due(bank_id=world.http.pk, actor=POLLER) == []
    one = Instruction.objects.first()
    assert one is not None
    assert one.next_poll_at >= timezone.now() + timedelta(seconds=2)
    long_ago = timezone.now() - timedelta(minutes=10)
    Instruction.objects.filter(pk=one.pk).update(sent_at=long_ago, next_poll_at=long_ago)
    assert [due.instruction_id for due in settlement.claim_due(bank_id=world.http.pk, actor=POLLER)] == [one.pk]
    one.refresh_from_db()
    assert timedelta(minutes=9) < one.next_poll_at - timezone.now() < timedelta(minutes=11)


def test_a_returned_payment_gives_its_money_back_and_can_be_paid_again(
    world: World, bank: BankProcess, executed: Executed, person: Callable[..., Actor]
) -> None:
    bank.arm("return_later", times=3, seconds=0)
    plan, _ = executed()
    bank.execute()
    bank.settle()
    bank.assert_fired()
    ask(world)
    assert counts("treasury_payouts") == {"settled": 37, "returned": 3}
    back = list(Payout.objects.filter(status="returned"))
    assert balances(world)["settlement"] == Decimal(1_000_000) - total() + sum(payout.amount for payout in back)
    assert balances(world)["in_transit"] == 0
    assert ledger.prove() == []
    entry = Entry.objects.get(verb="payouts.returned")
    assert {one["external_id"] for one in entry.content["after"]["payouts"]} == {one.external_id for one in back}
    assert all("closed" in one["reason"] for one in entry.content["after"]["payouts"])
    events = OutboxEvent.objects.filter(topic="payout.returned")
    assert {event.subject_id for event in events} == {str(payout.pk) for payout in back}
    again = payouts.retry_payout(payout_id=back[0].pk, reason="new account opened", actor=person("finance_ops"))
    assert (again.status, again.plan_id) == ("payable", None)
    second, _ = executed("plan-2")
    assert second.estimated_impact["count"] == 1
    assert counts("treasury_payouts") == {"settled": 37, "returned": 2, "sent": 1}
    assert [one.status for one in Instruction.objects.filter(payout=again).order_by("pk")] == ["returned", "sent"]


def test_a_payment_recalled_at_the_bank_is_payable_again(world: World, bank: BankProcess, executed: Executed) -> None:
    executed()
    one = Instruction.objects.first()
    assert one is not None
    answer = bank.request("POST", f"/v1/payments/{one.bank_reference}/recall", key="by-phone")
    assert answer.status == 200
    ask(world)
    assert counts("treasury_instructions") == {"sent": 39, "recalled": 1}
    payout = Payout.objects.get(pk=one.payout_id)
    assert (payout.status, payout.plan_id) == ("payable", None)
    assert balances(world)["in_transit"] == total() - one.amount
    assert ledger.prove() == []
    assert verbs("payouts") == ["payouts.made", "payouts.recalled"]


def conclude(world: World, instruction: Instruction, **known: Any) -> dict[str, int]:
    facts: dict[str, Any] = {"reference": "r", "state": PaymentState.SETTLED} | known
    return settlement.conclude(bank_id=world.http.pk, answers=[(instruction.pk, Known(**facts))], actor=POLLER)


class TestLeftAlone:
    """What the poller does not touch."""

    @pytest.fixture
    def sent(self, executed: Executed) -> Instruction:
        executed()
        found = Instruction.objects.order_by("ordinal").first()
        assert found is not None
        return found

    @pytest.mark.parametrize(
        "known", [{"amount": Decimal("0.01")}, {"currency": "USD"}, {"state": PaymentState.EXECUTED}]
    )
    def test_another_amount_and_no_end(self, world: World, sent: Instruction, known: dict[str, Any]) -> None:
        assert conclude(world, sent, **known) == {}
        assert counts("treasury_payouts") == {"sent": 40}
        assert ledger.prove() == []

    def test_a_payout_that_somebody_moved_by_hand(self, world: World, sent: Instruction) -> None:
        Payout.objects.filter(pk=sent.payout_id).update(status="failed")
        assert conclude(world, sent) == {}
        assert Instruction.objects.get(pk=sent.pk).status == "sent"

    def test_a_recall_of_a_plan_that_is_rolling_back(self, world: World, sent: Instruction) -> None:
        Plan.objects.filter(pk=sent.plan_id).update(status="rolling_back")
        assert conclude(world, sent, state=PaymentState.RECALLED) == {}
        assert counts("treasury_instructions") == {"sent": 40}

    def test_an_instruction_of_another_bank(self, world: World, sent: Instruction) -> None:
        known = Known("r", PaymentState.SETTLED)
        assert settlement.conclude(bank_id=world.iso.pk, answers=[(sent.pk, known)], actor=POLLER) == {}

    @pytest.mark.parametrize(("state", "end"), [(PaymentState.REJECTED, "failed"), (PaymentState.RETURNED, "returned")])
    def test_only_the_one_that_ended(self, world: World, sent: Instruction, state: PaymentState, end: str) -> None:
        counted = conclude(world, sent, state=state, amount=sent.amount, currency="EUR", reason="AC04")
        assert counted == {f"payouts.{end}": 1}
        assert counts("treasury_payouts") == {"sent": 39, end: 1}
        assert counts("treasury_instructions") == {"sent": 39, end: 1}
        assert Instruction.objects.get(pk=sent.pk).reason == "AC04"
        assert balances(world)["in_transit"] == total() - sent.amount
        assert conclude(world, sent, state=state) == {}


def test_pollers_at_once_settle_each_payment_once(world: World, bank: BankProcess, executed: Executed) -> None:
    executed()
    bank.execute()
    bank.settle()
    make_due(actor=TESTER)
    ended: list[bool] = []

    def work() -> None:
        try:
            jobs.settle_bank(str(world.http.pk))
            ended.append(True)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [True] * 4
    assert counts("treasury_payouts") == {"settled": 40}
    assert balances(world)["paid_out"] == total()
    assert ledger.prove() == []


def test_rivals_with_the_same_answers_conclude_once(world: World, executed: Executed) -> None:
    executed()
    answers = [(pk, Known("r", PaymentState.SETTLED)) for pk in Instruction.objects.values_list("pk", flat=True)]
    results: list[dict[str, int]] = []

    def work(mine: list[tuple[UUID, Known]]) -> None:
        try:
            results.append(settlement.conclude(bank_id=world.http.pk, answers=mine, actor=POLLER))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(answers[:: 1 if turn % 2 else -1],)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.get("payouts.settled", 0) for result in results) == [0, 0, 0, 40]
    assert ledger.prove() == []


def test_who_dies_after_taking_them_loses_none(world: World, bank: BankProcess, executed: Executed) -> None:
    executed()
    bank.execute()
    bank.settle()
    make_due(actor=TESTER)
    assert len(settlement.claim_due(bank_id=world.http.pk, actor=POLLER)) == 40  # and is never heard of again
    jobs.settle_bank(str(world.http.pk))
    assert counts("treasury_payouts") == {"sent": 40}
    ask(world)
    assert counts("treasury_payouts") == {"settled": 40}


def test_a_bank_that_does_not_answer_changes_nothing(world: World, bank: BankProcess, executed: Executed) -> None:
    executed()
    bank.arm("unavailable", on="probe", seconds=60)
    ask(world)
    bank.assert_fired()
    assert counts("treasury_payouts") == {"sent": 40}
    assert not Instruction.objects.filter(next_poll_at__lte=timezone.now()).exists()
    assert verbs("payouts") == ["payouts.made"]


class TestWakingUp:
    def test_one_wake_up_for_a_bank_with_something_due(self, world: World, executed: Executed) -> None:
        executed()
        before = depths()["default"]
        jobs.wake_settlement()
        assert depths()["default"] == before  # nothing is due yet
        make_due(actor=TESTER)
        jobs.wake_settlement()
        jobs.wake_settlement()
        assert depths()["default"] == before + 1
        jobs.settle_bank(str(world.http.pk))
        make_due(actor=TESTER)
        jobs.wake_settlement()
        assert depths()["default"] == before + 2

    def test_none_for_a_bank_that_is_not_asked(self, world: World, executed: Executed) -> None:
        executed()
        make_due(actor=TESTER)
        set_probing(bank=world.http.pk, probing=False, actor=TESTER)
        assert settlement.claim_wake_ups(actor=POLLER) == []

    def test_a_lost_wake_up_is_sent_again(self, world: World, executed: Executed) -> None:
        executed()
        make_due(actor=TESTER)
        assert settlement.claim_wake_ups(actor=POLLER) == [world.http.pk]
        assert settlement.claim_wake_ups(actor=POLLER) == []
        bank = Bank.objects.get(pk=world.http.pk)
        assert timedelta(0) < bank.wake_at - timezone.now() <= settlement.WAKE_UP


def test_the_ledger_has_its_accounts_beside_each_settlement_account(world: World) -> None:
    kinds = set(Account.objects.filter(bank=world.http).values_list("kind", flat=True))
    assert kinds == set(AccountKind.values)
