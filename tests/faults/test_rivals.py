"""Several workers at one run, and workers that come back late: one holds the lease, the others write nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

import pytest
from django.test.utils import override_settings

from opsconsole.core.queue import enqueue
from opsconsole.journal.models import Entry
from opsconsole.plans.transitions import EXECUTE_RUN
from tests.faults.harness import Console
from tests.faults.payouts import Lane, progress, succeeded
from tests.faults.processes import Process, state_of, wait_for

pytestmark = pytest.mark.fault


def test_ten_wake_ups_for_two_workers(running: Console, lane: Callable[..., Lane]) -> None:
    one = lane()
    one.arm("delay", seconds=0.2, times=None)
    plan, run = one.start(payouts=48)
    for _ in range(10):
        assert enqueue(EXECUTE_RUN, str(run.pk), queue="plans")
    succeeded(run, since=time.time())
    one.assert_paid(plan)
    assert Entry.objects.filter(subject_id=str(plan.pk), verb="run.claimed").count() == 1
    assert _sent_again(one) == 0


@pytest.mark.parametrize(
    "point",
    ["plans.steps.before_call", "plans.steps.after_call", "plans.steps.in_mark:2", "plans.run.before_finish"],
)
def test_a_frozen_worker_comes_back_too_late(point: str, running: Console, lane: Callable[..., Lane]) -> None:
    """Before the call it sends nothing any more; after it, its answers are fenced; in a commit, it loses it."""
    one = lane()
    running.freeze()
    late = running.forked_worker("plans", crash_at=f"{point}{'' if ':' in point else ':1'}:STOP", wake_ups=1)
    plan = one.plan()
    with override_settings(REDIS_URL=running.redis_url(1)):
        run = one.execute(plan)
    late.crashed()
    frozen = time.time()
    horse = late.crashed_pid
    wait_for("it to be frozen", lambda: state_of(horse) == "T")
    running.thaw()
    succeeded(run, since=frozen)
    one.assert_paid(plan)
    epoch, entries = run.lease_epoch, _entries(plan.pk)
    assert epoch >= 2
    assert state_of(horse) == "T", "it was not frozen for all that time"

    _wake(late, horse)
    run.refresh_from_db()
    assert (run.status, run.lease_epoch, _entries(plan.pk)) == ("succeeded", epoch, entries)
    one.assert_paid(plan)
    assert _sent_again(one) == 0, "the late worker sent something"
    assert "run.lease_lost" in late.tail() or "IdleInTransaction" in late.tail() or "idle-in-transaction" in late.tail()


def test_a_frozen_worker_comes_back_beside_its_successor(running: Console, lane: Callable[..., Lane]) -> None:
    """Two workers drive one run, and one of them must not: its answers, right as they are, are fenced."""
    one = lane()
    running.freeze()
    late = running.forked_worker("plans", crash_at="plans.steps.after_call:1:STOP", wake_ups=1)
    plan = one.plan(payouts=96)
    with override_settings(REDIS_URL=running.redis_url(1)):
        run = one.execute(plan)
    late.crashed()
    one.arm("delay", seconds=0.5, times=None)
    running.thaw()
    wait_for("the successor to get on", lambda: progress(run) >= 32)
    _wake(late, late.crashed_pid)
    thawed = time.time()
    assert progress(run) < 96, "the run was over before the late worker came back"
    succeeded(run, since=thawed)
    one.assert_paid(plan)
    assert run.lease_epoch == 2
    assert _sent_again(one) == 0
    assert "run.lease_lost" in late.tail()
    epochs = [json.loads(entry.body)["after"]["epoch"] for entry in _turns(plan.pk)]
    assert epochs == sorted(epochs), "the late worker wrote something"


def _turns(plan_id: object) -> list[Entry]:
    verbs = ("run.claimed", "run.steps")
    return list(Entry.objects.filter(subject_id=str(plan_id), verb__in=verbs).order_by("seq"))


def _wake(late: Process, horse: int) -> None:
    os.kill(horse, signal.SIGCONT)
    wait_for("the late worker to be done", lambda: not state_of(horse), seconds=30)


def _entries(plan_id: object) -> int:
    return Entry.objects.filter(subject_id=str(plan_id)).count()


def _sent_again(one: Lane) -> int:
    return sum(payment["replays"] for payment in one.payments())
