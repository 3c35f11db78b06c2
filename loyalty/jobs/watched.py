"""Work of which it is known how it ended: log lines carry the worker's name in capitals, as operators look for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import Error

from loyalty.services.faults import note_fault
from loyalty.workers import Worker
from opsconsole.core.actors import Actor
from opsconsole.core.errors import DomainError
from opsconsole.core.outages import is_outage, outlast

log = structlog.get_logger(__name__)


@contextmanager
def watched(worker: Worker, about: str, actor: Actor) -> Iterator[None]:
    """Have whatever ends the block early logged, journalled and counted; an outage of the database is RQ's to tell."""
    name = worker.value.upper()
    log.info("worker.begins", worker=name, about=about)
    try:
        yield
    except DomainError as error:
        log.warning("worker.refused", worker=name, about=about, code=error.code, error=error.message)
        said, refused = error.message, True
    except Exception as error:
        if isinstance(error, Error) and is_outage(error):
            raise
        log.exception("worker.failed", worker=name, about=about)
        said, refused = f"{type(error).__name__}: {error}", False
    else:
        log.info("worker.done", worker=name, about=about)
        return
    outlast(lambda _: note_fault(worker=worker, about=about, error=said, refused=refused, actor=actor))
