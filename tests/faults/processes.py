"""Processes of the product, as a test has them in hand: to kill, to freeze, to tell to end, to ask how they did."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
PR_SET_PDEATHSIG = 1

T = TypeVar("T")
_libc = ctypes.CDLL(None)


def wait_for(what: str, ask: Callable[[], T], *, seconds: float = PATIENCE) -> T:
    """The first true answer; AssertionError when none came in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.03)


def state_of(pid: int) -> str:
    """The state letter of a process as the kernel gives it; empty when it is gone, or only waits to be reaped."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
    return "" if letter in {"Z", "X"} else letter


class Handle(Protocol):
    """What can be done to a process by whoever started it; subprocess.Popen is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


@dataclass
class Forked:
    """A child of the nursery."""

    pid: int
    exit: Path
    name: str

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return int(self.exit.read_text()) if self.exit.exists() else None

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended."""
        wait_for(f"{self.name} to end", self.exit.exists, seconds=timeout or PATIENCE)
        return int(self.exit.read_text())

    def send_signal(self, sig: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)


class Nursery:
    """A process with everything imported, that forks workers in no time: for many at once."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls prctl and nothing else
        )

    def fork(self, name: str, arguments: tuple[str, ...], environment: dict[str, str], log: Path) -> Forked:
        """Start `manage.py ARGUMENTS`."""
        order = {
            "arguments": arguments,
            "environment": environment,
            "log": str(log),
            "exit": str(log.with_suffix(".exit")),
        }
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.write(f"{json.dumps(order)}\n")
        self._popen.stdin.flush()
        return Forked(int(self._popen.stdout.readline()), log.with_suffix(".exit"), name)

    def close(self) -> None:
        """End it, and its children with it."""
        self._popen.kill()
        self._popen.communicate()


@dataclass
class Process:
    """One process of the product."""

    name: str
    popen: Handle
    log: Path
    crash_at: str = ""

    @property
    def crash_log(self) -> Path:
        """Where it says that it has reached the armed point."""
        return self.log.with_suffix(".crash")

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def children(self) -> list[int]:
        """What it has forked and not buried yet."""
        with contextlib.suppress(OSError):
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []

    def horses(self) -> list[int]:
        """Those of them that are alive: a worker's children do its jobs."""
        return [pid for pid in self.children() if state_of(pid)]

    def kill(self) -> None:
        """`kill -9`, of this process alone."""
        self._send(signal.SIGKILL)
        self.popen.wait(PATIENCE)

    def ask_to_end(self) -> None:
        """SIGTERM, without waiting."""
        self._send(signal.SIGTERM)

    def ended(self, *, seconds: float = 30.0) -> int:
        """Its exit status, once it has ended."""
        return self.popen.wait(seconds)

    def freeze(self) -> None:
        """SIGSTOP; its children run on."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    def crashed(self, *, seconds: float = PATIENCE) -> str:
        """Wait until the armed point is reached; its name. A fault test whose fault never fired fails here."""

        def fired() -> str:
            return self.crash_log.read_text() if self.crash_log.exists() else ""

        try:
            said = wait_for(f"{self.name} to reach {self.crash_at}", fired, seconds=seconds)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.tail()}") from None
        return said.split()[0]

    @property
    def crashed_at(self) -> float:
        """When it did, by the machine's clock."""
        return self.crash_log.stat().st_mtime

    @property
    def crashed_pid(self) -> int:
        """The process that reached the point: of a worker, its horse."""
        return int(self.crash_log.read_text().split()[1])

    def tail(self, characters: int = 4000) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-characters:]

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.popen.send_signal(number)


def die_with_parent() -> None:
    """For `preexec_fn`: what a test run has started must not outlive it."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
