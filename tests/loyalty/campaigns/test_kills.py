"""kill -9 of whoever executes a campaign, at either side of everything it does, and at any moment: exact all the same.

The worker is a child that is forked as a worker forks its own, so that a death costs no start of Python.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection, connections
from rq import Queue

from loyalty.campaigns import chunks
from loyalty.jobs import campaigns as jobs
from loyalty.models import Campaign, Program, Transaction
from loyalty.services import awards, campaign_sweeping, launches, undoing
from loyalty.services.undoing import report_of
from opsconsole.core.actors import SYSTEM
from opsconsole.core.queue import redis_connection
from opsconsole.journal.models import Entry
from tests.faults.processes import wait_for
from tests.loyalty.campaigns.conftest import TESTER, Desk, assert_books_agree, enrol, execute, fresh, query

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault, pytest.mark.usefixtures("by_tens")]

WORKING = """select count(*) from pg_stat_activity where datname = current_database() and usename = current_user
    and pid <> pg_backend_pid() and xact_start is not null"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Fork a process that does a job: `worker(job, id, crash_at="…")`; its pid. None outlives the test."""
    begun: list[int] = []

    def start(job: Callable[[str], None], campaign: Campaign, crash_at: str = "") -> int:
        connections.close_all()  # one used on both sides would mix up their answers
        pid = os.fork()
        if pid:
            begun.append(pid)
            return pid
        try:
            os.environ |= {"OPS_CRASH_AT": crash_at, "OPS_CRASH_LOG": str(tmp_path / "crashed")}
            job(str(campaign.pk))
            os._exit(0)
        finally:
            os._exit(1)

    yield start
    for pid in begun:
        with contextlib.suppress(ChildProcessError):  # the test has waited for it
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


@pytest.fixture
def dies(worker: Callable[..., int], tmp_path: Path) -> Callable[..., None]:
    """Have a worker die at a point, and make sure that it did."""

    def die(job: Callable[[str], None], campaign: Campaign, point: str) -> None:
        _, status = os.waitpid(worker(job, campaign, point), 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        assert (tmp_path / "crashed").read_text().startswith(point.partition(":")[0]), "the fault never fired"
        # The server notices the death by itself; until then its session may keep the campaign.
        wait_for("its session to be gone", lambda: query(WORKING) == [(0,)])

    return die


@pytest.mark.parametrize(
    ("point", "status", "committed"),
    [
        ("before_launch", "scheduled", 0),
        ("in_launch", "scheduled", 0),
        ("after_launch", "running", 0),
        ("before_chunk", "running", 0),
        ("in_chunk:1", "running", 0),
        ("in_chunk:2", "running", 10),
        ("after_chunk:2", "running", 20),
        ("before_finish", "running", 25),
        ("in_finish", "running", 25),
        ("after_finish", "completed", 25),
    ],
)
def test_killed_at_either_side_of_every_commit(
    desk: Desk, dies: Callable[..., None], point: str, status: str, committed: int
) -> None:
    campaign = desk.agreed()
    dies(jobs.execute_campaign, campaign, f"loyalty.campaign.{point}")
    left = fresh(campaign)
    assert (left.status, left.users_awarded, Transaction.objects.count()) == (status, committed, committed)
    assert_books_agree(desk.program)
    done = execute(campaign)
    assert (done.status, done.users_awarded, done.points_reserved) == ("completed", 25, 0)
    assert [
        entry.content["after"]["chunk"] for entry in Entry.objects.filter(verb="campaign.awarded").order_by("seq")
    ] == [1, 2, 3]
    assert Entry.objects.filter(verb="campaign.launched").count() == 1
    assert_books_agree(desk.program)


@pytest.mark.parametrize(("point", "taken"), [("in_undo:2", 10), ("after_undo:2", 20)])
def test_an_undo_that_is_killed_goes_on(desk: Desk, dies: Callable[..., None], point: str, taken: int) -> None:
    campaign = execute(desk.agreed())
    undoing.request_undo(campaign_id=campaign.pk, reason="the wrong segment", actor=desk.marketing)
    dies(jobs.undo_campaign, campaign, f"loyalty.campaign.{point}")
    assert Transaction.objects.filter(event_type="reverse").count() == taken
    assert fresh(campaign).undone_at is None
    jobs.undo_campaign(str(campaign.pk))
    found = report_of(fresh(campaign))
    assert (found.points_taken_back, found.points_spent, found.finished) == (250, 0, True)
    assert Program.objects.get(pk=desk.program.pk).budget_spent == 0
    assert_books_agree(desk.program)


def test_killed_again_and_again_at_any_moment_with_redis_emptied(
    desk: Desk, worker: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody goes on with, the sweeper finds in the database; Redis never knew anything else."""
    enrol(program=desk.program, count=12_000, prefix="n", actor=TESTER)
    monkeypatch.setattr(chunks, "CHUNK", 250)
    campaign = desk.agreed()
    kills, seen = 0, -1
    while fresh(campaign).status != "completed":
        working = {worker(jobs.execute_campaign, campaign), worker(jobs.help_campaign, campaign)}
        while working and (kills == 6 or fresh(campaign).users_awarded <= seen):
            time.sleep(0.001)
            working = {pid for pid in working if os.waitpid(pid, os.WNOHANG)[0] == 0}
        for pid in working:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        if working:
            Queue("campaigns", connection=redis_connection()).empty()
            kills += 1
            seen = fresh(campaign).users_awarded
    assert kills == 6
    done = fresh(campaign)
    assert (done.users_awarded, done.chunks.count()) == (12_025, 49)
    assert_books_agree(desk.program)


def test_a_frozen_worker_keeps_nobody_out_for_long(
    desk: Desk, worker: Callable[..., int], settings: object, tmp_path: Path
) -> None:
    """SIGSTOP in the middle of a chunk: its session ends, others go on, and what it comes back to is gone."""
    settings.RUN_LEASE_SECONDS = 0.4  # type: ignore[attr-defined]
    campaign = desk.launched()
    pid = worker(jobs.execute_campaign, campaign, "loyalty.campaign.in_chunk:2:STOP")
    wait_for("it to be frozen", (tmp_path / "crashed").exists)
    # It has the campaign's row: whoever comes waits for that, as long as the server lets it.
    turns = [awards.award_chunk(campaign_id=campaign.pk, actor=TESTER) for _ in range(2)]
    assert turns == [awards.Turn.DONE, awards.Turn.DONE]
    assert [chunk.no for chunk in fresh(campaign).chunks.order_by("created_at")] == [1, 3, 2]
    os.kill(pid, signal.SIGCONT)
    os.waitpid(pid, 0)
    assert execute(campaign).users_awarded == 25
    assert_books_agree(desk.program)


def test_the_sweeper_finds_what_was_left_behind(desk: Desk, dies: Callable[..., None]) -> None:
    campaign = desk.agreed()
    dies(jobs.execute_campaign, campaign, "loyalty.campaign.after_chunk:1")
    sweeper = SYSTEM("campaign-sweeper")
    assert campaign_sweeping.hand_out_due_campaigns(actor=sweeper) == []  # it may be at its next chunk
    with connection.cursor() as cursor:  # ten seconds later
        cursor.execute("update loyalty_campaign_chunks set created_at = created_at - interval '11 seconds'")
        cursor.execute("update loyalty_campaigns set progress_at = progress_at - interval '11 seconds'")
    assert campaign_sweeping.hand_out_due_campaigns(actor=sweeper) == [campaign.pk]
    assert launches.launch_campaign(campaign_id=campaign.pk, actor=TESTER) is launches.Launched.BEFORE
