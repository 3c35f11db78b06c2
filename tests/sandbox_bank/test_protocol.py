"""The bank's protocol as documented: one effect per key, whatever happens around it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox_bank.signing import signature
from tests.sandbox_bank.process import OUR_IBAN, ROOT, BankProcess

PAYEE = "DE25370400449046584330"


def order(**changes: str) -> bytes:
    """The body of a payment order."""
    fields = {
        "end_to_end_id": uuid4().hex,
        "amount": "1390.11",
        "currency": "EUR",
        "debtor_account": OUR_IBAN,
        "debtor_name": "Molam SA",
        "creditor_name": "JILL BARTLETT & COMPANY LTD",
        "creditor_account": PAYEE,
        "creditor_agent": "COBADEFFXXX",
        "remittance": "Catering Charges",
        "requested_on": "2026-11-20",
    }
    return json.dumps(fields | changes).encode()


def pay(bank: BankProcess, body: bytes | None = None, key: str = "") -> tuple[int, dict[str, Any]]:
    """Post an order; status and answer."""
    answer = bank.request("POST", "/v1/payments", order() if body is None else body, key=key or str(uuid4()))
    return answer.status, json.loads(answer.data)


def show(bank: BankProcess, path: str) -> tuple[int, dict[str, Any]]:
    """Get something; status and answer."""
    answer = bank.request("GET", path)
    return answer.status, json.loads(answer.data)


def test_a_payment_is_accepted_and_its_money_reserved(bank: BankProcess) -> None:
    status, answer = pay(bank, key="key-1")
    assert (status, answer["status"]) == (201, "accepted")
    (payment,) = bank.payments()
    assert payment["id"] == answer["payment_id"]
    assert (payment["key"], payment["amount"], payment["milli"]) == ("key-1", "1390.11", 1_390_110)
    expected = {"iban": OUR_IBAN, "currency": "EUR", "booked": "1000000.00", "available": "998609.89"}
    assert show(bank, f"/v1/accounts/{OUR_IBAN}/balance") == (200, expected)


def test_the_same_key_with_the_same_order_is_one_payment(bank: BankProcess) -> None:
    body = order()
    first = pay(bank, body, "key-1")
    reordered = json.dumps(dict(reversed(json.loads(body).items()))).encode()
    assert pay(bank, body, "key-1") == pay(bank, reordered, "key-1") == first
    assert [payment["replays"] for payment in bank.payments()] == [2]
    assert bank.stats()["duplicate_attempts"] == 2


def test_the_same_key_with_another_order_is_refused_and_not_vouched_for(bank: BankProcess) -> None:
    pay(bank, order(), "key-1")
    status, problem = pay(bank, order(), "key-1")
    assert (status, problem["code"]) == (422, "key_reused")
    assert "processed" not in problem
    assert len(bank.payments()) == 1


def test_fifty_at_once_with_one_key_make_one_payment(bank: BankProcess) -> None:
    body = order()
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: pay(bank, body, "key-1"), range(50)))
    assert {status for status, _ in answers} == {201}
    assert len({answer["payment_id"] for _, answer in answers}) == 1
    assert [payment["replays"] for payment in bank.payments()] == [49]


def test_payments_outlive_kill_9(new_bank: Callable[..., BankProcess]) -> None:
    bank = new_bank()
    body = order()
    accepted = [pay(bank, key=f"key-{number}")[1]["payment_id"] for number in range(20)]
    first = pay(bank, body, "again")
    bank.kill()
    assert [payment["id"] for payment in bank.payments()] == [*accepted, first[1]["payment_id"]]
    bank.start()
    assert pay(bank, body, "again") == first
    assert bank.stats()["payments"] == 21


def test_no_answer_is_ever_lost_when_the_bank_is_killed_at_work(new_bank: Callable[..., BankProcess]) -> None:
    bank = new_bank()
    answered: list[str] = []

    def keep_paying(_: int) -> None:
        for _ in range(1_000):
            key = str(uuid4())
            try:
                status, _answer = pay(bank, key=key)
            except urllib3.exceptions.HTTPError:
                return
            assert status == 201
            answered.append(key)

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(keep_paying, number) for number in range(8)]
        while len(answered) < 200:
            time.sleep(0.01)
        bank.kill()
        for one in running:
            one.result()
    stored = {payment["key"] for payment in bank.payments()}
    assert set(answered) <= stored


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": "1000000.01"}, "insufficient_funds"),
        ({"amount": "0.00"}, "bad_amount"),
        ({"amount": "-1.00"}, "bad_amount"),
        ({"amount": "1.2345"}, "bad_amount"),
        ({"amount": "1e3"}, "bad_amount"),
        ({"currency": "USD"}, "wrong_currency"),
        ({"currency": "eur"}, "bad_currency"),
        ({"creditor_account": "DE26370400449046584330"}, "bad_iban"),
        ({"debtor_account": PAYEE}, "unknown_account"),
        ({"creditor_agent": "NOBIC"}, "bad_bic"),
        ({"creditor_name": " "}, "missing"),
        ({"creditor_name": "x" * 141}, "too_long"),
        ({"end_to_end_id": "x" * 36}, "too_long"),
        ({"requested_on": "2026-02-30"}, "bad_date"),
        ({"requested_on": "20261120"}, "bad_date"),
    ],
)
def test_an_order_that_cannot_be_paid_is_refused_for_good(
    bank: BankProcess, changes: dict[str, str], code: str
) -> None:
    status, problem = pay(bank, order(**changes), "key-1")
    assert (status, problem["code"], problem["processed"]) == (422, code, False)
    assert bank.payments() == []
    assert bank.stats()["refused"] == {code: 1}
    assert pay(bank, order(), "key-1")[0] == 201, "a refusal must not use up the key"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b"[" * 10_000,
        json.dumps(json.loads(order()) | {"more": "x"}).encode(),
        json.dumps(json.loads(order()) | {"amount": 12.5}).encode(),
        json.dumps(json.loads(order()) | {"remittance": "\x00"}).encode(),
        json.dumps(json.loads(order()) | {"remittance": "\ud800"}).encode(),
    ],
)
def test_a_body_that_is_no_order_is_a_400(bank: BankProcess, body: bytes) -> None:
    status, problem = pay(bank, body)
    assert (status, problem["processed"]) == (400, False)
    assert bank.payments() == []


TEXTS = st.text(max_size=40) | st.sampled_from(["", "1.00", "EUR", "2026-11-20", OUR_IBAN, PAYEE, "COBADEFFXXX"])
FIELDS = json.loads(order()).keys()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=60)
    | st.fixed_dictionaries(dict.fromkeys(FIELDS, TEXTS)).map(lambda fields: json.dumps(fields).encode())
    | st.dictionaries(st.sampled_from(sorted(FIELDS)), st.none() | st.integers() | TEXTS).map(
        lambda fields: (order()[:-1] + b", " + json.dumps(fields).encode()[1:]) if fields else order()
    )
)
def test_no_body_breaks_the_bank(bank: BankProcess, body: bytes) -> None:
    status, answer = pay(bank, body)
    assert status in {201, 400, 422}
    assert status == 201 or answer["processed"] is False


def test_an_oversized_body_is_a_413(bank: BankProcess) -> None:
    assert pay(bank, b"x" * 20_000)[0] == 413


@pytest.mark.parametrize("key", ["", "a b", "x" * 129])
def test_a_missing_or_odd_key_is_a_400(bank: BankProcess, key: str) -> None:
    answer = bank.request("POST", "/v1/payments", order(), key=key)
    assert (answer.status, answer.json()["code"]) == (400, "bad_idempotency_key")
    assert bank.payments() == []


# Signatures


def test_the_documented_example_of_a_signature() -> None:
    made = signature(
        secret=b"sandbox-secret",
        method="POST",
        path="/v1/payments",
        timestamp="1795000000",
        key="4f3c",
        body=b'{"amount": "12.34"}',
    )
    assert made == "621c21f424977a90c11233c770d2a61524d01c88f731a8182f92ddbffab2debc"
    assert made in (ROOT / "docs" / "sandbox-bank.md").read_text()


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("X-Signature", "0" * 64, "bad_signature"),
        ("X-Signature", "é", "bad_signature"),
        ("X-Key-Id", "somebody", "unknown_key"),
        ("X-Timestamp", "now", "bad_timestamp"),
        ("X-Timestamp", -301, "stale_timestamp"),
        ("X-Timestamp", 400, "stale_timestamp"),
        ("X-Timestamp", -200, "bad_signature"),
        ("Idempotency-Key", "another", "bad_signature"),
    ],
)
def test_a_request_that_is_not_signed_right_is_a_401(
    bank: BankProcess, header: str, value: str | int, code: str
) -> None:
    body = order()
    if isinstance(value, int):  # seconds from now; not from when the tests were collected
        value = str(int(time.time()) + value)
    headers = bank.headers("POST", "/v1/payments", body, key="key-1") | {header: value}
    answer = urllib3.request(
        "POST", f"{bank.base_url}/v1/payments", body=body, headers={k: v.encode() for k, v in headers.items()}
    )
    assert (answer.status, json.loads(answer.data)["code"]) == (401, code)
    assert bank.payments() == []


def test_a_changed_body_is_a_401(bank: BankProcess) -> None:
    headers = bank.headers("POST", "/v1/payments", order(amount="1.00"), key="key-1")
    answer = urllib3.request("POST", f"{bank.base_url}/v1/payments", body=order(amount="9.00"), headers=headers)
    assert answer.status == 401
    assert bank.payments() == []


def test_an_old_signature_within_five_minutes_is_accepted(bank: BankProcess) -> None:
    body = order()
    headers = bank.headers("POST", "/v1/payments", body, key="key-1", at=time.time() - 290)
    assert urllib3.request("POST", f"{bank.base_url}/v1/payments", body=body, headers=headers).status == 201


# What becomes of a payment


def test_probe_show_and_list(bank: BankProcess) -> None:
    payment_id = pay(bank, key="key-1")[1]["payment_id"]
    pay(bank, order(amount="10.00"), "key-2")
    status, payment = show(bank, "/v1/payments/by-key/key-1")
    assert (status, payment["payment_id"], payment["status"], payment["amount"]) == (
        200,
        payment_id,
        "accepted",
        "1390.11",
    )
    assert show(bank, f"/v1/payments/{payment_id}") == (200, payment)
    assert show(bank, "/v1/payments/by-key/none")[1]["code"] == "unknown_payment"
    assert show(bank, "/v1/payments/none")[0] == 404
    status, page = show(bank, "/v1/payments?status=accepted&limit=1")
    assert (status, page["count"], page["sum"], len(page["payments"])) == (200, 2, {"EUR": "1400.11"}, 1)
    status, rest = show(bank, f"/v1/payments?status=accepted&limit=1&after={page['next']}")
    assert ([payment["key"] for payment in rest["payments"]], rest["next"]) == (["key-2"], None)
    assert show(bank, "/v1/payments?colour=red")[0] == 400


def test_recalled_while_not_executed(bank: BankProcess) -> None:
    payment_id = pay(bank)[1]["payment_id"]
    for _ in range(2):
        answer = bank.request("POST", f"/v1/payments/{payment_id}/recall", key="recall-1")
        assert (answer.status, json.loads(answer.data)["status"]) == (200, "recalled")
    assert show(bank, f"/v1/accounts/{OUR_IBAN}/balance")[1]["available"] == "1000000.00"
    assert bank.execute() == 0


def test_too_late_to_recall(bank: BankProcess) -> None:
    payment_id = pay(bank)[1]["payment_id"]
    assert bank.execute() == 1
    answer = bank.request("POST", f"/v1/payments/{payment_id}/recall", key="recall-1")
    assert (answer.status, json.loads(answer.data)["code"]) == (409, "executed")
    assert show(bank, f"/v1/accounts/{OUR_IBAN}/balance")[1]["booked"] == "998609.89"
    assert bank.request("POST", "/v1/payments/none/recall", key="recall-2").status == 404


def test_a_beneficiary_of_this_bank_is_credited(bank: BankProcess) -> None:
    bank.open_account(PAYEE, "EUR", "5.00")
    pay(bank, order(amount="10.00"))
    assert show(bank, f"/v1/accounts/{PAYEE}/balance")[1]["booked"] == "5.00"
    bank.execute()
    assert show(bank, f"/v1/accounts/{PAYEE}/balance")[1]["booked"] == "15.00"


def test_time_executes_and_settles(new_bank: Callable[..., BankProcess]) -> None:
    bank = new_bank(execute_after=0.1, settle_after=0.1)
    pay(bank)
    deadline = time.monotonic() + 5
    while bank.payments()[0]["status"] != "settled" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert bank.payments()[0]["status"] == "settled"
    bank.set_times(execute_after=3_600)
    bank.restart()
    pay(bank)
    time.sleep(0.5)
    assert bank.payments()[1]["status"] == "accepted", "the setting is kept in the store"


# The process


def test_a_store_serves_one_bank(new_bank: Callable[..., BankProcess]) -> None:
    bank = new_bank()
    command = [sys.executable, "-m", "sandbox_bank", "--port", "0", "--store", str(bank.store)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 1
    assert "in use" in second.stderr
    command = [*command[:4], str(bank.port), "--store", str(bank.store / "other")]
    third = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert third.returncode == 1
    assert "Address already in use" in third.stderr


def test_it_stops_when_asked_even_with_a_client_connected(new_bank: Callable[..., BankProcess]) -> None:
    bank = new_bank()
    pay(bank)
    with socket.create_connection(("127.0.0.1", bank.port)):
        started = time.monotonic()
        bank.stop()
    assert time.monotonic() - started < 3
    assert not bank.is_alive


def test_health_and_unknown_paths(bank: BankProcess) -> None:
    assert urllib3.request("GET", f"{bank.base_url}/healthz").json() == {"status": "ok"}
    answer = urllib3.request("GET", f"{bank.base_url}/nowhere")
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
