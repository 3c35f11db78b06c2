"""Bursts: one message for many events of a kind, in which each of them is told, tried again and given up as ever."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.jobs import sweep_outbox
from opsconsole.core.models import OutboxEvent
from opsconsole.notifications import digests, jobs, sending
from opsconsole.notifications.models import Channel, Delivery, Total
from opsconsole.notifications.services import deliveries
from opsconsole.notifications.services.channels import remove_channel
from opsconsole.notifications.services.subscriptions import subscribe_me
from opsconsole.notifications.states import NotificationState
from tests.notifications.conftest import TESTER, happen, make_due
from tests.notifications.receiver import Started
from tests.notifications.world import give_addresses

pytestmark = pytest.mark.django_db(transaction=True)

Make = Callable[..., Channel]
RETURNED = {"patterns": ["payout.*"]}
MANY = 14


def burst(count: int = MANY, topic: str = "payout.returned", **data: Any) -> None:
    """So many payouts come back."""
    for number in range(count):
        happen(topic=topic, kind="payout", actor=TESTER, data={"external_id": f"PAY-{number:05}", **data})
    sweep_outbox()


def states() -> Counter[tuple[str, int, bool]]:
    """Status, attempts, and whether it goes in the message of another: how many of each."""
    rows = Delivery.objects.values_list("status", "attempts", "told_with")
    return Counter((status, attempts, told_with is not None) for status, attempts, told_with in rows)


def test_a_burst_is_one_message_with_one_link(receiver: Started, channel: Make) -> None:
    channel("/ok", kind="slack", **RETURNED)
    burst()
    assert sending.send_due() == 1
    (got,) = receiver.got()
    body = json.loads(got["body"])
    title, _blank, link = body["text"].rpartition(" ")
    assert title == "⚠️ Payout came back: PAY-00000, and 13 more like it"
    assert link == "http://localhost:8000/admin/treasury/payout/"
    said = body["blocks"][0]["text"]["text"]
    assert [f"PAY-{number:05}" in said for number in range(MANY)] == [True] * 10 + [False] * 4
    assert "and 4 more" in said
    assert states() == {("delivered", 1, False): 1, ("delivered", 1, True): MANY - 1}
    assert Total.objects.get(kind="slack", status="delivered").count == MANY
    assert sending.send_due() == 0


def test_letters_are_gathered_too_for_channels_and_for_people(
    postbox: Started, channel: Make, person: Callable[..., Actor]
) -> None:
    anna = person("anna", "ops")
    give_addresses(actor=TESTER)
    anna.user.refresh_from_db()
    channel(kind="email", target="ops@example.com", **RETURNED)
    subscribe_me(patterns=["payout.*"], minimum="info", actor=anna)
    burst()
    sending.send_due()
    letters = postbox.got()
    assert len(letters) == 2
    assert all("and 13 more like it" in str(letter) for letter in letters)
    assert states() == {("delivered", 1, False): 2, ("delivered", 1, True): 2 * MANY - 2}


def test_a_repetition_says_the_same_and_what_came_since_is_the_next_message(receiver: Started, channel: Make) -> None:
    channel("/flaky/1", kind="slack", **RETURNED)
    burst()
    sending.send_due()
    assert states() == {("due", 1, False): 1, ("due", 1, True): MANY - 1}
    burst(7)
    make_due()
    while sending.send_due():
        pass
    first, *since = (got["body"] for got in receiver.got())
    assert first in since, "the repetition"
    since.remove(first)  # the two go out side by side
    assert ["and 6 more like it" in body for body in since] == [True]
    assert states() == {
        ("delivered", 2, False): 1, ("delivered", 2, True): MANY - 1,
        ("delivered", 1, False): 1, ("delivered", 1, True): 6,
    }  # fmt: skip


def test_a_worker_that_dies_with_a_digest_in_hand_is_followed_by_another(receiver: Started, channel: Make) -> None:
    channel("/ok", kind="slack", **RETURNED)
    burst()
    (taken,) = deliveries.claim_due(most=16, actor=TESTER)
    assert states() == {("sending", 1, False): 1, ("sending", 1, True): MANY - 1}
    assert sending.send_due() == 0, "somebody has it"
    make_due()
    sending.send_due()
    assert states() == {("delivered", 2, False): 1, ("delivered", 2, True): MANY - 1}
    deliveries.drop(delivery=taken, reason="late", actor=TESTER)
    assert states()["delivered", 2, True] == MANY - 1, "the first one comes back late"


def test_given_up_together_and_sent_again(receiver: Started, channel: Make, person: Callable[..., Actor]) -> None:
    row = channel("/status/410", kind="slack", **RETURNED)
    burst()
    sending.send_due()
    assert states() == {("dead", 1, False): 1, ("dead", 1, True): MANY - 1}
    (news,) = OutboxEvent.objects.filter(topic="notification.dead")
    assert news.data["count"] == str(MANY)
    one = Delivery.objects.exclude(told_with=None).first()
    assert one is not None
    deliveries.retry_delivery(delivery_id=one.pk, actor=person("ops"))
    sending.send_due()
    assert len(receiver.got()) == 2
    assert "more like it" not in receiver.got()[1]["body"]
    deliveries.retry_dead(channel_id=row.pk, actor=person("ops"))
    assert states() == {("due", 0, False): MANY}
    sending.send_due()
    assert "and 13 more like it" in receiver.got()[2]["body"]


def test_what_is_past_its_deadline_is_given_up_as_one(receiver: Started, channel: Make) -> None:
    row = channel("/status/500", kind="slack", **RETURNED)
    burst()
    sending.send_due()
    with connection.cursor() as cursor:
        cursor.execute("update notifications_deliveries set deadline_at = now() - interval '1 second'")
    jobs.sweep_deliveries()
    assert states() == {("dead", 1, False): 1, ("dead", 1, True): MANY - 1}
    assert OutboxEvent.objects.filter(topic="notification.dead", data__channel=str(row.pk)).count() == 1
    with connection.cursor() as cursor:
        cursor.execute(
            "update notifications_deliveries set ended_at = now() - interval '100 days' where told_with_id is null"
        )
    jobs.tidy()
    assert Delivery.objects.count() == MANY, "a leader stays as long as its companions"
    with connection.cursor() as cursor:
        cursor.execute("update notifications_deliveries set ended_at = now() - interval '100 days'")
    jobs.tidy()
    assert not Delivery.objects.exists()


def test_a_channel_that_is_off_or_removed_drops_all_of_it(
    receiver: Started, channel: Make, person: Callable[..., Actor]
) -> None:
    row = channel("/status/500", kind="slack", **RETURNED)
    burst()
    sending.send_due()
    remove_channel(channel_id=row.pk, reason="gone", actor=person("admin"))
    assert set(Delivery.objects.values_list("status", flat=True)) == {NotificationState.DROPPED}


@pytest.mark.parametrize(
    ("kind", "topic", "count"),
    [
        ("webhook", "payout.returned", MANY),
        ("slack", "payout.returned", digests.FEWEST - 1),
        ("slack", "approval.requested", digests.FEWEST),
    ],
    ids=["signed webhooks", "a few", "what asks for a decision"],
)
def test_what_is_told_one_by_one(receiver: Started, channel: Make, kind: str, topic: str, count: int) -> None:
    channel("/ok", kind=kind, patterns=["payout.*", "approval.*"])
    burst(count, topic)
    while sending.send_due():
        pass
    assert len(receiver.got()) == count
    assert states() == {("delivered", 1, False): count}


def test_events_of_two_kinds_are_two_messages(receiver: Started, channel: Make) -> None:
    channel("/ok", kind="slack", **RETURNED)
    burst(6)
    burst(6, "payout.failed", severity="critical")
    while sending.send_due():
        pass
    texts = sorted(json.loads(got["body"])["text"].partition(",")[0] for got in receiver.got())
    assert texts == ["⚠️ Payout came back: PAY-00000", "🚨 Payout failed: PAY-00000"]


def test_two_senders_tell_each_once(receiver: Started, channel: Make) -> None:
    from tests.api.test_idempotency import at_once

    channel("/ok", kind="slack", **RETURNED)
    burst(20)
    at_once(sending.send_due, sending.send_due)
    assert sum(states().values()) == 20
    assert {status for status, _attempts, _bound in states()} == {"delivered"}
    assert len(receiver.got()) == Delivery.objects.filter(told_with=None).count() <= 2
