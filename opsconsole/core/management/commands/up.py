"""`manage.py up`: the whole console on this machine, for `make up`."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opsconsole import embedded, supervisor
from opsconsole.supervisor import Program, Supervisor

WORKERS = 2
READY_WITHIN = 60.0  # seconds
COLOURS = {"web": "cyan", "worker-1": "green", "worker-2": "green", "scheduler": "magenta", "bank": "yellow"}
WEB_PORT, BANK_PORT, PORTS_TO_TRY = 8000, 8090, 100


class Command(BaseCommand):
    """Prepares the database, then runs web, workers, scheduler and sandbox bank until Ctrl-C."""

    help = "Run the whole console on this machine: web, workers, scheduler and sandbox bank."
    requires_system_checks: list[str] = []  # `make check` runs them; `migrate` runs those of the database

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, default=WORKERS, help="worker processes (%(default)s)")

    def handle(self, **options: Any) -> None:
        """Run until told to stop; CommandError if it cannot start."""
        self.screen = Screen()
        with supervisor.alone(settings.VAR) as alone:
            if not alone:
                raise CommandError(
                    f"The console of {settings.VAR} already runs; {settings.VAR / 'up.json'} says where."
                )
            try:
                host = os.environ.get("HOST", "127.0.0.1")
                port = self._web_port(host)
                bank = None if "SANDBOX_BANK_URL" in os.environ else free_port("127.0.0.1", BANK_PORT)
                self._prepare()
                asyncio.run(self._serve(host, port, bank, options["workers"]))
            finally:
                embedded.unkeep(settings.VAR)
                self.screen.say("up", "stopped")

    def _web_port(self, host: str) -> int:
        """PORT, which must be free if it is given; else the first free one from 8000."""
        if asked := os.environ.get("PORT"):
            if not asked.isdigit():
                raise CommandError(f"PORT is {asked!r}; it must be a number.")
            if not is_free(host, int(asked)):
                raise CommandError(f"Port {asked} is taken on {host}. Set PORT to another, or leave it unset.")
            return int(asked)
        port = free_port(host, WEB_PORT)
        if port != WEB_PORT:
            self.screen.say("up", f"port {WEB_PORT} is taken, so the console is on {port}")
        return port

    def _prepare(self) -> None:
        """Brings the database to the code's state, with demo data where wanted."""
        begin = time.monotonic()
        call_command("migrate", interactive=False, verbosity=0)
        self.screen.say("up", f"database migrated ({time.monotonic() - begin:.1f} s)")
        if settings.DEMO:
            begin = time.monotonic()
            call_command("seed_demo")
            self.screen.say("up", f"demo data in place ({time.monotonic() - begin:.1f} s)")
        connections.close_all()

    async def _serve(self, host: str, port: int, bank: int | None, workers: int) -> None:
        address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104  to tell, not to bind
        processes = Supervisor(
            programs(host=host, port=port, bank=bank, workers=workers),
            logs=settings.VAR / "log",
            say=self.screen.say,
        )
        (settings.VAR / "up.json").write_text(json.dumps({"pid": os.getpid(), "address": address}))
        try:
            await processes.run(self._watch_servers(), self._greet(address))
        finally:
            (settings.VAR / "up.json").unlink(missing_ok=True)

    async def _watch_servers(self) -> None:
        """Starts the embedded servers again when they die."""
        servers = await asyncio.to_thread(embedded.start_missing)
        if servers is None:
            return
        try:
            while True:
                await asyncio.sleep(1)
                for name in await asyncio.to_thread(servers.revive):
                    self.screen.say("up", f"{name} had died and runs again")
        finally:
            servers.release()

    async def _greet(self, address: str) -> None:
        """Waits until the console is ready, then says where it is and who may enter."""
        deadline = time.monotonic() + READY_WITHIN
        while (answer := await asyncio.to_thread(ready, f"{address}/readyz")) != "":
            if time.monotonic() > deadline:
                self.screen.say("up", f"not ready after {READY_WITHIN:g} s: {answer}")
                deadline += READY_WITHIN
            await asyncio.sleep(0.1)
        self.screen.greet(address)


def programs(*, host: str, port: int, bank: int | None, workers: int) -> list[Program]:
    """The processes of the console, told of each other by the environment."""
    manage = [sys.executable, settings.BASE_DIR / "manage.py"]
    common = {"OPS_VAR": str(settings.VAR)}
    found = []
    if bank is not None:
        common["SANDBOX_BANK_URL"] = f"http://127.0.0.1:{bank}"
        store = settings.VAR / "sandbox-bank"
        command = [sys.executable, "-m", "sandbox_bank", "--port", str(bank), "--store", store]
        found.append(Program("bank", command, common, stage=0))
    measured = settings.VAR / "metrics"  # of several web processes; those of the last run are over
    shutil.rmtree(measured, ignore_errors=True)
    measured.mkdir(parents=True)
    web = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)]
    options = ["--blocking-threads", str(threads), "--no-ws", "--log-level", "warning", "opsconsole.wsgi:application"]
    pooled = {"OPS_DB_POOL": "1", "PROMETHEUS_MULTIPROC_DIR": str(measured)}
    found.append(Program("web", [*web, *options], common | pooled, stage=1))
    names = [f"worker-{number}" for number in range(1, workers + 1)]
    found += [Program(name, [*manage, "worker"], common, stage=1) for name in names]
    found.append(Program("scheduler", [*manage, "scheduler"], common, stage=1))
    return found


class Screen:
    """What the person at the terminal sees; a terminal that goes away does not stop the console in mid-shutdown."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)

    def say(self, name: str, line: str) -> None:
        """One line of a process, or of ours."""
        self._print(Text.assemble((f"{name:<9} ", COLOURS.get(name, "bold")), Text.from_ansi(line)))

    def greet(self, address: str) -> None:
        """The address, and the demo users where there are any."""
        self._print(Text(f"\nOpsConsole is ready at {address}", style="bold green"))
        credentials = settings.VAR / "demo" / "credentials.json"
        if settings.DEMO and credentials.exists():
            table = Table("user", "role", "password", "API token", title="Demo users", title_justify="left")
            for user in json.loads(credentials.read_text()):
                table.add_row(*(Text(user[column]) for column in ("username", "role", "password", "token")))
            # As wide as it must be: a token that is cut or wrapped cannot be copied.
            self._print(
                table, width=self.console.measure(table, options=self.console.options.update(width=500)).maximum
            )
        self._print(Text('psql "$(./manage.py dburl)" for the database; Ctrl-C stops everything.\n'))

    def _print(self, what: Any, width: int | None = None) -> None:
        with contextlib.suppress(OSError):
            self.console.print(what, soft_wrap=width is None, width=width, crop=False)


def ready(url: str) -> str:
    """Empty if the address answers 200, else why not."""
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310  our own address
            return ""
    except urllib.error.HTTPError as refusal:
        return refusal.read().decode(errors="replace")
    except OSError as failure:
        return str(failure)


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str, first: int) -> int:
    """The first free port from there on; CommandError if there is none near."""
    for port in range(first, first + PORTS_TO_TRY):
        if is_free(host, port):
            return port
    raise CommandError(f"No free port from {first} to {first + PORTS_TO_TRY - 1} on {host}.")
