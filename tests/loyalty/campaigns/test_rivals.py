"""Several at once: workers at one campaign, campaigns for one budget, people and members in between. Nothing twice."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import pytest
from django.db import connection

from loyalty.campaigns import chunks, moves
from loyalty.jobs import campaigns as jobs
from loyalty.models import Campaign, Program, Transaction
from loyalty.services import awards, campaigns, points, undoing
from loyalty.services.awards import Turn
from opsconsole.core.actors import Actor
from opsconsole.core.errors import DomainError
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from tests.loyalty.campaigns.conftest import TESTER, Desk, assert_books_agree, enrol, fresh

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 400


@pytest.fixture
def crowd(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Some more members, in chunks that take a moment."""
    enrol(program=desk.program, count=MANY - 25, prefix="n", actor=TESTER)
    monkeypatch.setattr(chunks, "CHUNK", 20)
    return desk


def at_once(*acts: Callable[[], object]) -> None:
    """Do these side by side; what one of them raises is raised here."""
    failed: list[BaseException] = []
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        try:
            gate.wait()
            act()
        except BaseException as error:  # noqa: BLE001 - raised again where the test sees it
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def to_the_end(campaign: Campaign, status: str = "completed") -> Campaign:
    """As the scheduler does: somebody is sent until it has ended."""
    for _ in range(50):
        jobs.execute_campaign(str(campaign.pk))
        if fresh(campaign).status == status:
            break
    return fresh(campaign)


def test_two_workers_from_launch_to_end(crowd: Desk) -> None:
    campaign = crowd.agreed()
    at_once(*[lambda: jobs.execute_campaign(str(campaign.pk)) for _ in range(3)])
    done = to_the_end(campaign)
    assert (done.status, done.users_awarded, done.total_points_awarded) == ("completed", MANY, 10 * MANY)
    assert Transaction.objects.count() == MANY
    numbers = list(done.chunks.order_by("no").values_list("no", flat=True))
    assert numbers == list(range(1, 21))
    for verb in ("campaign.launched", "campaign.completed"):
        assert Entry.objects.filter(verb=verb).count() == 1
    assert_books_agree(crowd.program)


@operation
def hold_and(*, campaign: Campaign, act: Callable[[], object], actor: Actor) -> None:
    """Do something while another worker, this one, is in the middle of something with the campaign."""
    assert moves.hold(campaign.pk)
    act()


def test_a_worker_that_comes_second_leaves(crowd: Desk) -> None:
    campaign, seen = crowd.launched(), []

    def second() -> None:
        seen.append(awards.award_chunk(campaign_id=campaign.pk, actor=TESTER))

    hold_and(campaign=campaign, act=lambda: at_once(second), actor=TESTER)
    assert seen == [Turn.BUSY]
    assert not Transaction.objects.exists()


def test_overlapping_campaigns_with_earning_and_redeeming_members(crowd: Desk) -> None:
    """Two campaigns for the same members, and the members at the till: balances, budget and totals stay exact."""
    one, two = crowd.agreed(), crowd.agreed(name="two", bonus_points=7)
    program = crowd.program.pk

    def till(first: int) -> None:
        for number in range(first, MANY, 7):
            user = f"m{number % 25 + 1}"
            points.earn_points(program_id=program, user_id=user, points=5, actor=crowd.marketing)
            points.redeem_points(program_id=program, user_id=user, points=3, actor=crowd.marketing)

    at_once(lambda: to_the_end(one), lambda: to_the_end(two), *[lambda first=first: till(first) for first in range(2)])
    assert (fresh(one).status, fresh(two).status) == ("completed", "completed")
    assert (fresh(one).total_points_awarded, fresh(two).total_points_awarded) == (10 * MANY, 7 * MANY)
    assert_books_agree(crowd.program)


def test_a_budget_for_one_and_a_half(crowd: Desk) -> None:
    """Both were approved; launched at the same moment, one is awarded whole and the other not at all."""
    pair = [crowd.draft(name=name, bonus_points=1_500) for name in ("one", "two")]  # 600,000 points each
    for campaign in pair:
        crowd.approve(crowd.schedule(campaign))
    at_once(*[lambda campaign=campaign: to_the_end(campaign) for campaign in pair])
    ends = sorted((fresh(campaign).status, fresh(campaign).users_awarded) for campaign in pair)
    assert ends == [("completed", MANY), ("failed", 0)]
    program = Program.objects.get(pk=crowd.program.pk)
    assert (program.budget_spent, program.budget_reserved) == (600_000, 0)
    assert_books_agree(crowd.program)


def test_people_stop_and_start_it_while_it_runs(crowd: Desk) -> None:
    campaign = crowd.launched()

    def meddle() -> None:
        for _ in range(6):
            for act in (campaigns.pause_campaign, campaigns.resume_campaign):
                with contextlib.suppress(DomainError):
                    act(campaign_id=campaign.pk, reason="now and then", actor=crowd.finance)

    at_once(lambda: to_the_end(campaign), meddle, lambda: to_the_end(campaign))
    if fresh(campaign).status == "paused":
        campaigns.resume_campaign(campaign_id=campaign.pk, reason="on we go", actor=crowd.finance)
    assert to_the_end(campaign).users_awarded == MANY
    assert_books_agree(crowd.program)


def test_an_undo_by_two_workers_while_members_spend(crowd: Desk) -> None:
    campaign = crowd.launched()
    to_the_end(campaign)
    undoing.request_undo(campaign_id=campaign.pk, reason="the wrong segment", actor=crowd.marketing)
    spent = []

    def spend() -> None:
        for number in range(1, 26):
            try:
                points.redeem_points(
                    program_id=crowd.program.pk, user_id=f"m{number}", points=10, actor=crowd.marketing
                )
                spent.append(number)
            except DomainError:
                pass  # their award was taken back before

    at_once(*[lambda: jobs.undo_campaign(str(campaign.pk)) for _ in range(2)], spend)
    jobs.undo_campaign(str(campaign.pk))
    found = undoing.report_of(fresh(campaign))
    assert found.finished
    assert (found.points_taken_back, found.points_spent) == (10 * (MANY - len(spent)), 10 * len(spent))
    assert_books_agree(crowd.program)
