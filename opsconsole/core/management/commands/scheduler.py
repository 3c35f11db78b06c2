"""`manage.py scheduler`: the one loop that runs sweepers and sealers, and outlives Redis and PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import time
from datetime import timedelta
from importlib import import_module
from types import FrameType
from typing import Any

import structlog
from django.apps import apps
from django.db import Error, connection
from django.utils.module_loading import module_has_submodule

from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.database import past_the_pooler
from opsconsole.core.errors import DomainError
from opsconsole.core.heartbeats import beat, retire
from opsconsole.core.requests import bind_request_id
from opsconsole.core.schedule import Periodic, registered

log = structlog.get_logger(__name__)

ADVISORY_LOCK = 7_141_001
TICK = 0.2
BEAT_EVERY = timedelta(seconds=5).total_seconds()
AFTER_AN_OUTAGE = timedelta(seconds=1).total_seconds()


class Command(ConsoleCommand):
    """Run everything periodic. A second scheduler stands by until the first is gone."""

    help = "Run the periodic work: sweepers, sealer, tidying."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Loop until SIGTERM or SIGINT."""
        self.running = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        for config in apps.get_app_configs():
            if module_has_submodule(config.module, "jobs"):
                import_module(f"{config.name}.jobs")
        self.heart = f"scheduler:{socket.gethostname()}:{os.getpid()}"
        self.due = {task.name: 0.0 for task in registered()}
        self.beaten = 0.0
        with past_the_pooler():
            while self.running:
                try:
                    self.turn()
                except Error as error:
                    # The lock went with the connection, and with it the right to run anything.
                    log.warning("scheduler.database", error=str(error).strip())
                    connection.close()
                    time.sleep(AFTER_AN_OUTAGE)
                time.sleep(TICK)
            retire(self.heart)

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Finish the task at hand and end."""
        self.running = False

    def turn(self) -> None:
        """Say that we are alive and, if we lead, run what is due; raises when the database is gone."""
        leads = self.leads()
        if time.monotonic() - self.beaten > BEAT_EVERY:
            beat(self.heart, kind="scheduler" if leads else "scheduler-standby")
            self.beaten = time.monotonic()
        if leads:
            self.run_due()

    def leads(self) -> bool:
        """Whether this process holds the lock; it is the session's, so it goes when the connection does."""
        with connection.cursor() as cursor:
            cursor.execute(
                "select exists(select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
                " and objid = %s and granted) or pg_try_advisory_lock(%s)",
                [ADVISORY_LOCK, ADVISORY_LOCK],
            )
            return bool(cursor.fetchone()[0])

    def run_due(self) -> None:
        """Run each task whose time has come; one that fails is logged, and holds up neither itself nor the others."""
        for task in registered():
            if not self.running:
                return
            if time.monotonic() >= self.due[task.name]:
                self.due[task.name] = time.monotonic() + AFTER_AN_OUTAGE
                self.run_one(task)
                self.due[task.name] = time.monotonic() + task.every.total_seconds()

    def run_one(self, task: Periodic) -> None:
        """Run one task under a request id of its own; raises only when the database is gone."""
        bind_request_id()
        try:
            task.run()
        except DomainError as error:
            log.warning("scheduler.refused", task=task.name, code=error.code, error=error.message)
        except Exception as error:
            if isinstance(error, Error) and not connection.is_usable():
                raise
            log.exception("scheduler.failed", task=task.name)
