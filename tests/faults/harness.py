"""The product as it runs, on servers of its own, with everything that can be done to it.

    with Console.started() as console, console.connected():
        console.ensure()
        armed = console.worker("plans", crash_at="plans.steps.after_call")
        ...
        assert armed.crashed() == "plans.steps.after_call"

Every process is a real `manage.py` process; nothing here knows what the console is used for. Whatever a test does,
and however the test run ends, no process outlives it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
from django.conf import settings
from django.db import connection
from django.test.utils import override_settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from redis import Redis

from opsconsole import embedded
from opsconsole.embedded.places import DATABASE
from tests.embedded.acting import main_process
from tests.faults.processes import ROOT, Nursery, Process, die_with_parent

LEASE = 2.0  # seconds; long enough for a commit on a busy machine, short enough to wait for
SERVER_VARIABLES = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "DATABASE_OPERATOR_URL",
    "DATABASE_SUPERUSER_URL",
    "REDIS_URL",
)

_numbers = itertools.count(1)


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
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it calls prctl and nothing else
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
