"""The sandbox bank as tests use it: a real process that can be started, stopped, killed, told what to do and read.

with BankProcess(tmp_path) as bank:
    bank.open_account(IBAN, "EUR", "1000.00")
    bank.arm("drop_after_accept")
    ...
    assert len(bank.payments()) == 1
    bank.assert_fired()
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pytest
import urllib3

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 15.0
OUR_IBAN = "DE89370400440532013000"
PR_SET_PDEATHSIG = 1


class BankProcess:
    """One sandbox bank on one store; nothing executes by itself unless `execute_after` says so (seconds)."""

    key_id = "sandbox"

    def __init__(
        self,
        store: Path,
        *,
        execute_after: float = 86_400.0,
        settle_after: float = 86_400.0,
        secret: str = "sandbox-secret",
    ) -> None:
        self.store = store
        self.secret = secret
        self.port = 0
        self._times = (execute_after, settle_after)
        self._process: subprocess.Popen[str] | None = None
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10.0), maxsize=64)

    # Its life

    def start(self, port: int = 0) -> Self:
        """Start it, on the port it had before or on a free one; returns when it listens."""
        assert not self.is_alive, "this bank runs already"
        execute_after, settle_after = self._times
        command = [sys.executable, "-m", "sandbox_bank", "--store", str(self.store), "--port", str(port or self.port)]
        command += ["--execute-after", str(execute_after), "--settle-after", str(settle_after)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "SANDBOX_BANK_SECRET": self.secret},
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - it calls prctl and nothing else
        )
        self.port = int(self._said().rpartition(":")[2])
        return self

    def stop(self) -> None:
        """Ask it to end, as an operator would; returns when it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9`."""
        self._end(signal.SIGKILL)

    def restart(self) -> Self:
        """Kill it and start it again on the same store and port."""
        self.kill()
        return self.start()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def base_url(self) -> str:
        """What a gateway's settings take."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.kill()
        self._http.clear()

    def _said(self) -> str:
        """Its first line, which says where it listens."""
        assert self._process is not None
        assert self._process.stdout is not None
        said: list[str] = []
        reader = threading.Thread(target=lambda out: said.append(out.readline()), args=(self._process.stdout,))
        reader.daemon = True
        reader.start()
        reader.join(START_SECONDS)
        if not said or "listening" not in said[0]:
            self.kill()
            raise AssertionError(f"the sandbox bank did not start: {said}")
        return said[0].strip()

    def _end(self, signum: int) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signum)
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    # The control plane

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call /sandbox/...; returns the JSON answer, None for an empty one."""
        answer = self._http.request(
            method, f"{self.base_url}/sandbox/{path}", body=None if body is None else json.dumps(body).encode()
        )
        assert answer.status < 300, answer.data
        return json.loads(answer.data) if answer.data else None

    def open_account(self, iban: str = OUR_IBAN, currency: str = "EUR", balance: str = "1000000.00") -> None:
        """Open an account with this opening balance."""
        account = {"iban": iban, "currency": currency, "opening_balance": balance}
        self.control("POST", "accounts", {"accounts": [account]})

    def arm(self, kind: str, **details: Any) -> int:
        """Arm a fault (docs/sandbox-bank.md lists them); returns its id."""
        return int(self.control("POST", "faults", {"kind": kind, **details})["id"])

    def faults(self) -> list[dict[str, Any]]:
        """Every armed fault with `seen` and `fired`."""
        return list(self.control("GET", "faults")["faults"])

    def fired(self, kind: str) -> int:
        """How often faults of this kind have fired."""
        return sum(fault["fired"] for fault in self.faults() if fault["kind"] == kind)

    def assert_fired(self) -> None:
        """A test whose fault never fired has proved nothing."""
        faults = self.faults()
        assert faults, "no fault is armed"
        idle = [fault for fault in faults if not fault["fired"]]
        assert not idle, f"never fired: {idle}"

    def clear_faults(self) -> None:
        """Disarm all."""
        self.control("DELETE", "faults")

    def execute(self) -> int:
        """Execute everything accepted, now."""
        return int(self.control("POST", "execute")["executed"])

    def settle(self) -> int:
        """Settle, or return, everything executed, now."""
        return int(self.control("POST", "settle")["settled"])

    def set_times(self, **seconds: float) -> None:
        """Change `execute_after` and `settle_after`."""
        self.control("POST", "settings", seconds)

    def stats(self) -> dict[str, Any]:
        """What it did, in numbers."""
        return dict(self.control("GET", "stats"))

    def reset(self) -> None:
        """Forget everything."""
        self.control("POST", "reset")

    # Its own store: the truth about effects

    def payments(self) -> list[dict[str, Any]]:
        """The payments in its store, in order; also while the process is down."""
        return self.read("select * from payments order by seq")

    def read(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """A query on its store."""
        with closing(sqlite3.connect(f"file:{self.store / 'bank.sqlite3'}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query, values)]

    # A client of its own, written from the documentation

    def headers(self, method: str, path: str, body: bytes = b"", *, key: str = "", at: float = 0.0) -> dict[str, str]:
        """The headers of a signed request."""
        timestamp = str(int(at or time.time()))
        text = "\n".join([method, path, timestamp, key, hashlib.sha256(body).hexdigest()])
        signature = hmac.new(self.secret.encode(), text.encode(), "sha256").hexdigest()
        named = {"Idempotency-Key": key} if key else {}
        return {"X-Key-Id": self.key_id, "X-Timestamp": timestamp, "X-Signature": signature, **named}

    def request(self, method: str, path: str, body: bytes = b"", *, key: str = "") -> urllib3.BaseHTTPResponse:
        """A signed request to /v1/..., its answer as it is."""
        return self._http.request(
            method, self.base_url + path, body=body, headers=self.headers(method, path, body, key=key)
        )


def _die_with_parent() -> None:
    """A bank must not outlive a test run that was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@pytest.fixture(scope="session")
def shared_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankProcess]:
    """One bank for all tests that do not end it."""
    with BankProcess(tmp_path_factory.mktemp("bank")) as bank:
        yield bank


@pytest.fixture
def bank(shared_bank: BankProcess) -> BankProcess:
    """An empty bank with one account of a million euros."""
    shared_bank.reset()
    shared_bank.open_account()
    return shared_bank


@pytest.fixture
def new_bank(tmp_path: Path) -> Iterator[Callable[..., BankProcess]]:
    """Make banks of one's own, with one account each, to stop and kill: `new_bank(execute_after=0.1)`."""
    banks: list[BankProcess] = []

    def make(name: str = "bank", **options: Any) -> BankProcess:
        bank = BankProcess(tmp_path / name, **options).start()
        banks.append(bank)
        bank.open_account()
        return bank

    yield make
    for bank in banks:
        bank.kill()
