"""Events: written with what they tell of, delivered afterwards, tried again, and given up at last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from opsconsole.core import jobs, outbox
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import OutboxDelivery, OutboxEvent
from opsconsole.core.operations import operation
from opsconsole.core.outbox import MAX_ATTEMPTS, emit, subscribe
from tests.api.test_idempotency import at_once
from tests.core import listeners

pytestmark = pytest.mark.django_db(transaction=True)
TESTER = SYSTEM("test")
HEAR, CHOKE = "tests.core.listeners.hear", "tests.core.listeners.choke"


@operation
def happen(*, actor: Actor, topic: str = "test.happened", then_fail: bool = False) -> None:
    """Something happens."""
    emit(topic, kind="test", id=7, data={"x": 1})
    if then_fail:
        raise ZeroDivisionError


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only the listeners of this module listen."""
    monkeypatch.setattr(outbox, "_listeners", {})
    listeners.heard.clear()
    return


def make_due() -> None:
    """Let the pauses pass."""
    with connection.cursor() as cursor:
        cursor.execute("update core_outbox_deliveries set next_attempt_at = now() - interval '1 second'")


def test_an_event_is_written_with_what_it_tells_of() -> None:
    subscribe(HEAR, "test.*")
    happen(actor=TESTER)
    event = OutboxEvent.objects.get()
    assert (event.topic, event.subject_kind, event.subject_id) == ("test.happened", "test", "7")
    assert event.data == {"x": 1, "actor": "system:test"}
    with pytest.raises(ZeroDivisionError):
        happen(actor=TESTER, then_fail=True)
    assert OutboxEvent.objects.count() == OutboxDelivery.objects.count() == 1
    with pytest.raises(RuntimeError):
        emit("test.happened", kind="test", id=8)


def test_only_those_hear_who_listen_for_it() -> None:
    subscribe(HEAR, "other.*")
    happen(actor=TESTER)
    assert not OutboxDelivery.objects.exists()
    jobs.sweep_outbox()
    assert listeners.heard == []


def test_it_is_delivered_once_although_asked_for_twice() -> None:
    subscribe(HEAR, "*")
    happen(actor=TESTER)
    delivery = OutboxDelivery.objects.get()
    for _ in range(3):
        jobs.deliver(str(delivery.pk))
    jobs.sweep_outbox()
    delivery.refresh_from_db()
    assert (listeners.heard, delivery.status, delivery.attempts) == (["test.happened"], "delivered", 1)


def test_two_workers_deliver_it_once() -> None:
    subscribe(HEAR, "*")
    for number in range(10):
        happen(actor=TESTER, topic=f"test.{number}")
    for pk in OutboxDelivery.objects.values_list("pk", flat=True):
        at_once(lambda pk=pk: jobs.deliver(str(pk)), lambda pk=pk: jobs.deliver(str(pk)))
    assert sorted(listeners.heard) == [f"test.{number}" for number in range(10)]


def test_a_listener_that_fails_holds_up_nobody_else_and_is_asked_again() -> None:
    subscribe(CHOKE, "*")
    subscribe(HEAR, "*")
    happen(actor=TESTER)
    jobs.sweep_outbox()
    assert listeners.heard == ["test.happened"]
    failed = OutboxDelivery.objects.get(listener=CHOKE)
    assert (failed.status, failed.attempts) == ("due", 1)
    assert failed.error == "ConnectionError: no line for test.happened"
    jobs.sweep_outbox()
    failed.refresh_from_db()
    assert failed.attempts == 1  # its pause is not over
    pauses: list[Any] = []
    for _ in range(MAX_ATTEMPTS - 1):
        make_due()
        jobs.sweep_outbox()
        failed.refresh_from_db()
        with connection.cursor() as cursor:
            cursor.execute("select next_attempt_at - now() from core_outbox_deliveries where id = %s", [failed.pk])
            pauses.append(cursor.fetchone()[0])
    assert (failed.status, failed.attempts, outbox.count_dead()) == ("dead", MAX_ATTEMPTS, 1)
    assert pauses[0] < pauses[3] < pauses[6]
    assert max(pauses) <= timedelta(minutes=30)
    make_due()
    jobs.sweep_outbox()
    assert listeners.heard == ["test.happened"]


def test_a_worker_that_dies_in_the_middle_is_followed_by_another() -> None:
    subscribe(HEAR, "*")
    happen(actor=TESTER)
    delivery = OutboxDelivery.objects.get()
    assert outbox.claim_delivery(delivery_id=delivery.pk, actor=TESTER) is not None
    jobs.sweep_outbox()
    assert listeners.heard == []  # somebody has it
    make_due()
    jobs.sweep_outbox()
    assert listeners.heard == ["test.happened"]


def test_a_listener_that_is_no_more_is_given_up_like_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    subscribe(HEAR, "*")
    happen(actor=TESTER)
    monkeypatch.setattr(outbox, "_listeners", {})
    jobs.sweep_outbox()
    assert "no longer listens" in OutboxDelivery.objects.get().error
    assert listeners.heard == []
