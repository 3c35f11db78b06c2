"""Schedulers that take over from one another and outlive the servers; workers that are told to end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, OperationalError, connection

from opsconsole.core.management.commands import scheduler as command
from opsconsole.core.schedule import Periodic
from opsconsole.journal.models import Entry
from tests.faults.harness import Console
from tests.faults.payouts import Lane, driver, progress, succeeded
from tests.faults.processes import wait_for

pytestmark = pytest.mark.fault


def test_the_second_scheduler_takes_over(running: Console, lane: Callable[..., Lane]) -> None:
    first = running.scheduler
    assert first is not None
    second = running.new_scheduler()
    wait_for("the second to stand by", lambda: _kind_of(second.pid) == "scheduler-standby")
    assert _kind_of(first.pid) == "scheduler"
    first.kill()
    killed = time.monotonic()
    one = lane()
    plan = one.plan()
    running.freeze()
    run = one.execute(plan)
    running.redis().flushall()  # only a sweeper can find the run now
    running.thaw()
    succeeded(run, since=time.time(), within=60)
    wait_for("it to say so", lambda: _kind_of(second.pid) == "scheduler")
    assert time.monotonic() - killed < 60
    one.assert_paid(plan)
    running.scheduler = second


def test_the_scheduler_outlives_the_servers(running: Console, lane: Callable[..., Lane]) -> None:
    running.signal("redis", signal.SIGKILL)
    running.signal("postgres", signal.SIGKILL)
    time.sleep(4)
    assert running.scheduler is not None
    assert running.scheduler.is_alive
    running.bring_back()
    one = lane()
    plan = one.plan()
    running.freeze()
    run = one.execute(plan)
    running.redis().flushall()
    running.thaw()
    succeeded(run, since=time.time(), within=60)
    one.assert_paid(plan)
    assert all(worker.is_alive for worker in running.pool)


def test_a_task_that_fails_holds_up_nobody(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises; and a connection that was lost is another one at the next turn."""
    ran: list[str] = []

    def task(name: str, error: Exception | None = None) -> Periodic:
        def run() -> None:
            ran.append(name)
            if error is not None:
                raise error

        return Periodic(name, timedelta(seconds=0), run)

    tasks = [
        task("a", IntegrityError("a row that cannot be swept")),
        task("b", OperationalError("a deadlock's victim")),
        task("c", ImproperlyConfigured("nonsense")),
        task("d"),
    ]
    monkeypatch.setattr(command, "registered", lambda: tasks)
    scheduler = command.Command()
    scheduler.running = True
    scheduler.due = {one.name: 0.0 for one in tasks}
    connection.ensure_connection()
    for _ in range(2):
        scheduler.run_due()
    assert ran == ["a", "b", "c", "d"] * 2


def test_a_worker_is_told_to_end_in_mid_run(running: Console, lane: Callable[..., Lane]) -> None:
    """It hands the run over at the next boundary: nothing is in doubt, nothing waits for the lease to run out."""
    one = lane()
    one.arm("delay", seconds=0.5, times=None)
    plan, run = one.start(payouts=160)
    wait_for("the run to get on", lambda: progress(run) >= 16)
    worker, _ = wait_for("a worker at work", lambda: driver(run, running))
    beat = _beats_of(worker.pid)
    wait_for("it to say that it lives", lambda: _beats_of(worker.pid) != beat, seconds=20)
    told = time.monotonic()
    worker.ask_to_end()
    assert worker.ended() == 0
    assert time.monotonic() - told < 15
    assert progress(run) < 160
    succeeded(run, since=time.time(), within=60)
    one.assert_paid(plan)
    assert run.lease_epoch == 2
    claims = Entry.objects.filter(subject_id=str(plan.pk), verb="run.claimed").order_by("seq")
    assert ['"steps_in_doubt":[]' in entry.body.replace(" ", "") for entry in claims] == [True, True]
    assert sum(payment["replays"] for payment in one.payments()) == 0


def test_an_idle_worker_says_that_it_lives_and_ends_when_told(console: Console) -> None:
    console.ensure()
    worker = console.worker("trading")
    wait_for("its first beat", lambda: _beats_of(worker.pid) is not None)
    first = _beats_of(worker.pid)
    wait_for("another one", lambda: _beats_of(worker.pid) != first)
    console.signal("redis", signal.SIGKILL)
    time.sleep(1)
    worker.ask_to_end()
    assert worker.ended() == 0
    assert _beats_of(worker.pid) is None, worker.tail()
    console.bring_back()


def _kind_of(pid: int) -> str | None:
    return _heartbeat(pid, "kind")


def _beats_of(pid: int) -> str | None:
    return _heartbeat(pid, "beat_at::text")


def _heartbeat(pid: int, column: str) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(f"select {column} from core_worker_heartbeats where name like %s", [f"%:{pid}"])
        row = cursor.fetchone()
        return row[0] if row else None
