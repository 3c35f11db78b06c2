"""What comes back is read strictly: only a real answer of a bank proves anything."""

from __future__ import annotations

import gzip
import json
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.treasury.gateways.answers import Reply, read_balance, read_recall, read_status, read_submission
from opsconsole.treasury.gateways.base import (
    Absent,
    Accepted,
    Ambiguous,
    Balance,
    CannotTell,
    Known,
    NoAnswer,
    NotSent,
    Recalled,
    Rejected,
    TooLate,
)
from opsconsole.treasury.gateways.http import HttpGateway
from opsconsole.treasury.gateways.line import BadGateway, HttpSettings
from tests.gateways.orders import make_order
from tests.gateways.rogue import answering, http_answer

Connect = Callable[..., HttpGateway]
E2E = "e2e-1"
GOOD = json.dumps({"payment_id": "pay_1", "status": "accepted", "end_to_end_id": E2E})
HTML = "<html><body>Welcome to our new online banking</body></html>"
PROBLEM = "application/problem+json"


def problem(status: int, code: str, **more: Any) -> str:
    """A problem document."""
    return json.dumps({"status": status, "code": code, "detail": "because", **more})


@pytest.mark.parametrize(
    "answer",
    [
        http_answer("200 OK", HTML, "text/html"),
        http_answer("201 Created", GOOD, "text/html"),
        http_answer("201 Created", "{}"),
        http_answer("201 Created", GOOD.replace(E2E, "e2e-2")),
        http_answer("201 Created", GOOD.replace("accepted", "executed")),
        http_answer("201 Created", GOOD.replace('"pay_1"', "17")),
        http_answer("201 Created", GOOD.replace("pay_1", "../../sandbox/reset")),
        http_answer("201 Created", GOOD + "x"),
        http_answer("201 Created", "[" * 5_000),
        http_answer("201 Created", GOOD + " " * 70_000),
        http_answer("201 Created", gzip.compress(GOOD.encode()), Content_Encoding="gzip"),
        http_answer("201 Created", GOOD, Content_Length="500"),
        http_answer("202 Accepted", GOOD),
        http_answer("204 No Content", ""),
        http_answer("302 Found", "", Location="/v1/payments"),
        http_answer("400 Bad Request", HTML, "text/html"),
        http_answer("404 Not Found", HTML, "text/html"),
        http_answer("408 Request Timeout", "", "text/plain"),
        http_answer("409 Conflict", problem(409, "in_progress"), PROBLEM),
        http_answer("422 Unprocessable", problem(422, "insufficient_funds"), PROBLEM),
        http_answer("422 Unprocessable", problem(500, "insufficient_funds", processed=False), PROBLEM),
        http_answer("422 Unprocessable", problem(422, "insufficient_funds", processed="no"), PROBLEM),
        http_answer("500 Oops", HTML, "text/html"),
        http_answer("502 Bad Gateway", HTML, "text/html"),
        http_answer("503 Unavailable", HTML, "text/html", Retry_After="5"),
        http_answer("503 Unavailable", problem(503, "unavailable"), PROBLEM),
        b"HTTP/1.1 201 Created\r\nContent-Le",
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_proves_nothing_is_ambiguous(connect: Connect, answer: bytes) -> None:
    with answering(answer) as (base_url, requests):
        gateway = connect(base_url, attempts=1)
        assert isinstance(gateway.submit(make_order(end_to_end_id=E2E)), Ambiguous)
        assert isinstance(gateway.recall("r-1", "pay_1"), Ambiguous)
        assert isinstance(gateway.status("k-1"), NoAnswer)
        assert isinstance(gateway.balance("DE25370400449046584330"), NoAnswer)
    assert requests[0].startswith(b"POST /v1/payments HTTP/1.1")


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (http_answer("401 Unauthorized", HTML, "text/html"), 30),
        (http_answer("403 Forbidden", HTML, "text/html"), 30),
        (http_answer("429 Slow down", "", "text/plain", Retry_After="7"), 7),
        (http_answer("503 Unavailable", problem(503, "unavailable", processed=False), PROBLEM, Retry_After="9"), 9),
        (http_answer("404 Not Found", problem(404, "not_found", processed=False), PROBLEM), 30),
    ],
)
def test_an_answer_that_proves_that_nothing_happened(connect: Connect, answer: bytes, pause: float) -> None:
    with answering(answer) as (base_url, requests):
        outcome = connect(base_url).submit(make_order())
    assert isinstance(outcome, NotSent)
    assert outcome.retry_after == pause
    assert len(requests) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_vouched_refusal_is_a_rejection(connect: Connect, status: int) -> None:
    with answering(http_answer(f"{status} No", problem(status, "no", processed=False), PROBLEM)) as (base_url, _):
        assert connect(base_url).submit(make_order()) == Rejected("no", "because")


