"""Stopping in the middle: paused, suspended, cancelled, frozen; and whoever goes on goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from loyalty.campaigns import chunks, progress
from loyalty.models import Balance, Program, Skip
from loyalty.services import awards, campaigns, members
from loyalty.services.awards import Turn
from opsconsole.core.models import OutboxEvent
from tests.loyalty.campaigns.conftest import TESTER, Desk, assert_books_agree, execute, fresh
from tests.loyalty.campaigns.test_launch import resume, suspend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("by_tens")]


@pytest.fixture
def in_the_middle(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Do something while the second chunk is under way: everything is worked out, and the ledger not yet written."""

    def arrange(act: Callable[[], object]) -> None:
        award, done = chunks.award, []

        def interrupted(campaign: Any, span: Any, skipped: Any) -> int:
            if span.no == 2 and not done:
                done.append(True)
                act()
            return award(campaign, span, skipped)

        monkeypatch.setattr(chunks, "award", interrupted)

    return arrange


@pytest.fixture
def psql(connect_as: Callable[[str], psycopg.Connection[Any]]) -> psycopg.Connection[Any]:
    """Somebody with psql."""
    return connect_as("operator")


def test_paused_and_resumed(desk: Desk) -> None:
    campaign = desk.launched()
    assert awards.award_chunk(campaign_id=campaign.pk, actor=TESTER) is Turn.DONE
    paused = campaigns.pause_campaign(campaign_id=campaign.pk, reason="a complaint", actor=desk.finance)
    assert progress.progress_of(paused).held_back_by == "paused"
    stopped = execute(campaign)
    assert (stopped.status, stopped.users_awarded, stopped.points_reserved) == ("paused", 10, 150)
    campaigns.resume_campaign(campaign_id=campaign.pk, reason="settled", actor=desk.finance)
    done = execute(campaign)
    assert (done.status, done.users_awarded) == ("completed", 25)
    assert list(
        OutboxEvent.objects.filter(topic__regex="paused|resumed").order_by("id").values_list("topic", flat=True)
    ) == [
        "campaign.paused",
        "campaign.resumed",
    ]
    assert_books_agree(desk.program)


@pytest.mark.parametrize("how", ["pause", "suspend", "cancel", "fail"])
def test_stopped_while_a_chunk_is_under_way(
    desk: Desk, how: str, in_the_middle: Callable[[Callable[[], object]], None], psql: psycopg.Connection[Any]
) -> None:
    """Pasted SQL does not wait for the chunk: what it has not committed by then is never awarded."""
    campaign = desk.launched()
    in_the_middle(
        {
            "pause": lambda: psql.execute("update loyalty_campaigns set status = 'paused'"),
            "cancel": lambda: psql.execute("update loyalty_campaigns set status = 'cancelled'"),
            "fail": lambda: psql.execute("update loyalty_campaigns set status = 'failed'"),
            "suspend": lambda: psql.execute("update loyalty_programs set status = 'suspended'"),
        }[how]
    )
    stopped = execute(campaign)
    assert (stopped.users_awarded, stopped.chunks.count()) == (10, 1)
    assert_books_agree(desk.program)
    match how:
        case "pause":
            campaigns.resume_campaign(campaign_id=campaign.pk, reason="on we go", actor=desk.finance)
        case "suspend":
            assert (stopped.status, progress.progress_of(stopped).held_back_by) == ("running", "program_suspended")
            resume(desk)
        case _:
            assert execute(campaign).users_awarded == 10
            return
    assert execute(campaign).users_awarded == 25
    assert_books_agree(desk.program)


def test_a_reservation_that_somebody_drew_on_by_hand_says_so(desk: Desk, psql: psycopg.Connection[Any]) -> None:
    campaign = desk.launched()
    psql.execute(
        "insert into loyalty_transactions (balance_id, event_type, amount, campaign_id)"
        " select id, 'bonus', 10, %s from loyalty_balances limit 1",
        [campaign.pk],
    )
    broken = execute(campaign)
    assert (broken.status, broken.users_awarded) == ("running", 21)
    assert broken.failure == "More would be awarded than the campaign has reserved."


def test_suspended_between_chunks(desk: Desk) -> None:
    campaign = desk.launched()
    awards.award_chunk(campaign_id=campaign.pk, actor=TESTER)
    suspend(desk)
    assert execute(campaign).users_awarded == 10
    resume(desk)
    assert execute(campaign).status == "completed"
    assert_books_agree(desk.program)


def test_cancelling_frees_the_rest(desk: Desk) -> None:
    campaign = desk.launched()
    awards.award_chunk(campaign_id=campaign.pk, actor=TESTER)
    campaigns.cancel_campaign(campaign_id=campaign.pk, reason="a mistake", actor=desk.finance)
    cancelled = execute(campaign)
    assert (cancelled.status, cancelled.users_awarded, cancelled.points_reserved) == ("cancelled", 10, 0)
    assert Program.objects.get(pk=desk.program.pk).budget_reserved == 0
    assert_books_agree(desk.program)


def test_frozen_after_the_launch(desk: Desk, in_the_middle: Callable[[Callable[[], object]], None]) -> None:
    """Who is frozen before their chunk is skipped; in the very moment, the chunk is done again without them."""
    campaign = desk.launched()
    ordered = list(Balance.objects.filter(program=desk.program).order_by("pk"))
    early, just_now = ordered[3], ordered[13]
    members.freeze_members(balance_ids=[early.pk], reason="fraud alert", actor=desk.marketing)
    in_the_middle(lambda: psycopg_update("update loyalty_balances set is_frozen = true where id = %s", just_now.pk))
    done = execute(campaign)
    assert (done.status, done.users_awarded, done.total_points_awarded, done.points_reserved) == (
        "completed", 23, 230, 0,
    )  # fmt: skip
    assert set(Skip.objects.values_list("balance_id", "reason")) == {(early.pk, "frozen"), (just_now.pk, "frozen")}
    assert Program.objects.get(pk=desk.program.pk).budget_reserved == 0
    assert fresh(campaign).chunks.get(no=2).skipped == 1
    assert_books_agree(desk.program)


def psycopg_update(statement: str, *params: object) -> None:
    """As somebody with psql, committed at once."""
    from tests.conftest import dsn_as

    with psycopg.connect(dsn_as("operator", direct=True), autocommit=True) as connection:
        connection.execute(statement, params)
