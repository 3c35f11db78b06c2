"""The line to a bank: sign, send, read; repeat where that is safe; many calls at once within one budget.

A process holds one pool of connections and one of threads; a fork gets its own. No proxy of the environment is used,
no redirect followed, no compressed or oversized answer read.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import os
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import structlog
import urllib3
from django.utils.translation import gettext_lazy as _
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)
from urllib3.util import Retry, Timeout

from opsconsole.core.errors import Invalid
from opsconsole.core.faults import crashpoint
from opsconsole.core.requests import current_request_id
from opsconsole.treasury.gateways.answers import MISCONFIGURED_PAUSE, Reply
from opsconsole.treasury.gateways.base import IN_FLIGHT, Ambiguous, NoAnswer, NotSent, Rejected
from opsconsole.treasury.gateways.breaker import Breaker

log = structlog.get_logger(__name__)

MAX_ANSWER_BYTES = 65_536
# Seconds before the second attempt; each further one waits three times as long, give or take a quarter.
FIRST_BACKOFF = 0.1
# A pause asked for by the bank or the breaker is waited out inside the call if it is this short.
SHORT_PAUSE = 0.5
# How much of the budget must be left for another attempt to make sense.
LEAST_TIME = 0.25

NEVER = Retry(total=False, redirect=False)
UNCERTAIN = (Ambiguous, NotSent, NoAnswer)
# Answers below 500 that may be another one in a moment.
PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})

T = TypeVar("T")


class BadGateway(Invalid):
    """A gateway cannot be made of these settings."""

    code = "bad_gateway"


@dataclass(frozen=True)
class HttpSettings:
    """How to reach a bank; times in seconds, the budget for all calls of one request with their repetitions."""

    base_url: str
    key_id: str
    secret: str
    honours_key: bool = True
    connect_timeout: float = 2.0
    read_timeout: float = 4.0
    call_budget: float = 12.0
    attempts: int = 4
    in_flight: int = IN_FLIGHT
    ca_file: str | None = None
    allow_plain_http: bool = False

    def __repr__(self) -> str:
        return f"HttpSettings({self.base_url!r}, key_id={self.key_id!r}, secret=...)"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, how its answer is read, and how its loss and its not being sent are said."""

    method: str
    path: str
    key: str
    body: bytes | None
    read: Callable[[Reply], T]
    lost: Callable[[str], T]
    unsent: Callable[[str, float | None], T]
    repeatable: bool


@dataclass(frozen=True, slots=True)
class _Held:
    """What one process holds open."""

    pid: int
    pool: urllib3.HTTPConnectionPool
    threads: ThreadPoolExecutor


