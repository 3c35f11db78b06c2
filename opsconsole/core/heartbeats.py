"""Heartbeats of workers and of the scheduler, as rows."""

from __future__ import annotations

import structlog
from django.db import DatabaseError, connection

log = structlog.get_logger(__name__)


def beat(name: str, *, kind: str, queues: str = "") -> None:
    """Say that the process of this name is alive; a database that does not answer is logged, not fatal."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "insert into core_worker_heartbeats (name, kind, queues) values (%s, %s, %s)"
                " on conflict (name) do update set beat_at = now(), queues = excluded.queues",
                [name, kind, queues],
            )
    except DatabaseError as error:
        log.warning("heartbeat.failed", name=name, error=str(error))
        connection.close()


def retire(name: str) -> None:
    """Forget a process that ends in good order."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("delete from core_worker_heartbeats where name = %s", [name])
    except DatabaseError as error:
        log.warning("heartbeat.failed", name=name, error=str(error))
        connection.close()
