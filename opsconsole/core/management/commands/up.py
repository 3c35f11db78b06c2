"""`manage.py up`: the whole console on this machine, for `make up`."""

import asyncio
import contextlib
import errno
import json
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from opsconsole import embedded, supervisor
from opsconsole.supervisor import Program, Supervisor

WORKERS = 2
HERE = ("127.0.0.1", "0.0.0.0")  # noqa: S104  to tell, not to bind
READY_WITHIN = 60.0  # seconds
WEB_PORT, BANK_PORT, PORTS_TO_TRY = 8000, 8090, 100
COLOURS = {"web": "cyan", "worker-1": "green", "worker-2": "green", "scheduler": "magenta", "bank": "yellow"}
COLOURS["notifier"] = "blue"


class Command(BaseCommand):
    """Prepares the database, then runs web, workers, scheduler and sandbox bank until Ctrl-C."""

    help = "Run the whole console on this machine: web, workers, scheduler and sandbox bank."
    requires_system_checks: list[str] = []  # `make check` runs them all, and `migrate` those of the database

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, default=WORKERS, help="worker processes (%(default)s)")

    def handle(self, **options: Any) -> None:
        """Run until told to stop; CommandError if it cannot start."""
        self.screen = Screen()
        self.address_file = settings.VAR / "up.json"
        with supervisor.alone(settings.VAR) as alone:
            if not alone:
                raise CommandError(f"The console already runs: {self._running_address()}")
            host = os.environ.get("HOST", "127.0.0.1")
            with self.web_port(host) as reserved:  # until we end, so that nobody else comes to share it
                practise = not settings.PRODUCTION and "SANDBOX_BANK_URL" not in os.environ
                bank = free_port("127.0.0.1", BANK_PORT) if practise else None
                self._prepare(bank)
                self._run(host=host, port=reserved.getsockname()[1], bank=bank, workers=options["workers"])
        self.screen.say("up", "stopped")

    def _run(self, *, host: str, port: int, bank: int | None, workers: int) -> None:
        servers = embedded.start_missing()
        try:
            asyncio.run(self._serve(servers, host=host, port=port, bank=bank, workers=workers))
        except embedded.EmbeddedError as problem:
            raise CommandError(str(problem)) from problem
        finally:
            embedded.unkeep(settings.VAR)
            if servers:
                servers.release()

    def _running_address(self) -> str:
        try:
            return str(json.loads(self.address_file.read_text())["address"])
        except (OSError, ValueError):
            return "it is starting or stopping"

    def web_port(self, host: str) -> socket.socket:
        """Reserve PORT, which must be free if it is given; else the first free one from 8000."""
        if asked := os.environ.get("PORT"):
            if not asked.isdigit():
                raise CommandError(f"PORT is {asked!r}; it must be a number.")
            try:
                return reserve(host, int(asked))
            except OSError as problem:
                raise CommandError(f"Cannot listen on {host}, PORT {asked}: {problem.strerror}.") from problem
        port = free_port(host, WEB_PORT)
        if port != WEB_PORT:
            self.screen.say("up", f"port {WEB_PORT} is taken, so the console is on {port}")
        return reserve(host, port)

    def _prepare(self, bank: int | None) -> None:
        """Brings the database to the code's state, with demo data where wanted."""
        begin = time.monotonic()
        call_command("migrate", interactive=False, verbosity=0)
        self.screen.say("up", f"database migrated ({time.monotonic() - begin:.1f} s)")
        if settings.DEMO:
            begin = time.monotonic()
            address = {} if bank is None else {"bank_url": f"http://127.0.0.1:{bank}"}
            call_command("seed_demo", **address)
            self.screen.say("up", f"demo data in place ({time.monotonic() - begin:.1f} s)")
        connections.close_all()

    async def _serve(
        self, servers: embedded.Servers | None, *, host: str, port: int, bank: int | None, workers: int
    ) -> None:
        # By name where it is this machine: a browser knows no passkeys at a number.
        address = f"http://{'localhost' if host in HERE else host}:{port}"
        processes = Supervisor(
            programs(address, host=host, port=port, bank=bank, workers=workers),
            logs=settings.VAR / "log",
            say=self.screen.repeat,
        )
        self.address_file.write_text(json.dumps({"address": address, "pid": os.getpid()}))
        try:
            await processes.run(self._watch(servers), self._greet(address), self._announce_end(processes.ending))
        finally:
            self.address_file.unlink(missing_ok=True)

    async def _watch(self, servers: embedded.Servers | None) -> None:
        """Starts the embedded servers again when they die."""
        while servers:
            await asyncio.sleep(1)
            for name in await asyncio.to_thread(servers.revive):
                self.screen.say("up", f"{name} had died and runs again")

    async def _greet(self, address: str) -> None:
        """Waits until the console is ready, then says where it is and who may enter."""
        deadline = time.monotonic() + READY_WITHIN
        while problem := await asyncio.to_thread(why_not_ready, address):
            if time.monotonic() > deadline:
                self.screen.say("up", f"not ready after {READY_WITHIN:g} s: {problem}")
                deadline += READY_WITHIN
            await asyncio.sleep(0.25)
        self.screen.greet(address)

    async def _announce_end(self, ending: asyncio.Event) -> None:
        await ending.wait()
        self.screen.say("up", "stopping")


