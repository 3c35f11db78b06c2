"""The http gateway against a real bank with real faults: every fault leads to the outcome that is true."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from opsconsole.treasury.gateways.base import (
    Absent,
    Accepted,
    Ambiguous,
    Balance,
    BankGateway,
    CannotTell,
    Known,
    NoAnswer,
    NotSent,
    PaymentGateway,
    PaymentState,
    Recall,
    Recalled,
    Rejected,
    TooLate,
)
from opsconsole.treasury.gateways.breaker import Breaker
from opsconsole.treasury.gateways.http import HttpGateway
from tests.gateways.orders import make_order, real_orders
from tests.sandbox_bank.process import OUR_IBAN, BankProcess

Connect = Callable[..., HttpGateway]


def only_payment(bank: BankProcess) -> dict[str, Any]:
    """The one payment in the bank's own store."""
    (payment,) = bank.payments()
    return payment


def test_an_order_arrives_as_it_was_given(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    assert isinstance(gateway, PaymentGateway)
    assert isinstance(gateway, BankGateway)
    order = make_order(creditor_name="Société Générale & Fils — N° 5", amount=Decimal("0.10"))
    outcome = gateway.submit(order)
    stored = only_payment(bank)
    assert outcome == Accepted(stored["id"])
    assert stored["key"] == order.key
    assert stored["creditor_name"] == order.creditor_name
    assert (stored["amount"], stored["currency"], stored["requested_on"]) == ("0.10", "EUR", "2026-11-20")
    assert stored["end_to_end_id"] == order.end_to_end_id


def test_a_key_with_odd_characters_is_signed_right(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    order = make_order(key="plan/7 step:3?x=%41".replace(" ", "+"))
    assert isinstance(gateway.submit(order), Accepted)
    assert isinstance(gateway.status(order.key), Known)


# What is repeated, because the bank honours the key


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("delay", {"seconds": 0.2}),
        ("delay", {"seconds": 1.0}),  # past the read timeout: the answer is lost, the payment is not
        ("error_5xx", {}),
        ("error_5xx", {"status": 503}),
        ("error_5xx", {"accept": True}),
        ("drop_before_accept", {}),
        ("drop_after_accept", {}),
        ("drop_after_accept", {"times": 3}),
        ("timeout", {}),
        ("timeout", {"accept": False}),
    ],
)
def test_a_passing_fault_ends_accepted_once(
    bank: BankProcess, connect: Connect, kind: str, details: dict[str, Any]
) -> None:
    bank.arm(kind, **details)
    outcome = connect(bank, read_timeout=0.5).submit(make_order())
    assert outcome == Accepted(only_payment(bank)["id"])
    assert bank.fired(kind) == details.get("times", 1)


