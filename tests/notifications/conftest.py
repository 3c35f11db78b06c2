"""Receivers that run, channels that lead to them, and events that happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.jobs import sweep_outbox
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.notifications.gateways import signing
from opsconsole.notifications.models import Channel, Delivery
from opsconsole.notifications.services.subscriptions import subscribe_role
from tests.notifications.receiver import Started, start
from tests.notifications.world import connect

TESTER = SYSTEM("test")
PLANS = ["plan.*"]
SECRET = signing.make_secret()


@pytest.fixture(scope="session")
def running_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """One receiver for all tests."""
    started = start("tests.notifications.receiver", tmp_path_factory.mktemp("receiver") / "kept")
    yield started
    started.stop()


@pytest.fixture(scope="session")
def running_postbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """One mail server for all tests."""
    started = start("tests.notifications.postbox", tmp_path_factory.mktemp("postbox") / "kept")
    yield started
    started.stop()


@pytest.fixture
def receiver(running_receiver: Started) -> Started:
    """A receiver that has received nothing yet."""
    running_receiver.forget()
    return running_receiver


@pytest.fixture
def postbox(running_postbox: Started, settings: Any) -> Started:
    """An empty mail server that the settings name."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running_postbox.port
    running_postbox.forget()
    return running_postbox


@operation
def happen(
    *, topic: str, actor: Actor, kind: str = "plan", id: object = "", data: dict[str, Any] | None = None
) -> None:
    """Something happens; the outbox is not delivered yet."""
    emit(topic, kind=kind, id=id or UUID(int=7), data={"name": "Payouts of August", **(data or {})})


@operation
def set_email(*, name: str, email: str, actor: Actor) -> None:
    """Give a person an address."""
    User.objects.filter(username=name).update(email=email)


@operation
def leave(*, name: str, actor: Actor) -> None:
    """A person leaves."""
    User.objects.filter(username=name).update(is_active=False)


def tell(topic: str = "plan.failed", **more: Any) -> list[Delivery]:
    """Something happens, and what is due to whom is written; nothing is sent yet."""
    happen(topic=topic, actor=TESTER, **more)
    sweep_outbox()
    return list(Delivery.objects.select_related("notice", "channel", "user").order_by("created_at", "pk"))


def make_due() -> None:
    """Let pauses, leases and rests pass."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update notifications_deliveries set next_attempt_at = now() - interval '1 second'"
            " where status in ('due', 'sending')"
        )
        cursor.execute("update notifications_lanes set open_until = null")


@pytest.fixture
def channel(receiver: Started, person: Callable[..., Actor]) -> Callable[..., Channel]:
    """A channel to a path of the receiver, with a role that is told everything through it."""

    def make(path: str = "/ok", *, kind: str = "webhook", role: str = "ops", name: str = "", **more: Any) -> Channel:
        admin = person("admin")
        made = connect(
            name=name or f"{kind} {path}",
            kind=kind,
            target=more.get("target") or receiver.url(path),
            secret=SECRET if kind == "webhook" else "",
            actor=admin,
        )
        if role:
            subscribe_role(
                role=role, channel_id=made.pk, patterns=more.get("patterns", PLANS), minimum="info", actor=admin
            )
        return made

    return make