class Line:
    """Calls to one bank; safe to share between threads, and across forks."""

    def __init__(self, settings: HttpSettings, breaker: Breaker) -> None:
        address = urlsplit(settings.base_url)
        if address.scheme not in {"https", "http"} or not address.hostname or address.query or address.username:
            raise BadGateway(_("A bank's address is https://host[:port][/path]."), base_url=settings.base_url)
        if address.scheme == "http" and not (settings.allow_plain_http or _is_loopback(address.hostname)):
            raise BadGateway(_("A bank on another machine is spoken to by https."), base_url=settings.base_url)
        self._address = address
        self._prefix = address.path.rstrip("/")
        self._settings = settings
        self._secret = settings.secret.encode()
        self._timeout = Timeout(connect=settings.connect_timeout, read=settings.read_timeout)
        self._breaker = breaker
        self._lock = threading.Lock()
        self._held: _Held | None = None

    def close(self) -> None:
        """Give back connections and threads; the line may be used again."""
        with self._lock:
            held, self._held = self._held, None
        if held is not None and held.pid == os.getpid():
            held.threads.shutdown(wait=False, cancel_futures=True)
            held.pool.close()

    # Many calls at once

    def run_many(self, calls: Sequence[Call[T]], in_flight: int) -> list[T]:
        """Run the calls, so many at a time; back when the budget ends, whatever is still on the line."""
        if not calls:
            return []
        deadline = time.monotonic() + self._settings.call_budget
        request_id = current_request_id() or str(uuid4())
        results: list[T | None] = [None] * len(calls)
        waiting = deque(enumerate(calls))

        def work() -> None:
            while waiting:
                with contextlib.suppress(IndexError):  # another thread took the last one
                    position, call = waiting.popleft()
                    results[position] = self._run_safely(call, request_id, deadline)

        threads = self._here().threads
        workers = max(1, min(in_flight, self._settings.in_flight, len(calls)))
        working: list[Future[None]] = []
        with contextlib.suppress(RuntimeError):  # the line was closed meanwhile: what was not begun was not sent
            working.extend(threads.submit(work) for _ in range(workers))
        wait(working, timeout=deadline - time.monotonic() + LEAST_TIME)
        late = f"no answer within {self._settings.call_budget} s"
        # What is taken off the queue here is taken by nobody else: it was never begun.
        while waiting:
            with contextlib.suppress(IndexError):
                position, call = waiting.popleft()
                results[position] = call.unsent(late, None)
        return [
            call.lost(late) if result is None else result for call, result in zip(calls, list(results), strict=True)
        ]

    def _run_safely(self, call: Call[T], request_id: str, deadline: float) -> T:
        try:
            return self._run(call, request_id, deadline)
        except Exception as error:  # noqa: BLE001 - whatever broke here, the order may have reached the bank
            log.exception("bank.call_broke", path=call.path, key=call.key, request_id=request_id)
            return call.lost(f"{type(error).__name__}: {error}")

    # One call, repeated where that is safe

    def _run(self, call: Call[T], request_id: str, deadline: float) -> T:
        """Attempt the call until its outcome is certain, or the attempts or the budget are used up."""
        attempts = 0
        lost = ""
        while True:
            asked, backoff = self._breaker.admit() or 0.0, 0.0
            if asked:
                outcome = call.unsent("the bank did not answer lately: calls are held back for a while", asked)
            elif deadline - time.monotonic() < LEAST_TIME:
                outcome = call.unsent("the time for this call was used up", None)
                break
            else:
                outcome, again = self._attempt(call, request_id, deadline)
                if isinstance(outcome, Ambiguous):
                    lost = outcome.detail
                attempts += 1
                if not again or attempts == self._settings.attempts or (lost and not call.repeatable):
                    break
                asked = _pause_of(outcome)
                backoff = FIRST_BACKOFF * 3 ** (attempts - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
            pause = max(asked, backoff)
            # Who is uncertain has a reason to wait here; who has sent nothing can come back later.
            if time.monotonic() + pause + LEAST_TIME > deadline or (asked > SHORT_PAUSE and not lost):
                break
            time.sleep(pause)
        if lost and isinstance(outcome, NotSent | Rejected):
            # An earlier attempt may still be at work: what this one was told proves nothing about that one.
            return call.lost(f"{lost}; then {outcome}")
        return outcome

    def _attempt(self, call: Call[T], request_id: str, deadline: float) -> tuple[T, bool]:
        """One request; its outcome, and whether asking again could better it."""
        try:
            reply = self._exchange(call, request_id, deadline)
        except HTTPError as error:
            self._breaker.failed()
            return self._failed(call, error)
        unwell = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR and reply.status != HTTPStatus.NOT_IMPLEMENTED
        if unwell:
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        outcome = call.read(reply)
        return outcome, isinstance(outcome, UNCERTAIN) and (unwell or reply.status in PASSING)

    @staticmethod
    def _failed(call: Call[T], error: HTTPError) -> tuple[T, bool]:
        """What a failure on the line leaves: nothing sent where no connection came about, else uncertainty."""
        if isinstance(error, NewConnectionError | ConnectTimeoutError | ClosedPoolError):
            return call.unsent(f"no connection: {error}", None), True
        if isinstance(error, SSLError) and error.args and isinstance(error.args[0], ssl.SSLCertVerificationError):
            return call.unsent(f"the bank's certificate is not trusted: {error}", MISCONFIGURED_PAUSE), False
        return call.lost(f"the line failed: {error}"), True

    def _exchange(self, call: Call[Any], request_id: str, deadline: float) -> Reply:
        """Sign and send; read the answer up to its limit. Raises urllib3's HTTPError."""
        path = self._prefix + call.path
        timestamp = str(int(time.time()))
        digest = hashlib.sha256(call.body or b"").hexdigest()
        signed = f"{call.method}\n{path}\n{timestamp}\n{call.key}\n{digest}"
        headers = {
            "Accept": "application/json",
            "Request-Id": request_id,
            "X-Key-Id": self._settings.key_id,
            "X-Timestamp": timestamp,
            "X-Signature": hmac.digest(self._secret, signed.encode(), "sha256").hex(),
        }
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.key:
            headers["Idempotency-Key"] = call.key
        response = self._here().pool.urlopen(
            call.method,
            path,
            body=call.body,
            headers=headers,
            timeout=self._time_left(deadline),
            retries=NEVER,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        crashpoint(f"treasury.{call.method.lower()}.before_reply")
        body = response.read(MAX_ANSWER_BYTES + 1)
        if len(body) > MAX_ANSWER_BYTES:
            response.close()
            return Reply(response.status, response.headers, b"")
        if response.length_remaining:
            raise ProtocolError(f"the answer ended {response.length_remaining} bytes early")
        response.release_conn()
        crashpoint(f"treasury.{call.method.lower()}.after_reply")
        return Reply(response.status, response.headers, body)

    def _time_left(self, deadline: float) -> Timeout:
        left = deadline - time.monotonic()
        connect, read = self._settings.connect_timeout, self._settings.read_timeout
        return self._timeout if left > connect + read else Timeout(connect=min(left, connect), read=min(left, read))

    # What a process holds open

    def _here(self) -> _Held:
        """This process's connections and threads: those of a parent would cross answers between processes."""
        held = self._held
        if held is None or held.pid != os.getpid():
            with self._lock:
                held = self._held
                if held is None or held.pid != os.getpid():
                    threads = ThreadPoolExecutor(self._settings.in_flight, thread_name_prefix="bank")
                    self._held = held = _Held(os.getpid(), self._new_pool(), threads)
        return held

    def _new_pool(self) -> urllib3.HTTPConnectionPool:
        host, port, size = self._address.hostname or "", self._address.port, self._settings.in_flight
        if self._address.scheme == "http":
            return urllib3.HTTPConnectionPool(host, port, maxsize=size)
        return urllib3.HTTPSConnectionPool(
            host, port, maxsize=size, cert_reqs="CERT_REQUIRED", ca_certs=self._settings.ca_file
        )


def _pause_of(outcome: object) -> float:
    """How long the bank asked us to stay away."""
    return (outcome.retry_after or 0.0) if isinstance(outcome, NotSent | NoAnswer) else 0.0


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
