"""Heartbeats of workers and of the scheduler, as rows."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from django.db import Error, connection

log = structlog.get_logger(__name__)

KINDS = ("worker", "scheduler")  # without one of each, nothing that was asked for happens


def beat(name: str, *, kind: str, queues: str = "") -> None:
    """Say that the process of this name is alive; a database that does not answer is logged, not fatal."""
    _write(
        "insert into core_worker_heartbeats (name, kind, queues) values (%s, %s, %s)"
        " on conflict (name) do update set beat_at = now(), kind = excluded.kind, queues = excluded.queues",
        [name, kind, queues],
    )


def retire(name: str) -> None:
    """Forget a process that ends in good order."""
    connection.close()  # the signal that ended it may have come in the middle of a statement
    _write("delete from core_worker_heartbeats where name = %s", [name])


def _write(statement: str, parameters: Sequence[str]) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
    except Error as error:
        log.warning("heartbeat.failed", name=parameters[0], error=str(error).strip())
        connection.close()  # a broken one would never heal; the next beat opens another