def programs(address: str, *, host: str, port: int, bank: int | None, workers: int) -> list[Program]:
    """The processes of the console, told of each other by the environment; it is found at `address`."""
    python, manage = sys.executable, settings.BASE_DIR / "manage.py"
    common = {"OPS_VAR": str(settings.VAR)}
    if not settings.PRODUCTION:
        common["PUBLIC_URL"] = os.environ.get("PUBLIC_URL", address)  # where links in what people are told lead
    common["LOG_LEVEL"] = os.environ.get("LOG_LEVEL", "WARNING")  # what people must read stands between the lines
    if host not in HERE and "ALLOWED_HOSTS" not in os.environ:
        common["ALLOWED_HOSTS"] = ",".join([*settings.ALLOWED_HOSTS, host])

    measured = settings.VAR / "metrics"  # latencies of several web processes; those of the last run are over
    shutil.rmtree(measured, ignore_errors=True)
    measured.mkdir(parents=True)
    web = [python, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port), "--no-ws"]
    threads = min(8, 2 * (os.cpu_count() or 1) + 1)  # as many as the pool has connections
    web += ["--log-level", "warning", "--blocking-threads", str(threads), "opsconsole.wsgi:application"]

    found = []
    if bank is not None:
        common["SANDBOX_BANK_URL"] = f"http://127.0.0.1:{bank}"
        books = settings.VAR / "sandbox-bank"
        command: list[str | Path] = [python, "-m", "sandbox_bank", "--port", str(bank), "--store", books]
        opening = settings.VAR / "demo" / "bank-accounts.json"
        if opening.exists():
            command += ["--accounts", opening]
        found.append(Program("bank", command, common))
    found.append(Program("web", web, common | {"OPS_DB_POOL": "1", "PROMETHEUS_MULTIPROC_DIR": str(measured)}, 1))
    names = [f"worker-{number}" for number in range(1, workers + 1)]
    # What workers do is in their log files, where operators grep for it; the terminal leaves it out.
    told = common | {"LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO")}
    found += [Program(name, [python, manage, "worker"], told, 1) for name in names]
    found.append(Program("notifier", [python, manage, "worker", "notifications", "backups"], told, 1))
    return [*found, Program("scheduler", [python, manage, "scheduler"], common, 1)]


class Screen:
    """What the person at the terminal sees. A terminal that goes away does not disturb the shutdown."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)

    def say(self, name: str, line: str) -> None:
        """One line of a process, or of ours."""
        self._print(Text.assemble((f"{name:<9} ", COLOURS.get(name, "bold")), Text.from_ansi(line)))

    def repeat(self, name: str, line: str) -> None:
        """One line of a process; what is routine only where LOG_LEVEL asks for it."""
        if "LOG_LEVEL" in os.environ or not is_routine(line):
            self.say(name, line)

    def greet(self, address: str) -> None:
        """The address, and the demo users where there are any."""
        self._print(Text(f"\nOpsConsole is ready at {address}", style="bold green"))
        credentials = settings.VAR / "demo" / "credentials.json"
        if settings.DEMO and credentials.exists():
            table = Table("user", "role", "password", "API token", box=SIMPLE_HEAD, pad_edge=False)
            for user in json.loads(credentials.read_text()):
                table.add_row(*(Text(user[column]) for column in ("username", "role", "password", "token")))
            # As wide as it must be: a token that is cut or wrapped cannot be copied.
            needed = Measurement.get(self.console, self.console.options.update(width=1000), table).maximum
            with contextlib.suppress(OSError):
                Console(width=max(needed, self.console.width)).print(table)
            self._print(Text(f"These stay in {credentials}; “Try it” in README.md goes on from here."))
        self._print(Text('psql "$(./manage.py dburl)" opens the database; Ctrl-C stops everything.\n'))

    def _print(self, text: Text) -> None:
        with contextlib.suppress(OSError):
            self.console.print(text, soft_wrap=True)


def is_routine(line: str) -> bool:
    """Whether a line is a log line that nobody has to read now."""
    try:
        said = json.loads(line)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("level") in ("debug", "info")


def why_not_ready(address: str) -> str:
    """Empty if the console is ready, else what it says is missing."""
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5):  # noqa: S310  our own address
            return ""
    except urllib.error.HTTPError as refusal:
        return f"{refusal} {refusal.read().decode(errors='replace')}"
    except OSError as failure:
        return str(failure)


def probe(host: str, port: int) -> None:
    """OSError if a server could not listen there now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))


def reserve(host: str, port: int) -> socket.socket:
    """Keeps a port for granian, which shares it by SO_REUSEPORT, while others find it taken; OSError if it is."""
    probe(host, port)
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((host, port))
    return reserved


def free_port(host: str, first: int) -> int:
    """The first free port from there on; CommandError if there is none near."""
    for port in range(first, first + PORTS_TO_TRY):
        try:
            probe(host, port)
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise CommandError(f"Cannot listen on {host}, port {port}: {problem.strerror}.") from problem
        else:
            return port
    raise CommandError(f"No free port from {first} to {first + PORTS_TO_TRY - 1} on {host}.")
