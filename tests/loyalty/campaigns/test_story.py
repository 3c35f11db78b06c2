"""A campaign from its draft to its end: what was previewed and agreed to is what is awarded, once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from loyalty.campaigns import checklist, progress
from loyalty.errors import CampaignInvalid, NothingToDo, SegmentInvalid
from loyalty.jobs import campaigns as jobs
from loyalty.models import Balance, Campaign, Program, Skip, Transaction
from loyalty.services import campaigns, launches, members, points, undoing
from loyalty.services.undoing import report_of
from loyalty.workers import executions
from opsconsole.core.actors import Actor
from opsconsole.core.models import OutboxEvent
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from tests.loyalty.campaigns.conftest import Desk, assert_books_agree, execute, fresh, query

pytestmark = pytest.mark.django_db(transaction=True)


def held(campaign: Campaign, key: str) -> dict[str, bool | None]:
    """One of the checklists: each point, and whether it holds."""
    (found,) = [one for one in checklist.checklists(campaign) if one.key == key]
    return {item.key: item.holds for item in found.items}


def test_what_is_previewed_is_what_is_awarded(
    desk: Desk, by_tens: None, member: Callable[..., Balance], auditor: Actor
) -> None:
    rich, frozen, poor = member("rich", 900), member("frozen", 900), member("poor", 100)
    members.freeze_members(balance_ids=[frozen.pk], reason="fraud alert", actor=desk.marketing)
    campaign = desk.draft(target_segment={">=": [{"var": "points_balance"}, 500]}, bonus_points=70)
    assert campaigns.preview_campaign(campaign_id=campaign.pk, actor=desk.marketing).estimated_points == 70
    campaign = fresh(campaign)
    assert campaign.preview is not None
    assert (campaign.preview["in_segment"], campaign.preview["members"]) == (2, 1)
    assert campaign.preview["excluded"] == {"frozen": 1, "no_points": 0, "tested": 0}
    assert campaign.preview["budget"]["left_after"] == "998030.00"
    assert campaign.preview["segment"] == "points balance at least 500"

    asked = desk.schedule(campaign)
    assert asked.request.content["estimated_points"] == 70
    assert asked.roles == ["finance_ops"]
    desk.approve(asked)
    done = execute(campaign)
    assert (done.status, done.users_awarded, done.total_points_awarded, done.points_reserved) == ("completed", 1, 70, 0)
    assert (done.executed_at is not None, done.failure) == (True, "")
    balances = dict(Balance.objects.exclude(points_balance=0).values_list("user_id", "points_balance"))
    assert balances == {"rich": 970, "frozen": 900, "poor": 100}
    assert list(Skip.objects.values_list("balance_id", "reason")) == [(frozen.pk, "frozen")]
    assert poor.pk != rich.pk
    assert set(held(done, "after").values()) == {True}
    assert_books_agree(desk.program)


def test_everybody_in_chunks(desk: Desk, by_tens: None) -> None:
    campaign = desk.launched()
    assert query("select count(*), min(ordinal), max(ordinal) from loyalty_campaign_audience") == [(25, 1, 25)]
    assert Program.objects.get(pk=desk.program.pk).budget_reserved == 250
    done = execute(campaign)
    assert [(c.no, c.first_ordinal, c.last_ordinal, c.awarded) for c in done.chunks.order_by("no")] == [
        (1, 1, 10, 10),
        (2, 11, 20, 10),
        (3, 21, 25, 5),
    ]
    assert [
        entry.content["after"]["awarded"] for entry in Entry.objects.filter(verb="campaign.awarded").order_by("seq")
    ] == [10, 10, 5]
    again = execute(campaign)
    assert (again.users_awarded, again.executed_at) == (25, done.executed_at)
    assert Transaction.objects.count() == 25
    assert progress.progress_of(done).chunks_done == progress.progress_of(done).chunks == 3
    assert executions()["campaign_executor", "succeeded"] == 1
    topics = list(
        OutboxEvent.objects.filter(topic__startswith="campaign.").order_by("id").values_list("topic", flat=True)
    )
    assert topics == ["campaign.scheduled", "campaign.launched", "campaign.completed"]
    sampled = checklist.sample(done)
    assert len({one.user_id for one in sampled}) == 5
    assert {(one.awarded, one.points_balance) for one in sampled} == {(10, 10)}
    assert None not in {one.transaction_id for one in sampled}
    assert_books_agree(desk.program)


def test_a_multiplier_pays_for_what_was_earned_in_its_window(desk: Desk, member: Callable[..., Balance]) -> None:
    alice, bob = member("alice", 101), member("bob", 60)
    returned = Transaction.objects.get(balance=bob)
    points.reverse_transaction(transaction_id=returned.pk, points=20, reason="goods came back", actor=desk.marketing)
    points.redeem_points(program_id=desk.program.pk, user_id="alice", points=50, actor=desk.marketing)
    now = timezone.now()
    window = {"window_start": now - timedelta(hours=1), "window_end": now, "start_date": now}
    campaign = desk.agreed(campaign_type="multiplier", bonus_points=50, **window)
    assert campaign.preview is not None
    assert campaign.preview["excluded"] == {"frozen": 0, "no_points": 25, "tested": 0}
    member("alice", 1_000)  # after the window: not counted
    done = execute(campaign)
    assert (done.status, done.total_points_awarded) == ("completed", 50 + 20)
    bonus = dict(Transaction.objects.filter(event_type="bonus").values_list("balance_id", "amount"))
    assert bonus == {alice.pk: 50, bob.pk: 20}  # half of 101, cut; half of what bob kept
    assert Skip.objects.filter(reason="no_points").count() == 25
    with pytest.raises(CampaignInvalid):
        desk.draft(campaign_type="multiplier", bonus_points=50)
    with pytest.raises(CampaignInvalid):
        desk.draft(campaign_type="multiplier", **(window | {"window_end": now + timedelta(days=1)}))
    assert_books_agree(desk.program)


def test_only_a_draft_is_edited(desk: Desk) -> None:
    campaign = desk.draft()
    campaigns.preview_campaign(campaign_id=campaign.pk, actor=desk.marketing)
    edited = campaigns.edit_campaign(campaign_id=campaign.pk, changes={"bonus_points": 20}, actor=desk.marketing)
    assert (edited.bonus_points, edited.preview, edited.estimated_points) == (20, None, None)
    for wrong in (
        {"bonus_points": 0},
        {"name": "  "},
        {"end_date": edited.start_date},
        {"window_start": edited.start_date},
        {"status": "running"},
    ):
        with pytest.raises(CampaignInvalid):
            campaigns.edit_campaign(campaign_id=campaign.pk, changes=wrong, actor=desk.marketing)
    with pytest.raises(SegmentInvalid):
        campaigns.edit_campaign(campaign_id=campaign.pk, changes={"target_segment": {"xor": []}}, actor=desk.marketing)
    asked = desk.schedule(campaign)
    with pytest.raises(WrongState):
        campaigns.edit_campaign(campaign_id=campaign.pk, changes={"bonus_points": 30}, actor=desk.marketing)
    assert fresh(campaign).bonus_points == 20
    back = campaigns.edit_campaign(
        campaign_id=campaign.pk, changes={"bonus_points": 30}, back_to_draft=True, actor=desk.marketing
    )
    asked.request.refresh_from_db()
    assert (back.status, back.bonus_points, asked.request.status) == ("draft", 30, "void")
    assert Entry.objects.filter(verb="campaign.edited").count() == 2


def test_an_undo_takes_back_what_is_still_there(desk: Desk, by_tens: None) -> None:
    campaign = execute(desk.agreed())
    spender, locker = Balance.objects.filter(user_id__in=["m3", "m17"]).order_by("user_id")
    points.redeem_points(program_id=desk.program.pk, user_id="m17", points=4, actor=desk.marketing)
    members.lock_points(balance_id=locker.pk, points=10, reason="looked into", actor=desk.marketing)
    returned = Transaction.objects.get(event_type="bonus", balance__user_id="m5")
    points.reverse_transaction(transaction_id=returned.pk, points=10, reason="a mistake", actor=desk.marketing)
    with pytest.raises(WrongState):
        undoing.request_undo(campaign_id=desk.draft(name="other").pk, reason="x", actor=desk.marketing)
    undoing.request_undo(campaign_id=campaign.pk, reason="the wrong segment", actor=desk.marketing)
    with pytest.raises(NothingToDo):
        undoing.request_undo(campaign_id=campaign.pk, reason="again", actor=desk.marketing)
    for _ in range(2):
        jobs.undo_campaign(str(campaign.pk))
    campaign = fresh(campaign)
    found = report_of(campaign)
    assert (found.points_given, found.points_taken_back, found.points_spent) == (250, 226, 14)
    assert (found.members_awarded, found.members_affected, found.members_short) == (25, 23, 2)
    assert campaign.undone_at is not None
    assert campaign.points_reversed == 236  # one had been taken back by hand
    left = dict(Balance.objects.exclude(points_balance=0).values_list("user_id", "points_balance"))
    assert left == {locker.user_id: 10}
    assert spender.user_id != locker.user_id
    told = OutboxEvent.objects.get(topic="campaign.undone")
    assert (told.data["points_taken_back"], told.data["points_spent"]) == (226, 14)
    assert Program.objects.get(pk=desk.program.pk).budget_spent == 14
    assert_books_agree(desk.program)


def test_denied_actors_change_nothing(desk: Desk, auditor: Actor, person: Any) -> None:
    from loyalty.errors import CampaignNotFound, ProgramNotFound
    from loyalty.services import trials
    from opsconsole.core.errors import Denied

    campaign, ended = desk.agreed(), execute(desk.agreed(name="ended"))
    entries, events = Entry.objects.count(), OutboxEvent.objects.count()
    before = query("select to_jsonb(c) from loyalty_campaigns c order by id")
    attempts: list[Callable[[Actor], object]] = [
        lambda actor: campaigns.create_campaign(
            program_id=desk.program.pk, name="x", bonus_points=1, start_date=timezone.now(), actor=actor
        ),
        lambda actor: campaigns.edit_campaign(
            campaign_id=campaign.pk, changes={"name": "y"}, back_to_draft=True, actor=actor
        ),
        lambda actor: campaigns.preview_campaign(campaign_id=campaign.pk, actor=actor),
        lambda actor: trials.award_test(campaign_id=campaign.pk, user_ids=["m1"], actor=actor),
        lambda actor: launches.schedule_campaign(campaign_id=campaign.pk, actor=actor),
        lambda actor: launches.request_execution(campaign_id=campaign.pk, actor=actor),
        lambda actor: campaigns.pause_campaign(campaign_id=campaign.pk, reason="x", actor=actor),
        lambda actor: campaigns.resume_campaign(campaign_id=campaign.pk, reason="x", actor=actor),
        lambda actor: campaigns.cancel_campaign(campaign_id=campaign.pk, reason="x", actor=actor),
        lambda actor: undoing.request_undo(campaign_id=ended.pk, reason="x", actor=actor),
    ]
    stranger = person("trader")
    for attempt in attempts:
        with pytest.raises(Denied):
            attempt(auditor)
        with pytest.raises((CampaignNotFound, ProgramNotFound)):
            attempt(stranger)
    assert (Entry.objects.count(), OutboxEvent.objects.count()) == (entries, events)
    assert query("select to_jsonb(c) from loyalty_campaigns c order by id") == before
    assert Transaction.objects.count() == 25
