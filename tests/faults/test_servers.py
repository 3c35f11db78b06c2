"""Redis emptied, killed, hung; PostgreSQL restarted, killed: in mid-run, and each run ends by itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
from django.test.utils import override_settings

from opsconsole.core.queue import enqueue
from opsconsole.journal.models import Entry
from opsconsole.plans.leases import Lease
from opsconsole.plans.models import Run, Step
from opsconsole.plans.outcomes import Done, NotStarted
from opsconsole.plans.services import running as engine
from opsconsole.treasury.models import Transfer
from tests.faults.harness import Console
from tests.faults.payouts import TESTER, Lane, progress, succeeded
from tests.faults.processes import wait_for
from tests.world import set_probing

pytestmark = pytest.mark.fault

AWAY = 2.5  # seconds: longer than the lease


def test_redis_is_emptied(running: Console, lane: Callable[..., Lane]) -> None:
    """In mid-run, and between the wake-up and the worker that should have heard it."""
    slow, unheard = lane(), lane("file")
    slow.arm("delay", seconds=0.3, times=None)
    plan, run = slow.start(payouts=64)
    wait_for("the run to get on", lambda: progress(run) >= 16)
    running.freeze()
    other_plan, other = unheard.start()
    assert running.redis().dbsize() > 0
    running.redis().flushall()
    emptied = time.time()
    run.refresh_from_db()
    assert run.status == "running"
    running.thaw()
    succeeded(run, since=emptied)
    succeeded(other, since=emptied)
    slow.assert_paid(plan)
    unheard.assert_paid(other_plan)


def test_redis_is_killed(running: Console, lane: Callable[..., Lane]) -> None:
    """The run that is under way does not notice; one that is asked for meanwhile is found by the sweeper."""
    slow, meanwhile = lane(), lane()
    slow.arm("delay", seconds=0.5, times=None)
    workers = [worker.pid for worker in running.pool]
    plan, run = slow.start(payouts=112)
    wait_for("the run to get on", lambda: progress(run) >= 16)
    running.signal("redis", signal.SIGKILL)
    killed = time.time()
    assert not enqueue("opsconsole.plans.jobs.execute_run", str(run.pk), queue="plans")
    other_plan, other = meanwhile.start()
    done = progress(run)
    wait_for("the run to get on without Redis", lambda: progress(run) > done)
    time.sleep(AWAY)
    running.bring_back()
    succeeded(run, since=killed)
    succeeded(other, since=killed)
    slow.assert_paid(plan)
    meanwhile.assert_paid(other_plan)
    assert run.lease_epoch == 1, "its worker let go of it"
    for worker in running.pool:
        wait_for("its children to be buried", lambda worker=worker: not worker.children())
    assert [worker.pid for worker in running.pool if worker.is_alive] == workers, "a worker ended"


def test_redis_hangs(running: Console, lane: Callable[..., Lane]) -> None:
    """Whoever asks for a run is answered all the same, and the run is found later."""
    one = lane()
    plan = one.plan()
    running.signal("redis", signal.SIGSTOP)
    hung = time.time()
    try:
        run = one.execute(plan)
        assert time.time() - hung < 5
    finally:
        running.signal("redis", signal.SIGCONT)
    succeeded(run, since=hung)
    one.assert_paid(plan)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL], ids=["fast", "immediate", "kill -9"])
def test_postgres_is_restarted(how: signal.Signals, running: Console, lane: Callable[..., Lane]) -> None:
    """Both directions and both kinds of step under way; away for longer than the lease."""
    lanes = [lane(), lane(), lane("file")]
    back = lanes[1].plan(payouts=48)
    succeeded(lanes[1].execute(back), since=time.time())
    for one in lanes[:2]:
        one.arm("delay", on="any", seconds=0.4, times=None)
    files = lanes[2].plan()
    plan, run = lanes[0].start(payouts=48)
    rollback = lanes[1].roll_back(back)
    wait_for("both runs to get on", lambda: progress(run) >= 16 and progress(rollback) >= 16)
    scheduler = running.scheduler
    workers = [worker.pid for worker in running.pool]
    main = running.main_process("postgres")
    running.signal("postgres", how)
    wait_for("it to be gone", lambda: not _answers(running), seconds=60)
    restarted = time.time()
    time.sleep(AWAY)
    running.bring_back()
    assert running.main_process("postgres") != main
    of_files = lanes[2].execute(files)
    for each in (run, rollback, of_files):
        succeeded(each, since=restarted)
    lanes[0].assert_paid(plan)
    lanes[1].assert_taken_back(back)
    lanes[2].assert_paid(files)
    assert scheduler is not None
    assert scheduler.is_alive
    assert [worker.pid for worker in running.pool if worker.is_alive] == workers, "a worker ended"


def test_answers_outlive_the_database(running: Console, lane: Callable[..., Lane]) -> None:
    """The bank cannot be asked, so only the worker that holds its answers in memory can save them: and it does."""
    one = lane()
    set_probing(bank=one.bank.pk, probing=False, actor=TESTER)
    one.arm("delay", seconds=2.0, times=16)
    running.freeze()
    running.forked_worker("plans", wake_ups=1, RUN_LEASE_SECONDS="30")
    plan = one.plan()
    with override_settings(REDIS_URL=running.redis_url(1)):
        run = one.execute(plan)
    wait_for("calls in flight", lambda: Step.objects.filter(plan=plan, status="running").count() == 16)
    running.signal("postgres", signal.SIGKILL)
    killed = time.time()
    wait_for("the bank to accept", lambda: len(one.payments()) == 16)
    time.sleep(1)
    running.bring_back()
    succeeded(run, since=killed)
    one.assert_paid(plan)
    assert one.fired() == {"delay": 16}
    assert run.lease_epoch == 1, "another worker had it"


def test_a_commit_that_nobody_heard_of_is_repeated_without_harm(running: Console, lane: Callable[..., Lane]) -> None:
    """The connection broke after the commit and before its answer: the same write again changes nothing twice."""
    running.freeze()
    one = lane()
    with override_settings(REDIS_URL=running.redis_url(15)):
        plan, run = one.start(payouts=20)
    lease = engine.claim_run(run_id=run.pk, owner="test", actor=TESTER)
    assert isinstance(lease, Lease)
    first = engine.advance(lease=lease, answers=(), actor=TESTER)
    unheard = engine.advance(lease=lease, answers=(), actor=TESTER, again=True)
    assert [step.pk for step in unheard.steps] == [step.pk for step in first.steps]
    assert (len(first.steps), unheard.starting) == (16, [])

    # One was not sent, the others were: the next commit takes that one again, and the last four.
    answers = [
        (step, NotStarted("busy") if step.seq == 1 else Done({"reference": f"pay_{step.seq}"})) for step in first.steps
    ]
    second = engine.advance(lease=lease, answers=answers, actor=TESTER)
    assert [(step.seq, step.attempt) for step in second.steps] == [(1, 2), (17, 1), (18, 1), (19, 1), (20, 1)]
    before = _written(run)
    again = engine.advance(lease=lease, answers=answers, actor=TESTER, again=True)
    assert [step.pk for step in again.steps] == [step.pk for step in second.steps]
    assert _written(run) == before

    # And once more not sent, with nothing else going on: its money has come back twice, once for each attempt.
    engine.advance(lease=lease, answers=[(step, NotStarted("busy")) for step in second.steps], actor=TESTER)
    run.refresh_from_db()
    assert run.waiting_for == "target"
    assert one.payouts() == {"sent": 15, "reserved": 5}
    running.thaw()
    succeeded(run, since=time.time())
    assert len(one.payments()) == 5
    assert one.payouts() == {"sent": 20}


def _written(run: Run) -> tuple[int, int]:
    """How many entries and transfers there are about the plan."""
    entries = Entry.objects.filter(subject_id=str(run.plan_id)).count()
    return entries, Transfer.objects.filter(plan_id=run.plan_id).count()


def _answers(console: Console) -> bool:
    return console.servers.postgres.answers()
