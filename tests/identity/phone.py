"""People with an authenticator app on their phone, the time its codes are for, and the way in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from opsconsole.core.actors import Actor
from opsconsole.identity import second_factor
from opsconsole.journal.models import Entry

LOGIN, CODE, ENROL, OWN = "/admin/login/", "/admin/login/code/", "/admin/login/enrol/", "/admin/second-factor/"
HERE = "192.0.2.7"


class Clock:
    """The time that codes are for; it can be moved on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, 5, tzinfo=timezone.get_default_timezone())

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: int = second_factor.PERIOD) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(second_factor.timezone, "now", clock)
    return clock


class App:
    """An authenticator app on somebody's phone."""

    def __init__(self, actor: Actor, clock: Clock) -> None:
        self.actor, self.clock, self.secret = actor, clock, second_factor.new_secret()
        codes = second_factor.enrol(secret=self.secret, code=self.code(), current="", address=HERE, actor=actor)
        assert codes is not None
        self.recovery = codes
        clock.forward()

    def code(self, later: int = 0) -> str:
        return second_factor.code_at(self.secret, self.clock.now + timedelta(seconds=later))

    def verify(self, code: str) -> bool:
        return second_factor.verify(code=code, address=HERE, actor=self.actor)


@pytest.fixture
def ops(person: Callable[..., Actor]) -> Actor:
    return person("ops")


@pytest.fixture
def app(ops: Actor, clock: Clock) -> App:
    return App(ops, clock)


def give_password(client: Client, name: str = "ops", password: str = "", to: str = "/admin/") -> Any:
    return client.post(f"{LOGIN}?next={to}", {"username": name, "password": password or f"{name}-password-1"})


def verbs() -> list[str]:
    return list(Entry.objects.order_by("seq").values_list("verb", flat=True))
