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
import json
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
from typing import Any, Protocol, Self, TypeVar

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
LEASE = 2.0  # seconds; long enough for a commit on a busy machine, short enough to wait for
PATIENCE = 60.0
PR_SET_PDEATHSIG = 1
SERVER_VARIABLES = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "DATABASE_OPERATOR_URL",
    "DATABASE_SUPERUSER_URL",
    "REDIS_URL",
)

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
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - it calls prctl and nothing else
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
    nursery: Nursery | None = None

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
        if self.nursery is not None:
            self.nursery.close()
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
        name, log, armed = self._named(command[1], crash_at)
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
        return self._keep(Process(name, popen, log, crash_at))

    def worker(self, *queues: str, crash_at: str = "", **environment: str) -> Process:
        """Start a worker."""
        return self.start("manage.py", "worker", *queues, crash_at=crash_at, **environment)

    def forked_worker(self, *queues: str, crash_at: str = "", wake_ups: int = 0, **environment: str) -> Process:
        """The same from the nursery, listening to the wake-ups of this number; those of 0 are everybody's."""
        if self.nursery is None:
            self.nursery = Nursery(self.environment())
        name, log, armed = self._named("worker", crash_at)
        changes = {**armed, **environment, "REDIS_URL": self.redis_url(wake_ups)}
        return self._keep(Process(name, self.nursery.fork(name, ("worker", *queues), changes, log), log, crash_at))

    def _named(self, what: str, crash_at: str) -> tuple[str, Path, dict[str, str]]:
        name = f"{what}-{next(_numbers)}"
        log = self.var / "log" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        armed = {"OPS_CRASH_AT": crash_at, "OPS_CRASH_LOG": str(log.with_suffix(".crash"))} if crash_at else {}
        return name, log, armed

    def _keep(self, process: Process) -> Process:
        self.processes.append(process)
        return process

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
        self.thaw()
        self.pool += [self.worker("plans", "default") for _ in range(workers - len(self.pool))]

    def tidy(self) -> None:
        """Kill what a test has started beside them."""
        kept = [process.pid for process in [self.scheduler, *self.pool] if process is not None]
        for process in self.processes:
            if process.pid not in kept:
                process.kill()
        self.processes = [process for process in self.processes if process.pid in kept]

    def freeze(self) -> None:
        """Let the healthy workers hear nothing for a while."""
        for worker in self.pool:
            worker.freeze()

    def thaw(self) -> None:
        """Let them take what has come meanwhile."""
        for worker in self.pool:
            worker.thaw()

    # Its servers

    def redis_url(self, number: int = 0) -> str:
        """The address of one of the databases of its Redis."""
        return self.servers.urls.redis.replace("db=0", f"db={number}")

    def redis(self) -> Redis:
        """A connection to its Redis."""
        return Redis.from_url(self.redis_url())

    def bring_back(self) -> None:
        """Start the servers that were ended; this process forgets its broken connection."""
        self.servers.ensure()
        connection.close()

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
