"""Test runs: real awards for one or two members of the segment, whom the launch passes over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from loyalty.campaigns import checklist
from loyalty.errors import BudgetExhausted, CampaignInvalid, CampaignOver, MemberNotFound, NotTestable
from loyalty.jobs import campaigns as jobs
from loyalty.models import Balance, Chunk, Program, Skip, Transaction
from loyalty.services import campaigns, members, trials, undoing
from loyalty.services.undoing import report_of
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from tests.loyalty.campaigns.conftest import Desk, assert_books_agree, execute, fresh

pytestmark = pytest.mark.django_db(transaction=True)


def try_on(desk: Desk, campaign: object, *user_ids: str) -> list[trials.Tested]:
    return trials.award_test(campaign_id=campaign.pk, user_ids=user_ids, actor=desk.marketing)  # type: ignore[attr-defined]


def test_tested_members_are_passed_over_at_the_launch(desk: Desk, by_tens: None) -> None:
    campaign = desk.draft()
    campaigns.preview_campaign(campaign_id=campaign.pk, actor=desk.marketing)
    assert [(one.user_id, one.points) for one in try_on(desk, campaign, "m2")] == [("m2", 10)]
    assert [one.user_id for one in try_on(desk, campaign, "m9")] == ["m9"]
    assert Program.objects.get(pk=desk.program.pk).budget_spent == 20
    with pytest.raises(CampaignInvalid, match="2 were awarded"):
        try_on(desk, campaign, "m3")
    assert Entry.objects.filter(verb="campaign.tested").count() == 2
    previewed = campaigns.preview_campaign(campaign_id=campaign.pk, actor=desk.marketing)
    assert previewed.preview is not None
    assert (previewed.preview["members"], previewed.preview["excluded"]["tested"]) == (23, 2)
    assert (previewed.estimated_users, previewed.estimated_points) == (25, 250)  # as before: the tests are part of it
    desk.approve(desk.schedule(campaign))
    done = execute(campaign)
    assert (done.status, done.users_awarded, done.total_points_awarded, done.audience_size) == (
        "completed", 25, 250, 23,
    )  # fmt: skip
    assert sorted(Skip.objects.values_list("balance__user_id", "reason")) == [("m2", "tested"), ("m9", "tested")]
    assert [(c.no, c.first_ordinal, c.last_ordinal) for c in Chunk.objects.order_by("no")][:2] == [
        (-1, -1, -1),
        (0, 0, 0),
    ]
    (before,) = [one for one in checklist.checklists(done) if one.key == "before"]
    assert {item.key: item.holds for item in before.items}["test"] is True
    assert_books_agree(desk.program)
    undoing.request_undo(campaign_id=done.pk, reason="all of it", actor=desk.marketing)
    jobs.undo_campaign(str(done.pk))
    assert report_of(fresh(done)).points_taken_back == 250  # what was given in tests too
    assert_books_agree(desk.program)


def test_nobody_is_awarded_after_the_end(desk: Desk) -> None:
    over = desk.draft(start_date=timezone.now() - timedelta(days=2), end_date=timezone.now() - timedelta(days=1))
    with pytest.raises(CampaignOver):
        try_on(desk, over, "m1")
    assert not Transaction.objects.exists()


def test_who_cannot_be_awarded_in_a_test(desk: Desk, member: Callable[..., Balance]) -> None:
    campaign = desk.draft(target_segment={"<": [{"var": "points_balance"}, 100]})
    member("rich", 500)
    frozen = Balance.objects.get(user_id="m4")
    members.freeze_members(balance_ids=[frozen.pk], reason="fraud alert", actor=desk.marketing)
    for user_ids, error in (
        (("rich",), NotTestable),
        (("m4",), NotTestable),
        (("nobody",), MemberNotFound),
        (("m1", "m2", "m3"), CampaignInvalid),
        ((), CampaignInvalid),
    ):
        with pytest.raises(error):
            try_on(desk, campaign, *user_ids)
    try_on(desk, campaign, "m1")
    with pytest.raises(NotTestable, match="was awarded in the test run"):
        try_on(desk, campaign, "m1")
    campaigns.cancel_campaign(campaign_id=campaign.pk, reason="enough", actor=desk.marketing)
    with pytest.raises(WrongState):
        try_on(desk, campaign, "m2")
    assert Transaction.objects.filter(event_type="bonus").count() == 1


def test_nobody_gives_much_away_by_testing(desk: Desk) -> None:
    """Without approval a member gets as much in a day as one person adjusts alone, over all campaigns."""
    large = desk.draft(name="large", bonus_points=10_001)
    with pytest.raises(NotTestable):
        try_on(desk, large, "m1")
    try_on(desk, desk.draft(name="one", bonus_points=6_000), "m1")
    with pytest.raises(NotTestable):
        try_on(desk, desk.draft(name="two", bonus_points=6_000), "m1", "m2")
    assert Transaction.objects.count() == 1
    desk.approve(desk.schedule(large))
    try_on(desk, large, "m1")
    assert Balance.objects.get(user_id="m1").points_balance == 16_001
    asked = desk.schedule(left := desk.draft(name="left", bonus_points=10_002))
    desk.approve(asked)
    assert desk.finance.user is not None
    desk.finance.user.groups.clear()  # nobody has agreed any more, though the request is not counted again yet
    with pytest.raises(NotTestable):
        try_on(desk, left, "m3")
    dear = desk.draft(name="dear", bonus_points=9_000)
    Program.objects.filter(pk=desk.program.pk).update(budget_limit=20_000)
    with pytest.raises(BudgetExhausted):
        try_on(desk, dear, "m7")
    assert not Chunk.objects.filter(campaign=dear).exists()
    assert_books_agree(desk.program)
