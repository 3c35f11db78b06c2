"""Waking workers. Redis only carries the wake-up; the row in PostgreSQL is what there is to do.

Losing a wake-up is therefore no loss: the sweepers find every row that is due and ask again.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cache
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from redis import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from rq import Queue

from opsconsole.core.faults import crashpoint
from opsconsole.core.requests import current_request_id

log = structlog.get_logger(__name__)

QUEUES = ("default", "plans", "campaigns", "sandbox", "trading", "notifications", "backups")
# Who receives takes their time, and so does a large database: a worker of their own, which no plan waits for.
APART = frozenset({"notifications", "backups"})

PATIENCE = 2.0  # seconds for Redis to answer a wake-up
NO_RQ_TIMEOUT = -1  # runs carry a lease and a deadline in the database; RQ's own alarm would kill them blindly


@dataclass(slots=True)
class _Hangs:
    """Until when not to try a Redis that did not answer: an operation with many wake-ups waits for it once."""

    until: float = 0.0


_hangs = _Hangs()
_leaving = threading.Event()


def redis_connection() -> Redis:
    """A connection to Redis, by URL only: the keyword form retries for seconds when the server is down.

    A server that hangs is given up on too: whoever commits an operation must not wait for its wake-up.
    """
    return Redis.from_url(settings.REDIS_URL, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE)


@cache
def _waker(url: str) -> Redis:
    """The client of this process for wake-ups: another connection for each would cost more than what it carries.

    It is no worker's: those change how long theirs waits for an answer.
    """
    return Redis.from_url(url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE)


def after_commit(job: str, *ids: UUID | str | int, queue: str = "default") -> None:
    """Wake a worker for a job, named by its dotted path, once the current transaction has committed."""
    if queue not in QUEUES:
        raise ValueError(f"no such queue: {queue}")
    arguments = [str(value) for value in ids]
    # robust: a dead Redis must not turn a committed operation into an error.
    transaction.on_commit(lambda: enqueue(job, *arguments, queue=queue), robust=True)


def enqueue(job: str, *arguments: str, queue: str = "default") -> bool:
    """Put a wake-up on the queue now; False when Redis does not answer, and then the sweeper will ask again."""
    if time.monotonic() < _hangs.until:
        log.warning("queue.skipped", job=job, arguments=arguments)
        return False
    crashpoint("queue.before_enqueue")
    try:
        Queue(queue, connection=_waker(settings.REDIS_URL)).enqueue_call(
            job,
            args=arguments,
            timeout=NO_RQ_TIMEOUT,
            result_ttl=0,
            failure_ttl=24 * 3600,
            meta={"request_id": current_request_id()},
        )
    except RedisError as error:
        log.warning("queue.unreachable", job=job, arguments=arguments, error=str(error))
        if isinstance(error, RedisTimeout):
            _hangs.until = time.monotonic() + PATIENCE
        return False
    crashpoint("queue.after_enqueue")
    return True


def depths() -> dict[str, int]:
    """How many wake-ups wait in each queue; raises RedisError when Redis does not answer."""
    connection = redis_connection()
    return {name: Queue(name, connection=connection).count for name in QUEUES}


def depths_if_known() -> dict[str, int] | None:
    """How many wake-ups wait in each queue; None when Redis does not answer."""
    try:
        return depths()
    except RedisError:
        return None


def ping() -> bool:
    """Whether Redis answers."""
    try:
        return bool(redis_connection().ping())
    except RedisError:
        return False


def leaving() -> bool:
    """Whether the worker that runs this job was told to end: a long job leaves at its next boundary."""
    return _leaving.is_set()


def leave() -> None:
    """Ask the job of this process to leave; the worker's signal handler does."""
    _leaving.set()
