"""The product as it runs, on servers of its own, with everything that can be done to it.

    with Console.started() as console, console.connected():
        console.start_scheduler()
        armed = console.worker("plans", crash_at="plans.steps.after_call")
        ...
        assert armed.crashed() == "plans.steps.after_call"

Every process is a real `manage.py` process; nothing here knows what the console is used for. Whatever a test does,
and however the test run ends, no process outlives it.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import psycopg
from django.conf import settings
from django.db import connection
from django.test.utils import override_settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from redis import Redis

from opsconsole import embedded
from opsconsole.embedded.places import DATABASE
from tests.embedded.acting import main_process

ROOT = Path(__file__).resolve().parents[2]
LEASE = 2.5  # seconds; long enough for a commit on a busy machine, short enough to wait for
PATIENCE = 60.0
PR_SET_PDEATHSIG = 1
SERVER_VARIABLES = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_OPERATOR_URL", "DATABASE_SUPERUSER_URL", "REDIS_URL")

T = TypeVar("T")
_libc = ctypes.CDLL(None)
_numbers = itertools.count(1)


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


@dataclass
class Process:
    """One process of the product."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    crash_log: Path
    crash_at: str = ""

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def horses(self) -> list[int]:
        """The children it has forked for jobs."""
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            return [pid for pid in map(int, children) if state_of(pid)]
        return []

    def kill(self) -> None:
        """`kill -9`, of this process alone."""
        self._send(signal.SIGKILL)
        self.popen.wait(10)

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


@dataclass
class Console:
    """One console: a folder, two servers, a database, and the processes started so far."""

    var: Path
    servers: embedded.Servers
    guard: subprocess.Popen[bytes]
    processes: list[Process] = field(default_factory=list)
    pool: list[Process] = field(default_factory=list)
    scheduler: Process | None = None

    # Its life

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Self]:
        """A console with a migrated database and no process yet; nothing of it is left afterwards."""
        top = Path(tempfile.mkdtemp(prefix="ops-faults-")).resolve()
        top.chmod(0o711)  # root runs the servers by another account
        var = top / "var"
        guard = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.guard", str(var)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert guard.stdout is not None
        assert guard.stdin is not None
        assert guard.stdout.readline() == b"ready\n"
        try:
            console = cls(var, embedded.start(var), guard)
            console.run("migrate", "--verbosity=0")
            yield console
            console.end()
        finally:
            guard.stdin.close()
            guard.wait(60)
            guard.stdout.close()
            shutil.rmtree(top, ignore_errors=True)

    def end(self) -> None:
        """Kill what still runs and leave the servers."""
        for process in self.processes:
            process.kill()
        self.servers.release()

    def environment(self, **changes: str) -> dict[str, str]:
        """What every process of this console gets: its folder, our keys, a short lease."""
        ours = {name: value for name, value in os.environ.items() if name not in SERVER_VARIABLES}
        return {
            **ours,
            "OPS_VAR": str(self.var),
            "OPS_ENV": "test",
            "SECRET_KEY": settings.SECRET_KEY,
            "FIELD_ENCRYPTION_KEYS": ",".join(settings.FIELD_ENCRYPTION_KEYS),
            "JOURNAL_SIGNING_KEY": settings.JOURNAL_SIGNING_KEY,
            "RUN_LEASE_SECONDS": str(LEASE),
            "LOG_LEVEL": "INFO",
            "PYTHONUNBUFFERED": "1",
            **changes,
        }

    # Processes

    def run(self, *arguments: str) -> str:
        """Run a management command to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *command: str, crash_at: str = "", **environment: str) -> Process:
        """Start `python COMMAND`, perhaps with a crash point armed."""
        name = f"{next(_numbers)}-{'-'.join(command[1:3])}".replace("/", ".")
        (self.var / "log").mkdir(exist_ok=True)
        log, crash_log = self.var / "log" / f"{name}.log", self.var / "log" / f"{name}.crash"
        armed = {"OPS_CRASH_AT": crash_at, "OPS_CRASH_LOG": str(crash_log)} if crash_at else {}
        with log.open("wb") as said:
            popen = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=self.environment(**armed, **environment),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it calls prctl and nothing else
            )
        process = Process(name, popen, log, crash_log, crash_at)
        self.processes.append(process)
        return process

    def worker(self, *queues: str, crash_at: str = "", wake_ups: int = 0, **environment: str) -> Process:
        """Start a worker that listens to the wake-ups of this number: those of 0 are everybody's."""
        if wake_ups:
            environment["REDIS_URL"] = self.redis_url(wake_ups)
        return self.start("manage.py", "worker", *queues, crash_at=crash_at, **environment)

    def new_scheduler(self) -> Process:
        """Start a scheduler, maybe one of several."""
        return self.start("manage.py", "scheduler")

    def ensure(self, *, workers: int = 2) -> None:
        """Make everything run as it should: the servers, one scheduler, so many workers that take what comes."""
        self.servers.ensure()
        if self.scheduler is None or not self.scheduler.is_alive:
            self.scheduler = self.new_scheduler()
        self.pool = [worker for worker in self.pool if worker.is_alive]
        while len(self.pool) > workers:
            self.pool.pop().kill()
        for worker in self.pool:
            worker.thaw()
        self.pool += [self.worker("plans", "default") for _ in range(workers - len(self.pool))]

    # Its servers

    def redis_url(self, number: int = 0) -> str:
        """The address of one of the databases of its Redis."""
        return self.servers.urls.redis.replace("db=0", f"db={number}")

    def redis(self) -> Redis:
        """A connection to its Redis."""
        return Redis.from_url(self.redis_url())

    def main_process(self, server: str) -> int:
        """The main process of `postgres` or `redis`."""
        return main_process(self.var, server)

    def signal(self, server: str, number: signal.Signals) -> None:
        """Send a signal to the main process of `postgres` or `redis`."""
        os.kill(self.main_process(server), number)

    def superuser(self) -> psycopg.Connection[Any]:
        """A superuser's connection to the database, committing each statement."""
        return psycopg.connect(make_conninfo(self.servers.urls.superuser, dbname=DATABASE), autocommit=True)

    def operator(self) -> psycopg.Connection[Any]:
        """A connection as somebody with psql has it."""
        return psycopg.connect(self.servers.urls.operator, autocommit=True)

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Let this process be one of the console's: its database, its Redis, its storage, its lease."""
        held = connection.settings_dict
        before = {name: held[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")}
        address = conninfo_to_dict(self.servers.urls.database)
        connection.close()
        held.update(
            NAME=address["dbname"],
            USER=address["user"],
            PASSWORD="",
            HOST=address["host"],
            PORT=str(address["port"]),
            OPTIONS={},
        )
        storages = {**settings.STORAGES}
        storages["artifacts"] = {**storages["artifacts"], "OPTIONS": {"location": self.var / "artifacts"}}
        try:
            with override_settings(
                VAR=self.var, REDIS_URL=self.redis_url(), STORAGES=storages, RUN_LEASE_SECONDS=LEASE
            ):
                yield
        finally:
            connection.close()
            held.update(before)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