def test_a_dripping_answer_ends_with_the_budget(connect: Connect) -> None:
    answer = http_answer("201 Created", GOOD)
    with answering(answer, drip=0.02) as (base_url, _):
        started = time.monotonic()
        outcome = connect(base_url, call_budget=0.6).submit(make_order(end_to_end_id=E2E))
        assert time.monotonic() - started < 1.1
    assert isinstance(outcome, Ambiguous)


def test_requests_are_signed_and_named(connect: Connect) -> None:
    with answering(http_answer("201 Created", GOOD)) as (base_url, requests):
        assert connect(f"{base_url}/bank").submit(make_order(key="k-1", end_to_end_id=E2E)) == Accepted("pay_1")
    head = requests[0].decode().partition("\r\n\r\n")[0].lower()
    assert head.startswith("post /bank/v1/payments http/1.1")
    for header in ("idempotency-key: k-1", "request-id: ", "x-signature: ", "x-timestamp: ", "x-key-id: sandbox"):
        assert header in head
    assert "sandbox-secret" not in requests[0].decode()


# Addresses and certificates


@pytest.mark.parametrize(
    "address", ["http://bank.example", "ftp://bank.example", "bank.example", "https://", "https://u:p@bank.example"]
)
def test_an_address_that_is_not_safe_is_refused(address: str) -> None:
    with pytest.raises(BadGateway):
        HttpGateway(HttpSettings(address, "id", "secret"))
    assert "secret='" not in repr(HttpSettings(address, "id", "my-secret"))
    assert "my-secret" not in repr(HttpSettings(address, "id", "my-secret"))


def certificate(folder: Path, host: str) -> ssl.SSLContext:
    """A server's context with a certificate that nobody vouches for, also left in `ca.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


def test_a_certificate_is_checked(connect: Connect, tmp_path: Path) -> None:
    context = certificate(tmp_path, "localhost")
    order = make_order(end_to_end_id=E2E)
    with answering(http_answer("201 Created", GOOD), tls=context) as (base_url, requests):
        outcome = connect(base_url).submit(order)
        assert isinstance(outcome, NotSent)
        assert "not trusted" in outcome.detail
        assert [request for request in requests if request] == []
        assert connect(base_url, ca_file=str(tmp_path / "ca.pem")).submit(order) == Accepted("pay_1")
    (tmp_path / "other").mkdir()
    context = certificate(tmp_path / "other", "bank.example")
    with answering(http_answer("201 Created", GOOD), tls=context) as (base_url, _):
        outcome = connect(base_url, ca_file=str(tmp_path / "other" / "ca.pem")).submit(order)
        assert isinstance(outcome, NotSent), "a certificate for another host"


# The readers alone

BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["accepted", "pay_1", E2E]),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(
                    ["payment_id", "status", "end_to_end_id", "code", "processed", "key", "amount", "iban", "currency"]
                ),
                inner,
            )
            | st.lists(inner, max_size=3)
        ),
        max_leaves=9,
    ).map(lambda value: json.dumps(value).encode()),
)
HEADERS = st.fixed_dictionaries(
    {"Content-Type": st.sampled_from(["application/json", PROBLEM, "text/html"])},
    optional={"Retry-After": st.text(max_size=8) | st.sampled_from(["5", "-1", "Wed, 21 Oct 2015 07:28:00 GMT"])},
)


@given(status=st.integers(100, 599), headers=HEADERS, body=BODIES)
def test_no_answer_is_misread(status: int, headers: dict[str, str], body: bytes) -> None:
    reply = Reply(status, headers, body)
    outcome = read_submission(reply, end_to_end_id=E2E)
    if isinstance(outcome, Accepted):
        assert status in {200, 201}
        value = json.loads(body)
        assert (value["payment_id"], value["status"], value["end_to_end_id"]) == (outcome.reference, "accepted", E2E)
    if isinstance(outcome, Rejected):
        assert json.loads(body)["processed"] is False
    assert isinstance(outcome, Accepted | Rejected | Ambiguous | NotSent)
    assert isinstance(read_recall(reply, reference="pay_1"), Recalled | TooLate | Ambiguous | NotSent)
    assert isinstance(read_status(reply, key="k"), Known | Absent | NoAnswer | CannotTell)
    assert isinstance(read_balance(reply, iban="DE"), Balance | Absent | NoAnswer)
    pause = reply.retry_after
    assert pause is None or 0 <= pause <= 3_600


def test_retry_after_as_a_date() -> None:
    def pause(text: str) -> float | None:
        return Reply(503, {"Retry-After": text}, b"").retry_after

    soon = pause(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert soon is not None
    assert 57 < soon <= 60
    assert pause("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert (pause("90"), pause("999999"), pause("1e3"), pause("soon"), pause("")) == (90, 3_600, None, None, None)
