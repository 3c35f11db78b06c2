"""Two workers at one campaign: each takes chunks of its own, and what one drops the next one picks up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from django.db import connection
from rest_framework.test import APIClient
from rq import Queue

from loyalty.campaigns import chunks, progress
from loyalty.campaigns.moves import EXECUTE, HELP, QUEUE
from loyalty.jobs import campaigns as jobs
from loyalty.models import Campaign
from loyalty.services import awards, campaigns, launches, trials
from loyalty.services.awards import Turn
from loyalty.services.launches import Launched
from opsconsole.core.queue import redis_connection
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from tests.loyalty.campaigns.conftest import TESTER, Desk, assert_books_agree, execute, fresh
from tests.loyalty.campaigns.test_rivals import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("by_tens")]

Arrange = Callable[[int, Callable[[], object]], None]


class Broken(Exception):
    """What breaks a worker off."""


@pytest.fixture
def in_chunk(monkeypatch: pytest.MonkeyPatch) -> Arrange:
    """Do something, once, while a chunk is in hand and its ledger is not yet written."""

    def arrange(no: int, act: Callable[[], object]) -> None:
        award, done = chunks.award, []

        def interrupted(campaign: Any, span: Any, skipped: Any) -> int:
            if span.no == no and not done:
                done.append(True)
                act()
            return award(campaign, span, skipped)

        monkeypatch.setattr(chunks, "award", interrupted)

    return arrange


@pytest.fixture
def queue() -> Iterator[Queue]:
    """What waits for workers of campaigns."""
    queue = Queue(QUEUE, connection=redis_connection())
    queue.empty()
    yield queue
    queue.empty()


def award(campaign: Campaign) -> Turn:
    return awards.award_chunk(campaign_id=campaign.pk, actor=TESTER)


def numbers(campaign: Campaign) -> list[int]:
    return list(campaign.chunks.order_by("no").values_list("no", flat=True))


def waiting(queue: Queue) -> list[str]:
    return [job.func_name for job in queue.jobs]


def test_each_takes_a_chunk_of_its_own(desk: Desk, in_chunk: Arrange) -> None:
    campaign, seen = desk.launched(), []

    def others() -> None:
        seen.extend([award(campaign), award(campaign)])
        seen.append(awards.finish_campaign(campaign_id=campaign.pk, actor=TESTER).status)

    in_chunk(2, lambda: at_once(others))
    assert [award(campaign), award(campaign)] == [Turn.DONE, Turn.DONE]
    assert seen == [Turn.DONE, Turn.BUSY, "running"]  # the third one, then nothing that is free, and no end to it yet
    assert award(campaign) is Turn.THROUGH
    assert [(c.no, c.first_ordinal, c.last_ordinal) for c in campaign.chunks.order_by("no")] == [
        (1, 1, 10), (2, 11, 20), (3, 21, 25),
    ]  # fmt: skip
    assert execute(campaign).users_awarded == 25
    assert_books_agree(desk.program)


def test_an_answer_tells_of_one_moment(
    desk: Desk, api: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = desk.launched()

    def behind(campaign: Campaign) -> progress.Progress:
        at_once(lambda: award(campaign))  # a chunk is awarded while the answer is put together
        return progress.progress_of(campaign)

    monkeypatch.setattr("loyalty.serializers.campaigns.progress_of", behind)
    marketing = api("ops_marketing")
    for awarded in (0, 10, 20):
        shown = marketing.get(f"/api/campaigns/{campaign.pk}").json()
        assert (shown["usersAwarded"], shown["progress"]["membersDone"]) == (awarded, awarded)
    assert fresh(campaign).users_awarded == 25


def test_what_one_drops_is_picked_up(desk: Desk, in_chunk: Arrange) -> None:
    campaign = desk.launched()

    def break_off() -> None:
        at_once(lambda: award(campaign))
        raise Broken

    award(campaign)
    in_chunk(2, break_off)
    with pytest.raises(Broken):
        award(campaign)
    assert numbers(campaign) == [1, 3]
    found = progress.progress_of(fresh(campaign))
    assert (found.chunks_done, found.chunks, found.members_done, found.members) == (2, 3, 15, 25)
    assert_books_agree(desk.program)
    done = execute(campaign)
    assert (done.status, done.users_awarded, done.points_reserved) == ("completed", 25, 0)
    told = Entry.objects.filter(verb="campaign.awarded").order_by("seq")
    assert [entry.content["after"]["chunk"] for entry in told] == [1, 3, 2]
    assert_books_agree(desk.program)


def test_who_would_try_it_out_meanwhile_stops_nobody(desk: Desk, in_chunk: Arrange) -> None:
    campaign, happened = desk.launched(), []

    def try_out() -> None:
        try:
            trials.award_test(campaign_id=campaign.pk, user_ids=["m1"], actor=desk.marketing)
        except WrongState:
            happened.append("refused")
        finally:
            connection.close()

    tester = threading.Thread(target=try_out)
    in_chunk(2, lambda: (tester.start(), tester.join(5), happened.append("awarded")))
    assert execute(campaign).status == "completed"
    tester.join()
    assert happened == ["refused", "awarded"]  # and did not wait for the chunk, nor a next one for it


def test_the_first_chunk_is_awarded_alone(desk: Desk, in_chunk: Arrange) -> None:
    campaign, seen = desk.launched(), []
    in_chunk(1, lambda: at_once(lambda: seen.append(award(campaign))))
    assert award(campaign) is Turn.DONE
    assert seen == [Turn.BUSY]
    assert numbers(campaign) == [1]


def test_no_third_one_joins_in(desk: Desk, in_chunk: Arrange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 5)
    campaign, seen = desk.launched(), []
    award(campaign)
    in_chunk(3, lambda: at_once(lambda: seen.append(award(campaign))))
    in_chunk(2, lambda: at_once(lambda: seen.append(award(campaign))))
    assert award(campaign) is Turn.DONE
    assert seen == [Turn.BUSY, Turn.DONE]
    assert numbers(campaign) == [1, 2, 3]
    assert execute(campaign).users_awarded == 25
    assert_books_agree(desk.program)


def test_a_release_with_chunks_of_another_size_goes_on_by_the_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = desk.launched()
    award(campaign)
    monkeypatch.setattr(chunks, "CHUNK", 4)
    done = execute(campaign)
    assert [(c.first_ordinal, c.last_ordinal) for c in done.chunks.order_by("no")] == [(1, 10), (11, 20), (21, 25)]
    assert done.users_awarded == 25


def test_whoever_is_woken_too_joins_in(desk: Desk, in_chunk: Arrange) -> None:
    """A campaign that runs is not launched again, and its worker is not waited for."""
    campaign, seen = desk.launched(), []
    award(campaign)

    def join_in() -> None:
        seen.append(launches.launch_campaign(campaign_id=campaign.pk, actor=TESTER))
        jobs.execute_campaign(str(campaign.pk))

    in_chunk(2, lambda: at_once(join_in))
    assert award(campaign) is Turn.DONE
    assert seen == [Launched.BEFORE]
    assert numbers(campaign) == [1, 2, 3]
    assert execute(campaign).status == "completed"


def test_one_more_worker_is_asked_for(desk: Desk, queue: Queue) -> None:
    campaign = desk.agreed()
    queue.empty()
    assert execute(campaign).status == "completed"
    assert waiting(queue) == [HELP]
    assert queue.jobs[0].args == (str(campaign.pk),)
    with structlog.testing.capture_logs() as said:
        jobs.help_campaign(str(campaign.pk))  # comes too late, and nobody is told that anything was stopped
    assert said == []
    assert fresh(campaign).users_awarded == 25
    assert waiting(queue) == [HELP]


def test_who_helps_gets_back_in_line(desk: Desk, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = desk.launched()
    award(campaign)
    queue.empty()
    monkeypatch.setattr(jobs, "HELPED_FOR", 0.0)
    jobs.help_campaign(str(campaign.pk))
    assert (numbers(campaign), waiting(queue)) == ([1, 2], [HELP])
    queue.empty()
    campaigns.pause_campaign(campaign_id=campaign.pk, reason="a complaint", actor=desk.finance)
    jobs.help_campaign(str(campaign.pk))
    assert (numbers(campaign), waiting(queue)) == ([1, 2], [])


def test_who_helps_may_be_the_last(desk: Desk, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = desk.launched()
    award(campaign)
    queue.empty()
    jobs.help_campaign(str(campaign.pk))
    done = fresh(campaign)
    assert (done.status, done.users_awarded, waiting(queue)) == ("completed", 25, [])
    assert Entry.objects.filter(verb="campaign.completed").count() == 1
    assert_books_agree(desk.program)


def test_a_worker_that_ends_hands_over(desk: Desk, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = desk.launched()
    monkeypatch.setattr(jobs, "leaving", lambda: True)
    queue.empty()
    jobs.execute_campaign(str(campaign.pk))
    assert sorted(waiting(queue)) == sorted([EXECUTE, HELP])
