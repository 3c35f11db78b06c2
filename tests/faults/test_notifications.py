"""Notifications by the real processes: a notifier that is killed, a Redis that is emptied, a receiver that hangs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from standardwebhooks import Webhook

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.notifications.gateways import signing
from opsconsole.notifications.models import Channel, Delivery
from opsconsole.notifications.services.channels import remove_channel
from opsconsole.notifications.services.subscriptions import subscribe_role
from tests.faults.harness import Console
from tests.faults.payouts import Lane, ended
from tests.faults.processes import wait_for
from tests.notifications.receiver import Started, start
from tests.notifications.world import connect

pytestmark = pytest.mark.fault

SECRET = signing.make_secret()
TESTER = SYSTEM("test")


@operation
def _ensure_admin(*, actor: Actor) -> User:
    user = User.objects.filter(username="channels-admin").first() or User.objects.create_user("channels-admin")
    user.groups.set(Group.objects.filter(name="admin"))
    return User.objects.get(pk=user.pk)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Started]:
    """A receiver of this test's own."""
    started = start("tests.notifications.receiver", tmp_path / "kept")
    yield started
    started.stop()


@pytest.fixture
def told(running: Console, receiver: Started) -> Iterator[Callable[[str], Channel]]:
    """Have ops told of every plan that succeeds, at a path of the receiver."""
    admin = Actor.of(_ensure_admin(actor=TESTER))
    made: list[Channel] = []

    def make(path: str) -> Channel:
        name, target = f"test {path} {time.time()}", receiver.url(path)
        made.append(connect(name=name, kind="webhook", target=target, secret=SECRET, actor=admin))
        subscribe_role(role="ops", channel_id=made[-1].pk, patterns=["plan.*"], minimum="info", actor=admin)
        return made[-1]

    yield make
    for channel in made:
        remove_channel(channel_id=channel.pk, reason="", actor=admin)


def state_of(channel: Channel) -> tuple[str, int] | None:
    """How the channel's one delivery stands."""
    return Delivery.objects.filter(channel=channel).values_list("status", "attempts").first()


def test_a_notifier_killed_between_sending_and_saving(
    running: Console, lane: Callable[..., Lane], receiver: Started, told: Callable[[str], Channel]
) -> None:
    channel = told("/ok")
    ended(lane().start(payouts=2)[1])
    wait_for("the news to be due", lambda: state_of(channel) == ("due", 0))
    running.redis().flushall()  # its wake-up is gone: the sweeper finds the row
    victim = running.worker("notifications", crash_at="notifications.after_send")
    assert victim.crashed() == "notifications.after_send"
    assert len(receiver.got()) == 1
    assert state_of(channel) == ("sending", 1), "sent, and nobody has written it down"
    running.worker("notifications")
    time.sleep(1)
    assert state_of(channel) == ("sending", 1), "its lease is not over"
    with connection.cursor() as cursor:
        cursor.execute("update notifications_deliveries set next_attempt_at = now() where status = 'sending'")
    wait_for("another to send it", lambda: state_of(channel) == ("delivered", 2))
    first, second = receiver.got()
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert first["body"] == second["body"]
    for one in (first, second):
        assert Webhook(SECRET).verify(one["body"], one["headers"])["type"] == "plan.succeeded"


def test_no_plan_waits_for_a_receiver_that_hangs(
    running: Console, lane: Callable[..., Lane], receiver: Started, told: Callable[[str], Channel]
) -> None:
    """A plan begins and ends while one and the same call hangs."""
    running.worker("notifications")
    hanging = [told("/hang") for _ in range(3)]
    beside = lane()
    plan = beside.plan(payouts=4)

    def attempts() -> list[tuple[str, int]]:
        sent = Delivery.objects.filter(channel__in=hanging, attempts__gt=0)
        return list(sent.order_by("pk").values_list("status", "attempts"))

    assert ended(lane().start(payouts=2)[1]).status == "succeeded"
    wait_for("the receiver to hang", lambda: attempts() == [("sending", 1)] * len(hanging))
    run = beside.execute(plan)
    assert ended(run).status == "succeeded"
    assert attempts()[: len(hanging)] == [("sending", 1)] * len(hanging), "the call was over before the plan"
    calls = {call["headers"]["webhook-id"] for call in receiver.got("/hang")}
    assert len(calls) >= len(hanging)
    assert not Delivery.objects.filter(channel__in=hanging).exclude(status__in=("due", "sending")).exists()
