"""The real processes of the console, started for a benchmark and ended with it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(*argv: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of ours while the block runs; what it says on stderr is passed on."""
    child = subprocess.Popen(
        [sys.executable, *argv], cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(url: str) -> None:
    """Return once the address answers 200."""
    pool = urllib3.PoolManager(retries=False)
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            if pool.request("GET", url, timeout=2.0).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"{url} did not answer in {READY_SECONDS} s")
        time.sleep(0.05)


@contextmanager
def sandbox_bank() -> Iterator[str]:
    """A sandbox bank on a free port, with the demo's secret and money; its address."""
    from django.conf import settings

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with process("-m", "sandbox_bank", "--port", str(port), "--store", str(settings.VAR / "sandbox-bank")):
        wait_for(f"{url}/healthz")
        yield url


def seed(url: str) -> None:
    """The demo data, and at the bank the money that it says is there."""
    from django.conf import settings
    from django.core.management import call_command

    call_command("seed_demo", bank_url=url, verbosity=0)
    accounts = (settings.VAR / "demo" / "bank-accounts.json").read_bytes()
    answer = urllib3.request("POST", f"{url}/sandbox/accounts", body=accounts)
    if answer.status >= 300:
        raise RuntimeError(f"the sandbox bank refused the accounts: {answer.data!r}")


def tokens() -> dict[str, str]:
    """The demo users' API tokens."""
    from django.conf import settings

    entries = json.loads((settings.VAR / "demo" / "credentials.json").read_text())
    return {entry["username"]: entry["token"] for entry in entries}
