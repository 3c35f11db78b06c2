"""Wake-ups: after the commit, by name, with ids; and a Redis that is down is nobody's error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import override_settings
from rq import Queue

from opsconsole.core import queue
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation
from opsconsole.core.requests import bind_request_id
from tests.api.conftest import own_redis
from tests.api.servers import Redis

__all__ = ["own_redis"]

pytestmark = pytest.mark.django_db(transaction=True)
JOB = "opsconsole.plans.jobs.execute_run"


@operation
def ask(*, actor: Actor, then_fail: bool = False) -> list[int]:
    """Ask for a job, and look whether it is on the queue already."""
    queue.after_commit(JOB, uuid4(), queue="plans")
    if then_fail:
        raise ZeroDivisionError
    return [waiting()]


def waiting(name: str = "plans") -> int:
    """How many wake-ups there are."""
    return Queue(name, connection=queue.redis_connection()).count


@pytest.fixture(autouse=True)
def redis(own_redis: Redis) -> Iterator[None]:
    """An empty Redis of our own."""
    with override_settings(REDIS_URL=own_redis.url):
        queue.redis_connection().flushall()
        yield


def test_a_wake_up_goes_out_after_the_commit() -> None:
    assert ask(actor=SYSTEM("test")) == [0]
    assert waiting() == 1


def test_what_is_rolled_back_wakes_nobody() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(actor=SYSTEM("test"), then_fail=True)
    assert waiting() == 0


def test_it_carries_the_name_the_ids_and_the_request() -> None:
    bind_request_id("request-7")
    run = uuid4()
    with transaction.atomic():
        queue.after_commit(JOB, run, 7, queue="plans")
    (job,) = Queue("plans", connection=queue.redis_connection()).jobs
    assert (job.func_name, job.args, job.meta) == (JOB, (str(run), "7"), {"request_id": "request-7"})
    assert job.timeout == -1  # no alarm but the lease


def test_a_queue_that_nobody_works_on() -> None:
    with pytest.raises(ValueError, match="no such queue"):
        queue.after_commit(JOB, queue="planes")


def test_depths_name_every_queue() -> None:
    ask(actor=SYSTEM("test"))
    assert queue.depths() == {name: int(name == "plans") for name in queue.QUEUES}
    assert queue.ping()


def test_without_redis_everything_goes_on(tmp_path: Path) -> None:
    with override_settings(REDIS_URL=f"unix://{tmp_path}/nobody.sock"):
        with transaction.atomic():
            queue.after_commit(JOB, uuid4(), queue="plans")
        assert not queue.enqueue(JOB, "x", queue="plans")
        assert not queue.ping()
    assert waiting() == 0
