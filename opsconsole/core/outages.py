"""Outages of the database: telling them from mistakes of ours, and outlasting them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from django.db import Error, InterfaceError, OperationalError, connection

log = structlog.get_logger(__name__)

T = TypeVar("T")

PATIENCE: Final = timedelta(minutes=5)
LONGEST_PAUSE: Final = 1.0


def is_outage(error: Error) -> bool:
    """Whether the server failed rather than the statement: it restarts, is out of reach, or gave up a deadlock."""
    return isinstance(error, OperationalError | InterfaceError) or _is_gone()


def outlast(write: Callable[[bool], T]) -> T:
    """The result of a write that is tried again until the database is back; raises the error after five minutes.

    A commit whose answer was lost may have happened: `write` is told whether it runs again, and must then do no harm.
    """
    until = time.monotonic() + PATIENCE.total_seconds()
    again, pause = False, 0.05
    while True:
        try:
            return write(again)
        except Error as error:
            if not is_outage(error) or time.monotonic() > until:
                raise
            log.warning("database.away", error=str(error).strip())
            connection.close()
        time.sleep(pause)
        again, pause = True, min(2 * pause, LONGEST_PAUSE)


def _is_gone() -> bool:
    held = connection.connection
    return held is None or bool(held.closed)
