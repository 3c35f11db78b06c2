"""Stuck campaigns are tried three times and have then failed; what was ended by hand keeps no budget back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from loyalty.campaigns.progress import left_over_campaigns, stuck_campaigns
from loyalty.jobs import campaigns as jobs
from loyalty.models import Chunk, Program
from loyalty.services import awards
from loyalty.workers import executions
from opsconsole.approvals.models import Request
from opsconsole.core.metrics import registered
from opsconsole.core.models import OutboxEvent
from opsconsole.journal.models import Entry
from tests.loyalty.campaigns.conftest import TESTER, Desk, assert_books_agree, execute, fresh
from tests.loyalty.campaigns.test_launch import suspend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("by_tens")]


@pytest.fixture
def psql(connect_as: Callable[[str], psycopg.Connection[Any]]) -> psycopg.Connection[Any]:
    """Somebody with psql."""
    return connect_as("operator")


@pytest.fixture
def later(psql: psycopg.Connection[Any]) -> Callable[[str], None]:
    """Let time pass: `later("6 minutes")`."""

    def pass_by(time: str) -> None:
        columns = ("start_date", "progress_at", "launched_at", "woken_at")
        moved = ", ".join(f"{column} = {column} - interval '{time}'" for column in columns)
        psql.execute(f"update loyalty_campaigns set {moved}")
        psql.execute(f"update loyalty_campaign_chunks set created_at = created_at - interval '{time}'")

    return pass_by


def facts(name: str) -> dict[tuple[str, ...], Any]:
    """What Prometheus is told."""
    (fact,) = [fact for fact in registered() if fact.name == name]
    return dict(fact.samples())


def test_running_without_a_chunk(desk: Desk, later: Callable[[str], None]) -> None:
    campaign = desk.launched()
    awards.award_chunk(campaign_id=campaign.pk, actor=TESTER)
    later("4 minutes")
    assert stuck_campaigns() == []
    for attempt in (1, 2, 3):
        later("6 minutes")
        assert stuck_campaigns() == [campaign.pk]
        assert facts("loyalty_campaigns_stuck") == {(): 1.0}
        jobs.sweep_campaigns()
        assert (fresh(campaign).attempts, stuck_campaigns()) == (attempt, [])
    later("6 minutes")
    jobs.sweep_campaigns()
    failed = fresh(campaign)
    assert (failed.status, failed.failure) == ("failed", "Tried 3 times without getting on.")
    assert (failed.users_awarded, failed.points_reserved) == (10, 0)
    assert Program.objects.get(pk=desk.program.pk).budget_reserved == 0
    assert Entry.objects.filter(verb="campaign.retried").count() == 3
    assert OutboxEvent.objects.filter(topic="campaign.failed").count() == 1
    assert facts("loyalty_campaign_executions_total") == {("completed",): 0.0, ("failed",): 1.0, ("cancelled",): 0.0}
    assert facts("loyalty_worker_executions_total")["campaign_executor", "failed"] == 1.0
    assert_books_agree(desk.program)


def test_one_that_gets_on_has_its_tries_again(desk: Desk, later: Callable[[str], None]) -> None:
    campaign = desk.launched()
    for _ in range(2):
        later("6 minutes")
        jobs.sweep_campaigns()
    assert fresh(campaign).attempts == 2
    awards.award_chunk(campaign_id=campaign.pk, actor=TESTER)
    later("6 minutes")
    jobs.sweep_campaigns()
    assert fresh(campaign).attempts == 1
    assert execute(campaign).status == "completed"


def test_scheduled_and_approved_for_two_hours(desk: Desk, later: Callable[[str], None]) -> None:
    campaign, waits = desk.agreed(), desk.draft(name="waits")
    desk.schedule(waits)
    later("1 hour 59 minutes")
    assert stuck_campaigns() == []
    later("2 minutes")
    assert stuck_campaigns() == [campaign.pk]  # nobody has agreed to the other: that is not stuck
    jobs.sweep_campaigns()
    assert (stuck_campaigns(), fresh(campaign).attempts) == ([], 1)
    for _ in range(3):
        later("6 minutes")
        jobs.sweep_campaigns()
    assert (fresh(campaign).status, fresh(waits).status) == ("failed", "scheduled")
    assert Request.objects.get(subject_id=str(campaign.pk)).status == "void"


def test_what_people_hold_back_is_not_stuck(desk: Desk, later: Callable[[str], None]) -> None:
    campaign = desk.launched()
    suspend(desk)
    later("3 hours")
    assert stuck_campaigns() == []
    jobs.sweep_campaigns()
    assert (fresh(campaign).status, fresh(campaign).attempts) == ("running", 0)


@pytest.mark.parametrize("status", ["failed", "cancelled", "completed"])
def test_ended_by_hand(desk: Desk, psql: psycopg.Connection[Any], status: str) -> None:
    """The runbook's own UPDATE, for one that cannot be fixed: its reservation is released all the same."""
    campaign = desk.launched()
    awards.award_chunk(campaign_id=campaign.pk, actor=TESTER)
    psql.execute(f"update loyalty_campaigns set status = '{status}', updated_at = now() where id = %s", [campaign.pk])
    assert left_over_campaigns() == [campaign.pk]
    assert Program.objects.get(pk=desk.program.pk).budget_reserved == 150
    for _ in range(2):
        jobs.sweep_campaigns()
    assert (left_over_campaigns(), fresh(campaign).points_reserved) == ([], 0)
    assert Program.objects.get(pk=desk.program.pk).budget_reserved == 0
    assert Entry.objects.filter(verb="campaign.released").count() == 1
    assert_books_agree(desk.program)


def test_scheduled_ones_ended_by_hand_ask_nobody_any_more(desk: Desk, psql: psycopg.Connection[Any]) -> None:
    campaign = desk.draft()
    asked = desk.schedule(campaign)
    psql.execute("update loyalty_campaigns set status = 'failed'")
    jobs.sweep_campaigns()
    asked.request.refresh_from_db()
    assert asked.request.status == "void"
    assert left_over_campaigns() == []


def test_a_fault_is_kept_and_counted(desk: Desk, psql: psycopg.Connection[Any], superuser: Any) -> None:
    campaign = desk.launched()
    superuser.execute("revoke insert on loyalty_campaign_chunks from ops_app")
    try:
        broken = execute(campaign)
    finally:
        superuser.execute("grant insert on loyalty_campaign_chunks to ops_app")
    assert broken.status == "running"
    assert "permission denied" in broken.failure
    assert executions()["campaign_executor", "failed"] == 1
    assert execute(campaign).status == "completed"


def test_an_undo_does_not_pass_over_what_it_cannot_find(desk: Desk, later: Callable[[str], None]) -> None:
    from loyalty.services import undoing

    campaign = execute(desk.agreed())
    later("1 hour")  # the chunks' own times are no longer those of the ledger
    undoing.request_undo(campaign_id=campaign.pk, reason="the wrong segment", actor=desk.marketing)
    jobs.undo_campaign(str(campaign.pk))
    assert (fresh(campaign).undone_at, fresh(campaign).points_reversed) == (None, 0)
    assert Chunk.objects.filter(undone_at=None).count() == 3
    assert executions()["campaign_executor", "failed"] == 1
    assert fresh(campaign).failure == "Chunk 1 has awarded 10 members, and the ledger has 0 of them at its time."