def test_a_fault_that_stays_is_ambiguous_and_the_bank_is_asked(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    bank.arm("drop_after_accept", times=None)
    order = make_order()
    assert isinstance(gateway.submit(order), Ambiguous)
    stored = only_payment(bank)
    assert gateway.status(order.key) == Known(
        stored["id"], PaymentState.ACCEPTED, amount=Decimal("1390.11"), currency="EUR"
    )
    assert bank.fired("drop_after_accept") == 4
    assert stored["replays"] == 3


def test_silence_is_ambiguous_within_the_budget(bank: BankProcess, connect: Connect) -> None:
    bank.arm("timeout", times=None)
    started = time.monotonic()
    outcome = connect(bank, read_timeout=0.4, call_budget=1.0).submit(make_order())
    assert isinstance(outcome, Ambiguous)
    assert time.monotonic() - started < 1.4
    assert len(bank.payments()) == 1
    assert bank.fired("timeout") >= 2


# A bank that does not honour the key


@pytest.mark.parametrize(
    ("kind", "details", "stored"),
    [
        ("drop_before_accept", {}, 0),
        ("drop_after_accept", {}, 1),
        ("error_5xx", {}, 0),
        ("error_5xx", {"accept": True}, 1),
        ("timeout", {}, 1),
    ],
)
def test_without_a_key_nothing_uncertain_is_repeated(
    bank: BankProcess, connect: Connect, kind: str, details: dict[str, Any], stored: int
) -> None:
    bank.arm(kind, **details)
    gateway = connect(bank, honours_key=False, read_timeout=0.3)
    assert not gateway.honours_key
    order = make_order()
    assert isinstance(gateway.submit(order), Ambiguous)
    assert len(bank.payments()) == stored
    assert isinstance(gateway.status(order.key), Known if stored else Absent)
    assert bank.stats()["duplicate_attempts"] == 0
    assert bank.fired(kind) == 1


# What the bank refuses


def test_a_rejected_account(bank: BankProcess, connect: Connect) -> None:
    order = make_order()
    bank.arm("reject_account", match={"creditor_account": order.creditor_iban})
    outcome = connect(bank).submit(order)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "account_closed"
    assert bank.payments() == []
    assert bank.fired("reject_account") == 1


def test_insufficient_funds_and_a_bad_iban(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    outcomes = gateway.submit_many(
        [make_order(amount=Decimal("1000000.01")), make_order(creditor_iban="DE00370400449046584330")]
    )
    assert [outcome.code for outcome in outcomes if isinstance(outcome, Rejected)] == ["insufficient_funds", "bad_iban"]
    assert bank.payments() == []


def test_a_rejection_after_a_lost_attempt_proves_nothing(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    bank.arm("drop_before_accept")
    bank.arm("reject_account")
    order = make_order()
    outcome = gateway.submit(order)
    assert isinstance(outcome, Ambiguous)
    assert "account_closed" in outcome.detail
    assert gateway.status(order.key) == Absent()
    assert isinstance(gateway.submit(order), Rejected), "asked again in peace, the bank's word counts"
    bank.assert_fired()


def test_a_key_used_for_another_order_is_not_taken_for_a_rejection(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    order = make_order()
    gateway.submit(order)
    outcome = gateway.submit(make_order(key=order.key, amount=Decimal("9.99")))
    assert isinstance(outcome, Ambiguous)
    assert "key_reused" in outcome.detail
    found = gateway.status(order.key)
    assert isinstance(found, Known)
    assert found.amount == order.amount, "whoever asks can see that it is another payment"


def test_a_wrong_secret_sends_nothing(bank: BankProcess, connect: Connect) -> None:
    started = time.monotonic()
    gateway = connect(bank, secret="wrong")
    outcome = gateway.submit(make_order())
    assert isinstance(outcome, NotSent)
    assert outcome.retry_after == 30
    assert "bad_signature" in outcome.detail
    assert isinstance(gateway.status("x"), NoAnswer)
    assert time.monotonic() - started < 1, "there is no use in trying again at once"
    assert bank.payments() == []


# A bank that is away


def test_unavailable_says_when_to_come_back(bank: BankProcess, connect: Connect) -> None:
    bank.arm("unavailable", seconds=1)
    gateway = connect(bank)
    order = make_order()
    outcome = gateway.submit(order)
    assert isinstance(outcome, NotSent)
    assert outcome.retry_after == 1
    assert bank.payments() == []
    assert isinstance(gateway.status(order.key), NoAnswer)
    time.sleep(1)
    assert isinstance(gateway.submit(order), Accepted)
    bank.assert_fired()


def test_a_bank_that_is_down_was_sent_nothing(new_bank: Callable[..., BankProcess], connect: Connect) -> None:
    bank = new_bank()
    gateway = connect(bank, attempts=2)
    assert isinstance(gateway.submit(make_order()), Accepted)
    bank.kill()
    order = make_order()
    assert isinstance(gateway.submit(order), NotSent)
    assert isinstance(gateway.status(order.key), NoAnswer)
    assert isinstance(gateway.balance(OUR_IBAN), NoAnswer)
    assert isinstance(gateway.recall("r", "pay_1"), NotSent)
    bank.start()
    assert isinstance(gateway.submit(order), Accepted)
    assert len(bank.payments()) == 2


def test_the_breaker_holds_calls_back_and_lets_go(new_bank: Callable[..., BankProcess], connect: Connect) -> None:
    bank = new_bank()
    breaker = Breaker(threshold=3, cooldown=0.6)
    gateway = connect(bank, breaker=breaker)
    bank.kill()
    assert isinstance(gateway.submit(make_order()), NotSent)
    assert breaker.is_open
    started = time.monotonic()
    outcomes = gateway.submit_many([make_order() for _ in range(50)])
    assert time.monotonic() - started < 0.5
    assert all(isinstance(outcome, NotSent) and outcome.retry_after for outcome in outcomes)
    bank.start()
    time.sleep(0.6)
    outcomes = gateway.submit_many([make_order() for _ in range(50)])
    assert Counter(type(outcome) for outcome in outcomes) == {Accepted: 50}
    assert not breaker.is_open


def test_an_open_breaker_does_not_make_uncertainty_certain(bank: BankProcess, connect: Connect) -> None:
    bank.arm("drop_after_accept", times=6)
    gateway = connect(bank, breaker=Breaker(threshold=4, cooldown=0.3))
    outcomes = gateway.submit_many([make_order() for _ in range(16)])
    assert Counter(type(outcome) for outcome in outcomes) == {Accepted: 16}, "it waited, and asked again with the key"
    assert len(bank.payments()) == 16
    bank.assert_fired()
    bank.clear_faults()
    bank.arm("drop_after_accept", times=4)
    gateway = connect(bank, breaker=Breaker(threshold=4, cooldown=60))
    outcomes = gateway.submit_many([make_order() for _ in range(4)])
    assert Counter(type(outcome) for outcome in outcomes) == {Ambiguous: 4}, "never NotSent"
    assert len(bank.payments()) == 20
    bank.assert_fired()


# Probes, recalls, balances


def test_probes(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    bank.arm("return_later", match={"remittance": "comes back"})
    settled, returned = make_order(), make_order(remittance="comes back")
    gateway.submit_many([settled, returned])
    assert [finding.state for finding in gateway.status_many([settled.key, returned.key])] == ["accepted"] * 2
    bank.execute()
    assert [finding.state for finding in gateway.status_many([settled.key, returned.key])] == ["executed"] * 2
    bank.settle()
    assert [finding.state for finding in gateway.status_many([settled.key, returned.key])] == ["settled", "returned"]
    assert gateway.status(returned.key).reason
    assert gateway.status("never sent") == Absent()
    bank.assert_fired()


def test_a_bank_that_refuses_probes_cannot_tell(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank, breaker=Breaker(threshold=2))
    bank.arm("refuse_probes")
    assert {type(finding) for finding in gateway.status_many(["a", "b", "c", "d"])} == {CannotTell}
    assert isinstance(gateway.submit(make_order()), Accepted), "a refused probe is an answer, not an outage"
    assert bank.fired("refuse_probes") == 4


def test_a_probe_is_repeated(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank, attempts=3)
    order = make_order()
    gateway.submit(order)
    bank.arm("drop_before_accept", on="probe", times=2)
    assert isinstance(gateway.status(order.key), Known)
    bank.arm("error_5xx", on="probe", times=None)
    assert isinstance(gateway.status(order.key), NoAnswer)
    bank.assert_fired()


def test_recalls(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    early, late = make_order(), make_order()
    outcomes = [gateway.submit(early), gateway.submit(late)]
    references = [outcome.reference for outcome in outcomes if isinstance(outcome, Accepted)]
    bank.arm("drop_after_accept", on="recall")
    assert gateway.recall("recall-1", references[0]) == Recalled(), "lost, asked again, recalled once"
    bank.execute()
    assert gateway.recall_many([Recall("recall-1", references[0]), Recall("recall-2", references[1])]) == [
        Recalled(),
        TooLate("executed"),
    ]
    assert isinstance(gateway.recall("recall-3", "pay_unknown"), Ambiguous)
    assert [payment["status"] for payment in bank.payments()] == ["recalled", "executed"]
    assert gateway.status(early.key).state == PaymentState.RECALLED
    bank.assert_fired()


def test_balances(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    gateway.submit(make_order(amount=Decimal("100.50")))
    assert gateway.balance(OUR_IBAN) == Balance(OUR_IBAN, "EUR", Decimal("1000000.00"), Decimal("999899.50"))
    assert gateway.balance("DE25370400449046584330") == Absent()


# Many at once


def test_outcomes_come_in_the_order_of_the_orders(bank: BankProcess, connect: Connect) -> None:
    bank.open_account(balance="100000000.00")
    orders = real_orders(300)
    bank.arm("reject_account", match={"end_to_end_id": orders[137].end_to_end_id})
    bank.arm("drop_after_accept", times=20)
    bank.arm("drop_before_accept", after=100, times=20)
    outcomes = connect(bank).submit_many(orders)
    by_key = {payment["key"]: payment["id"] for payment in bank.payments()}
    assert isinstance(outcomes.pop(137), Rejected)
    orders.pop(137)
    assert outcomes == [Accepted(by_key[order.key]) for order in orders]
    assert len(by_key) == 299
    bank.assert_fired()


def test_the_budget_holds_for_all_of_them(bank: BankProcess, connect: Connect) -> None:
    bank.arm("timeout", times=None)
    started = time.monotonic()
    outcomes = connect(bank, call_budget=1.0).submit_many([make_order() for _ in range(40)], in_flight=8)
    assert time.monotonic() - started < 1.5
    assert Counter(type(outcome) for outcome in outcomes) == {Ambiguous: 8, NotSent: 32}
    assert len(bank.payments()) == 8
    assert connect(bank).submit_many([]) == []


def test_a_fork_has_its_own_connections(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    orders = [make_order(amount=Decimal(number)) for number in range(1, 41)]
    gateway.submit_many(orders)
    reading, writing = os.pipe()
    child = os.fork()
    wrong = [o.key for o, f in zip(orders, gateway.status_many([o.key for o in orders]), strict=True)
             if not isinstance(f, Known) or f.amount != o.amount]  # fmt: skip
    if child == 0:
        os.write(writing, str(len(wrong)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert (wrong, os.read(reading, 10)) == ([], b"0")
    os.close(reading)
    os.close(writing)


def test_a_gateway_closed_at_work_tells_the_truth(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank, call_budget=5.0)
    orders = [make_order(amount=Decimal(1)) for _ in range(3_000)]
    outcomes: list[Any] = []
    working = threading.Thread(target=lambda: outcomes.extend(gateway.submit_many(orders)))
    working.start()
    while bank.stats()["payments"] < 200:
        time.sleep(0.01)
    gateway.close()
    working.join()
    stored = {payment["key"] for payment in bank.payments()}
    for order, outcome in zip(orders, outcomes, strict=True):
        assert isinstance(outcome, Ambiguous) or (order.key in stored) == isinstance(outcome, Accepted)


def test_a_closed_gateway_may_be_used_again(bank: BankProcess, connect: Connect) -> None:
    gateway = connect(bank)
    gateway.close()
    assert isinstance(gateway.submit(make_order()), Accepted)
    gateway.close()
    assert isinstance(gateway.submit(make_order()), Accepted)
