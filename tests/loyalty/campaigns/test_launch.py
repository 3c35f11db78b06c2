"""A launch: only with the approval of exactly this campaign, whoever sets its columns by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from loyalty.errors import (
    BudgetExhausted,
    CampaignHalted,
    CampaignNotDue,
    CampaignOver,
    NobodyToAward,
    ProgramSuspended,
)
from loyalty.jobs import campaigns as jobs
from loyalty.models import Campaign, Program, Transaction
from loyalty.services import campaigns, launches, programs
from loyalty.workers import executions
from opsconsole.approvals import services as approvals
from opsconsole.approvals.errors import SeparationOfDuties
from opsconsole.approvals.gate import Asked
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.core.models import OutboxEvent
from opsconsole.core.operations import operation
from opsconsole.core.queue import depths
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from tests.loyalty.campaigns.conftest import TESTER, Desk, assert_books_agree, enrol, execute, fresh, query

pytestmark = pytest.mark.django_db(transaction=True)

Psql = Callable[[str], psycopg.Connection[Any]]


@pytest.fixture
def psql(connect_as: Psql) -> psycopg.Connection[Any]:
    """Somebody with psql."""
    return connect_as("operator")


def nothing_awarded(program: Program) -> bool:
    reserved = Program.objects.get(pk=program.pk).budget_reserved
    return not Transaction.objects.exists() and reserved == 0 and not query("select from loyalty_campaign_audience")


@operation
def expire(*, request: Request, actor: Actor) -> None:
    Request.objects.filter(pk=request.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_nothing_is_launched_without_approval(desk: Desk) -> None:
    campaign = desk.draft()
    assert execute(campaign).status == "draft"
    asked = desk.schedule(campaign)
    for _ in range(2):
        waiting = execute(campaign)
        assert (waiting.status, waiting.failure) == ("scheduled", "Still needed: 1 finance_ops.")
    assert nothing_awarded(desk.program)
    assert Entry.objects.filter(verb="campaign.refused").count() == 1  # told once, counted each time
    told = OutboxEvent.objects.get(topic="campaign.refused")
    assert told.data["reason"] == waiting.failure
    assert executions()["campaign_executor", "refused"] == 2
    desk.approve(asked)
    done = execute(campaign)
    assert (done.status, done.failure, done.users_awarded) == ("completed", "", 25)
    assert set(Transaction.objects.values_list("actor", flat=True)) == {jobs.EXECUTOR.name}
    asked.request.refresh_from_db()
    assert asked.request.status == "consumed"


def test_the_requester_does_not_agree_with_themselves(desk: Desk, person: Callable[..., Actor]) -> None:
    both = person("both", "ops_marketing", "finance_ops")
    campaign = desk.draft()
    asked = launches.schedule_campaign(campaign_id=campaign.pk, actor=both)
    with pytest.raises(SeparationOfDuties):
        approvals.decide_request(request_id=asked.request.pk, approved=True, comments="", signature="", actor=both)
    assert execute(campaign).status == "scheduled"


def test_a_large_one_takes_two_teams(desk: Desk, person: Callable[..., Actor]) -> None:
    campaign = desk.draft(bonus_points=4_001)  # 100,025 points
    asked = desk.schedule(campaign)
    assert asked.roles == ["ops_marketing", "finance_ops"]
    assert execute(campaign).failure == "Still needed: 1 finance_ops."  # marketing, who asks, has agreed by asking
    desk.approve(asked)
    assert execute(campaign).status == "completed"


@pytest.mark.parametrize("changed", ["bonus_points = 11", 'target_segment = \'{"==": [{"var": "user_id"}, "m1"]}\''])
def test_the_approval_is_bound_to_what_was_shown(desk: Desk, psql: psycopg.Connection[Any], changed: str) -> None:
    campaign = desk.agreed()
    psql.execute(f"update loyalty_campaigns set {changed}")
    refused = execute(campaign)
    assert (refused.status, refused.failure) == ("scheduled", "What was approved is not what is to be done now.")
    assert nothing_awarded(desk.program)
    again = launches.request_execution(campaign_id=campaign.pk, actor=desk.marketing)
    assert isinstance(again, Asked)  # the old request is void: it can never be used
    assert sorted(Request.objects.values_list("status", flat=True)) == ["pending", "void"]
    desk.approve(again)
    assert execute(campaign).status == "completed"
    assert_books_agree(desk.program)


def test_the_update_of_the_runbook(desk: Desk, psql: psycopg.Connection[Any]) -> None:
    """Pasted without approval it is refused until there is one; pasted after the approval it launches."""
    launch = "update loyalty_campaigns set status = 'scheduled', start_date = now() where id = %s"
    later = timezone.now() + timedelta(days=30)
    pasted, planned = desk.draft(start_date=later), desk.draft(name="planned", start_date=later)
    psql.execute(launch, [pasted.pk])
    refused = execute(pasted)
    assert refused.status == "scheduled"
    assert refused.failure.startswith("Nobody has asked for approval")
    assert nothing_awarded(desk.program)
    asked = launches.request_execution(campaign_id=pasted.pk, actor=desk.marketing)
    assert isinstance(asked, Asked)
    desk.approve(asked)
    assert isinstance(launches.request_execution(campaign_id=pasted.pk, actor=desk.marketing), Campaign)
    assert execute(pasted).status == "completed"

    asked = desk.schedule(planned)
    assert asked.request.expires_at > later  # it lives until the launch, and as long after it as the policy gives
    assert asked.request.content["start_date"] == later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    desk.approve(asked)
    assert execute(planned).status == "scheduled"  # not due
    with pytest.raises(CampaignNotDue):
        launches.request_execution(campaign_id=planned.pk, actor=desk.marketing)
    psql.execute(launch, [planned.pk])
    assert execute(planned).status == "completed"
    assert Entry.objects.filter(verb="direct_sql", subject_id=str(planned.pk)).exists()
    assert_books_agree(desk.program)


def test_running_by_hand_is_no_launch(desk: Desk, psql: psycopg.Connection[Any]) -> None:
    campaign = desk.agreed()
    psql.execute("update loyalty_campaigns set status = 'running'")
    failed = execute(campaign)
    assert failed.status == "failed"
    assert failed.failure.startswith("It was set to running by hand")
    assert nothing_awarded(desk.program)
    assert Request.objects.get().status == "void"


def test_an_approval_that_has_expired_is_asked_for_again(desk: Desk) -> None:
    campaign = desk.agreed()
    expire(request=Request.objects.get(), actor=TESTER)
    assert execute(campaign).failure == "The request has expired; ask again."
    desk.approve(desk.schedule(campaign))
    assert execute(campaign).status == "completed"


def test_a_dearer_audience_than_was_approved_is_refused(desk: Desk) -> None:
    campaign = desk.agreed()
    enrol(program=desk.program, count=2, prefix="n", actor=TESTER)  # 27 of 25: within ten per cent
    within = fresh(campaign)
    enrol(program=desk.program, count=1, prefix="o", actor=TESTER)
    refused = execute(campaign)
    assert (refused.status, within.estimated_points) == ("scheduled", 250)
    assert refused.failure == "The audience costs over 10 % more now than the 250 points that were approved."
    assert nothing_awarded(desk.program)
    assert Request.objects.get().status == "approved"  # the refusal has not used it up
    campaigns.edit_campaign(campaign_id=campaign.pk, changes={}, back_to_draft=True, actor=desk.marketing)
    desk.approve(desk.schedule(campaign))
    assert execute(campaign).users_awarded == 28


def test_what_cannot_be_scheduled(desk: Desk) -> None:
    nobody = desk.draft(target_segment={"==": [{"var": "user_id"}, "nobody"]})
    with pytest.raises(NobodyToAward):
        desk.schedule(nobody)
    dear = desk.draft(bonus_points=40_001)
    with pytest.raises(BudgetExhausted):
        desk.schedule(dear)
    start = timezone.now() - timedelta(days=2)
    with pytest.raises(CampaignOver):
        desk.schedule(desk.draft(start_date=start, end_date=start + timedelta(days=1)))
    with pytest.raises(WrongState):
        launches.request_execution(campaign_id=dear.pk, actor=desk.marketing)
    assert set(Campaign.objects.values_list("status", flat=True)) == {"draft"}
    assert not Request.objects.exists()


def test_two_campaigns_for_one_budget(desk: Desk, marketing: Actor) -> None:
    """The budget covers each and not both: the second fails before its first award."""
    first, second = desk.agreed(bonus_points=30_000), desk.draft(name="second", bonus_points=20_000)
    both = desk.schedule(second)
    desk.approve(both)
    launches.launch_campaign(campaign_id=first.pk, actor=TESTER)
    failed = execute(second)
    assert (failed.status, failed.failure) == ("failed", "Program budget exhausted")
    assert (failed.users_awarded, failed.audience_size) == (0, None)
    assert OutboxEvent.objects.get(topic="campaign.failed").data["reason"] == "Program budget exhausted"
    assert execute(first).status == "completed"
    assert Program.objects.get(pk=desk.program.pk).budget_spent == 750_000
    assert_books_agree(desk.program)


def test_a_suspended_program_launches_nothing(desk: Desk) -> None:
    campaign = desk.agreed()
    suspend(desk)
    assert execute(campaign).failure == "Program is suspended"
    with pytest.raises(ProgramSuspended):
        launches.request_execution(campaign_id=campaign.pk, actor=desk.marketing)
    resume(desk)
    assert execute(campaign).status == "completed"


def test_the_end_date_ends_it(desk: Desk, by_tens: None, psql: psycopg.Connection[Any]) -> None:
    late, running = desk.agreed(), desk.launched(name="running")
    psql.execute("update loyalty_campaigns set start_date = now() - interval '2 s', end_date = now() - interval '1 s'")
    for campaign, why in ((late, "The campaign's end was at"), (running, "The end date has passed")):
        failed = execute(campaign)
        assert (failed.status, failed.failure.startswith(why), failed.users_awarded) == ("failed", True, 0)
    assert Program.objects.get(pk=desk.program.pk).budget_reserved == 0


def test_a_paused_one_is_resumed_before_it_is_executed(desk: Desk) -> None:
    campaign = desk.launched()
    campaigns.pause_campaign(campaign_id=campaign.pk, reason="wait", actor=desk.finance)
    with pytest.raises(CampaignHalted):
        launches.request_execution(campaign_id=campaign.pk, actor=desk.marketing)
    with pytest.raises(WrongState):
        campaigns.pause_campaign(campaign_id=campaign.pk, reason="wait", actor=desk.finance)


def test_the_scheduler_wakes_what_is_due(desk: Desk) -> None:
    due, later, waits = desk.agreed(), desk.agreed(start_date=timezone.now() + timedelta(hours=1)), desk.draft()
    asked = desk.schedule(waits)
    execute(waits)  # refused once: it is tried again when it is approved
    before = depths()["campaigns"]
    for _ in range(2):  # handed out once in a while
        jobs.wake_due_campaigns()
    assert depths()["campaigns"] == before + 1
    assert (fresh(due).woken_at is not None, fresh(later).woken_at, fresh(waits).woken_at) == (True, None, None)
    desk.approve(asked)
    jobs.wake_due_campaigns()
    assert depths()["campaigns"] == before + 2


def suspend(desk: Desk) -> None:
    _turn(desk, programs.suspend_program)


def resume(desk: Desk) -> None:
    _turn(desk, programs.resume_program)


def _turn(desk: Desk, service: Any) -> None:
    asked = service(program_id=desk.program.pk, reason="fraud alert", actor=desk.marketing)
    desk.approve(asked)
    service(program_id=desk.program.pk, reason="fraud alert", approval_id=asked.request.pk, actor=desk.marketing)
