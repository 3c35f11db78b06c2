"""Faults on the wire: each does what it says, so often as it was told, and its count outlives the process."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from tests.sandbox_bank.process import OUR_IBAN, BankProcess
from tests.sandbox_bank.test_protocol import PAYEE, order, pay, show


def raw(bank: BankProcess, *, key: str = "key-1", wait: float = 5.0) -> bytes:
    """Post an order over a plain socket; the first bytes of what comes back."""
    body = order()
    lines = [f"{name}: {value}" for name, value in bank.headers("POST", "/v1/payments", body, key=key).items()]
    head = "\r\n".join(["POST /v1/payments HTTP/1.1", "Host: bank", f"Content-Length: {len(body)}", *lines, "", ""])
    with socket.create_connection(("127.0.0.1", bank.port)) as line:
        line.settimeout(wait)
        line.sendall(head.encode() + body)
        return line.recv(65_536)


@pytest.mark.parametrize(("kind", "stored"), [("drop_before_accept", 0), ("drop_after_accept", 1)])
def test_a_drop_resets_the_connection(bank: BankProcess, kind: str, stored: int) -> None:
    bank.arm(kind)
    with pytest.raises(ConnectionResetError):
        raw(bank)
    assert len(bank.payments()) == stored
    assert bank.fired(kind) == 1
    assert raw(bank, key="key-2").startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize("accept", [False, True])
def test_error_5xx_is_no_problem_document(bank: BankProcess, accept: bool) -> None:
    bank.arm("error_5xx", status=502, accept=accept)
    answer = bank.request("POST", "/v1/payments", order(), key="key-1")
    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/plain; charset=utf-8")
    assert len(bank.payments()) == int(accept)
    assert bank.fired("error_5xx") == 1


@pytest.mark.parametrize("accept", [False, True])
def test_timeout_says_nothing(bank: BankProcess, accept: bool) -> None:
    bank.arm("timeout", accept=accept)
    with pytest.raises(TimeoutError):
        raw(bank, wait=0.5)
    assert len(bank.payments()) == int(accept)
    assert bank.fired("timeout") == 1


def test_delay_answers_late(bank: BankProcess) -> None:
    bank.arm("delay", seconds=0.4)
    started = time.monotonic()
    assert pay(bank)[0] == 201
    assert time.monotonic() - started >= 0.4
    bank.assert_fired()


def test_unavailable_for_a_while(bank: BankProcess) -> None:
    bank.arm("unavailable", seconds=1.0)
    answer = bank.request("POST", "/v1/payments", order(), key="key-1")
    assert (answer.status, answer.headers["Retry-After"], answer.json()["processed"]) == (503, "1", False)
    assert show(bank, "/v1/payments/by-key/key-1")[0] == 503, "it is the whole bank"
    time.sleep(1.05)
    assert pay(bank)[0] == 201
    assert bank.fired("unavailable") == 2


def test_refuse_probes(bank: BankProcess) -> None:
    bank.arm("refuse_probes")
    assert pay(bank, key="key-1")[0] == 201
    for _ in range(2):
        status, problem = show(bank, "/v1/payments/by-key/key-1")
        assert (status, problem["code"]) == (501, "probes_refused")
    assert bank.fired("refuse_probes") == 2


def test_reject_account(bank: BankProcess) -> None:
    bank.arm("reject_account", match={"creditor_account": PAYEE})
    status, problem = pay(bank)
    assert (status, problem["code"], problem["processed"]) == (422, "account_closed", False)
    assert bank.payments() == []
    bank.clear_faults()
    assert pay(bank)[0] == 201


def test_return_later(bank: BankProcess) -> None:
    bank.arm("return_later")
    first, second = pay(bank)[1]["payment_id"], pay(bank)[1]["payment_id"]
    assert (bank.execute(), bank.settle()) == (2, 2)
    assert show(bank, f"/v1/payments/{first}")[1]["status"] == "returned"
    assert show(bank, f"/v1/payments/{first}")[1]["reason"]
    assert show(bank, f"/v1/payments/{second}")[1]["status"] == "settled"
    assert show(bank, f"/v1/accounts/{OUR_IBAN}/balance")[1]["booked"] == "998609.89"


def test_after_times_and_match(bank: BankProcess) -> None:
    bank.arm("error_5xx", after=1, times=2, match={"remittance": "hit"})
    answers = [pay_or_status(bank, remittance) for remittance in ["miss", "hit", "hit", "miss", "hit", "hit"]]
    assert answers == [201, 201, 500, 201, 500, 201]
    (fault,) = bank.faults()
    assert (fault["seen"], fault["fired"]) == (4, 2)


def pay_or_status(bank: BankProcess, remittance: str) -> int:
    """The status of one order."""
    return bank.request("POST", "/v1/payments", order(remittance=remittance), key=f"{time.time_ns()}").status


def test_faults_on_other_operations(bank: BankProcess) -> None:
    payment_id = pay(bank, key="key-1")[1]["payment_id"]
    bank.arm("error_5xx", on="recall", accept=True, match={"key": "key-1"})
    assert bank.request("POST", f"/v1/payments/{payment_id}/recall", key="r").status == 500
    assert bank.payments()[0]["status"] == "recalled"
    bank.arm("error_5xx", on="balance")
    assert bank.request("GET", f"/v1/accounts/{OUR_IBAN}/balance").status == 500
    bank.assert_fired()


def test_an_unsigned_request_fires_nothing(bank: BankProcess) -> None:
    bank.arm("error_5xx")
    assert urllib3.request("POST", f"{bank.base_url}/v1/payments", body=order()).status == 401
    assert bank.fired("error_5xx") == 0
    with pytest.raises(AssertionError, match="never fired"):
        bank.assert_fired()


def test_faults_and_counts_outlive_kill_9(new_bank: Callable[..., BankProcess]) -> None:
    bank = new_bank()
    bank.arm("error_5xx", times=2)
    assert pay_or_status(bank, "x") == 500
    bank.restart()
    assert bank.fired("error_5xx") == 1
    assert [pay_or_status(bank, "x"), pay_or_status(bank, "x")] == [500, 201]


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "flood"},
        {"kind": "delay", "times": -1},
        {"kind": "delay", "times": True},
        {"kind": "delay", "seconds": "1"},
        {"kind": "delay", "on": "tuesdays"},
        {"kind": "delay", "colour": "red"},
        {"kind": "error_5xx", "status": 404},
        {"kind": "reject_account", "on": "probe"},
        {"kind": "delay", "match": {"creditor_account": 1}},
        [],
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(bank: BankProcess, fault: Any) -> None:
    answer = urllib3.request("POST", f"{bank.base_url}/sandbox/faults", body=json.dumps(fault).encode())
    assert (answer.status, answer.json()["code"]) == (400, "bad_fault")
    assert bank.faults() == []
