"""Messages on their way: signed as the standard says, tried again, given up, and never a plague for the rest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from opsconsole.core.actors import Actor
from opsconsole.core.models import OutboxEvent
from opsconsole.journal.models import Entry
from opsconsole.notifications import jobs, sending
from opsconsole.notifications.gateways import http, signing
from opsconsole.notifications.gateways.outcome import Outcome
from opsconsole.notifications.models import Channel, Delivery, Lane
from opsconsole.notifications.services import deliveries
from opsconsole.notifications.services.deliveries import MAX_ATTEMPTS, PER_LANE, TRIP_AFTER
from tests.notifications.conftest import SECRET, TESTER, make_due, tell
from tests.notifications.receiver import Started
from tests.notifications.world import rekey

pytestmark = pytest.mark.django_db(transaction=True)

Make = Callable[..., Channel]


def state_of(delivery: Delivery) -> tuple[str, int]:
    delivery.refresh_from_db()
    return delivery.status, delivery.attempts


def test_a_webhook_verifies_by_the_standards_own_library(receiver: Started, channel: Make) -> None:
    channel()
    (delivery,) = tell(data={"reason": "the bank said no", "sums": {"EUR": "1250.50"}})
    sending.send_due()
    assert state_of(delivery) == ("delivered", 1)
    (got,) = receiver.got()
    said = Webhook(SECRET).verify(got["body"], got["headers"])
    assert said["type"] == "plan.failed"
    assert said["data"]["title"] == "Plan failed: Payouts of August"
    assert said["data"]["severity"] == "critical"
    assert said["data"]["facts"]["sums"] == {"EUR": "1250.50"}
    assert said["data"]["facts"]["actor"] == "system:test"
    assert said["data"]["url"].startswith("http://localhost:8000/admin/plans/plan/")
    assert got["headers"]["webhook-id"] == f"msg_{delivery.pk.hex}"
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.make_secret()).verify(got["body"], got["headers"])
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(got["body"].replace("no", "yes"), got["headers"])


def test_both_secrets_sign_while_one_replaces_the_other(
    receiver: Started, channel: Make, person: Callable[..., Actor]
) -> None:
    row, fresh = channel(), signing.make_secret()
    rekey(channel=row, secret=fresh, overlap=timedelta(hours=1), actor=person("admin"))
    tell()
    sending.send_due()
    (got,) = receiver.got()
    assert len(got["headers"]["webhook-signature"].split()) == 2
    for secret in (SECRET, fresh):
        assert Webhook(secret).verify(got["body"], got["headers"])
    with connection.cursor() as cursor:
        cursor.execute("update notifications_channels set old_secret_until = now() - interval '1 second'")
    receiver.forget()
    tell()
    sending.send_due()
    (got,) = receiver.got()
    assert Webhook(fresh).verify(got["body"], got["headers"])
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(got["body"], got["headers"])


def test_slack_gets_text_and_blocks_in_which_nothing_is_markup(receiver: Started, channel: Make) -> None:
    channel(kind="slack")
    tell(data={"name": "<!channel> & <http://evil|x>", "reason": "a < b"})
    sending.send_due()
    (got,) = receiver.got()
    body = json.loads(got["body"])
    assert "Plan failed: &lt;!channel&gt; &amp; &lt;http://evil|x&gt;" in body["text"]
    assert "<!channel>" not in got["body"]
    assert "a &lt; b" in body["blocks"][0]["text"]["text"]
    assert "webhook-signature" not in got["headers"]


def test_an_answer_of_trouble_is_followed_by_another_attempt(receiver: Started, channel: Make) -> None:
    channel("/flaky/2")
    (delivery,) = tell()
    pauses = []
    for attempt in range(1, 3):
        sending.send_due()
        assert state_of(delivery) == ("due", attempt)
        assert delivery.error == "the receiver answered 500"
        pauses.append((delivery.next_attempt_at - timezone.now()).total_seconds())
        sending.send_due()
        assert state_of(delivery)[1] == attempt, "its pause is not over"
        make_due()
    sending.send_due()
    assert state_of(delivery) == ("delivered", 3)
    assert 3 < pauses[0] < 6.1
    assert 7 < pauses[1] < 12.1
    ids = {got["headers"]["webhook-id"] for got in receiver.got()}
    assert len(receiver.got()) == 3
    assert len(ids) == 1, "a receiver tells repetitions by the id"
    assert len({got["body"] for got in receiver.got()}) == 1


def test_retry_after_is_honoured_for_all_that_goes_there(receiver: Started, channel: Make) -> None:
    row = channel("/later/120")
    first, *_ = tell()
    sending.send_due()
    assert state_of(first) == ("due", 1)
    assert 110 < (first.next_attempt_at - timezone.now()).total_seconds() <= 125
    tell()
    assert sending.send_due() == 0
    assert len(receiver.got()) == 1
    assert Lane.objects.get(pk=str(row.pk)).open_until > timezone.now() + timedelta(seconds=100)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [("7", 7, 7), ("999999", 3600, 3600), ("nonsense", None, None), ("-5", None, None), ("²", None, None)],
)
def test_retry_after_in_every_form(said: str, least: float | None, most: float | None) -> None:
    outcome = http.read_answer(503, {"Retry-After": said}, b"")
    assert outcome.unwell
    assert outcome.retry_after == least == most


def test_retry_after_as_a_date() -> None:
    at = datetime.now(UTC) + timedelta(seconds=60)
    outcome = http.read_answer(429, {"Retry-After": at.strftime("%a, %d %b %Y %H:%M:%S GMT")}, b"")
    assert outcome.retry_after is not None
    assert 55 < outcome.retry_after <= 60


def test_a_redirect_is_not_followed(receiver: Started, channel: Make) -> None:
    channel("/redirect")
    (delivery,) = tell()
    sending.send_due()
    assert state_of(delivery) == ("due", 1)
    assert "redirect" in delivery.error
    assert [got["path"] for got in receiver.got()] == ["/redirect"]


def test_a_line_that_drops_after_everything_was_sent_is_tried_again(receiver: Started, channel: Make) -> None:
    channel("/reset")
    (delivery,) = tell()
    sending.send_due()
    make_due()
    sending.send_due()
    assert state_of(delivery) == ("due", 2)
    assert len({got["headers"]["webhook-id"] for got in receiver.got()}) == 1
    assert len(receiver.got()) == 2


@pytest.mark.parametrize("path", ["/hang", "/drip"])
def test_who_takes_their_time_is_cut_off(
    receiver: Started, channel: Make, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BUDGET_SECONDS", 0.8)
    channel(path)
    (delivery,) = tell()
    begin = time.monotonic()
    sending.send_due()
    assert time.monotonic() - begin < 2.5
    assert state_of(delivery) == ("due", 1)
    assert delivery.error == "no answer within 0.8 s"


def test_little_is_read_of_a_long_answer(receiver: Started, channel: Make) -> None:
    channel("/big")
    (delivery,) = tell()
    sending.send_due()
    assert state_of(delivery) == ("delivered", 1)
    assert delivery.answer == "x" * 500


def test_gone_is_gone(receiver: Started, channel: Make) -> None:
    channel("/status/410")
    (delivery,) = tell()
    sending.send_due()
    assert state_of(delivery) == ("dead", 1)


def test_it_is_given_up_after_so_many_attempts_and_sent_again_by_hand(
    receiver: Started, channel: Make, person: Callable[..., Actor]
) -> None:
    channel("/status/404")
    (delivery,) = tell()
    for _ in range(MAX_ATTEMPTS):
        assert delivery.status == "due"
        make_due()
        sending.send_due()
        delivery.refresh_from_db()
    assert state_of(delivery) == ("dead", MAX_ATTEMPTS)
    assert delivery.error == "the receiver answered 404"
    assert delivery.ended_at is not None
    make_due()
    sending.send_due()
    assert len(receiver.got()) == MAX_ATTEMPTS
    assert OutboxEvent.objects.filter(topic="notification.dead", subject_id=str(delivery.pk)).count() == 1
    # That news does not go to the channel that is broken.
    jobs.sweep_deliveries()
    tell("plan.succeeded")
    assert not Delivery.objects.filter(notice__topic="notification.dead").exists()
    deliveries.retry_delivery(delivery_id=delivery.pk, actor=person("ops"))
    assert state_of(delivery) == ("due", 0)
    assert Entry.objects.get(verb="notification.retried").actor_name == "ops"
    sending.send_due()
    assert len(receiver.got("/status/404")) >= MAX_ATTEMPTS + 1


def test_it_is_given_up_at_its_deadline(receiver: Started, channel: Make) -> None:
    channel("/status/500")
    (delivery,) = tell()
    sending.send_due()
    with connection.cursor() as cursor:
        cursor.execute("update notifications_deliveries set deadline_at = now() - interval '1 second'")
    jobs.sweep_deliveries()
    assert state_of(delivery) == ("dead", 1)
    assert delivery.error == "not delivered within 24 hours; the receiver answered 500"


def test_an_endpoint_in_trouble_rests_and_then_is_tried_with_one(receiver: Started, channel: Make) -> None:
    row = channel("/status/500")
    for _ in range(TRIP_AFTER + 2):
        tell()
    while sending.send_due():
        pass
    lane = Lane.objects.get(pk=str(row.pk))
    assert lane.failures >= TRIP_AFTER
    assert lane.open_until is not None
    # Those that were on their way when it tripped, and no more.
    assert TRIP_AFTER <= len(receiver.got()) <= TRIP_AFTER + PER_LANE - 1
    make_due()
    taken = deliveries.claim_due(most=16, actor=TESTER)
    assert len(taken) == 1, "one tries whether it is back"
    deliveries.finish(delivery=taken[0], outcome=Outcome(status=200), actor=TESTER)
    assert len(deliveries.claim_due(most=16, actor=TESTER)) == PER_LANE


def test_one_that_hangs_starves_nobody(receiver: Started, channel: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BUDGET_SECONDS", 2.0)
    channel("/hang", role="ops")
    channel("/ok", role="ops")
    for _ in range(8):
        tell()
    begin = time.monotonic()
    sending.send_due()
    good = receiver.got("/ok")
    assert len(good) == 8
    # All of them before the first that hangs was given up.
    assert max(got["at"] for got in good) - min(got["at"] for got in receiver.got()) < 1.5
    assert time.monotonic() - begin < 6
    assert len(receiver.got("/hang")) <= 2 * PER_LANE


def test_a_worker_that_dies_with_a_message_in_hand_is_followed_by_another(receiver: Started, channel: Make) -> None:
    channel()
    (delivery,) = tell()
    (taken,) = deliveries.claim_due(most=16, actor=TESTER)
    assert sending.send_due() == 0, "somebody has it"
    make_due()
    sending.send_due()
    assert state_of(delivery) == ("delivered", 2)
    # The first one comes back late: what it knows does not count any more.
    assert not deliveries.finish(delivery=taken, outcome=Outcome(error="late"), actor=TESTER)
    assert state_of(delivery) == ("delivered", 2)


def test_who_kills_every_worker_is_given_up(receiver: Started, channel: Make) -> None:
    channel()
    (delivery,) = tell()
    for _ in range(MAX_ATTEMPTS):
        make_due()
        assert deliveries.claim_due(most=1, actor=TESTER)
    make_due()
    jobs.sweep_deliveries()
    assert state_of(delivery) == ("dead", MAX_ATTEMPTS)
    assert delivery.error == "lost with its worker"


def test_two_senders_send_each_once(receiver: Started, channel: Make) -> None:
    from tests.api.test_idempotency import at_once

    channel()
    for _ in range(6):
        tell()
    at_once(sending.send_due, sending.send_due)
    ids = [got["headers"]["webhook-id"] for got in receiver.got()]
    assert len(ids) == len(set(ids)) == 6


def test_what_goes_wrong_on_our_side_is_kept_with_the_row(
    receiver: Started, channel: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel()
    (delivery,) = tell()
    monkeypatch.setattr(http, "_exchange", lambda *_: 1 / 0)
    sending.send_due()
    assert state_of(delivery) == ("due", 1)
    assert delivery.error == "ZeroDivisionError: division by zero"
