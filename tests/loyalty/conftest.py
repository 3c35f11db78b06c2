"""A program with members and people for every role that loyalty knows."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from loyalty.models import Balance, Program
from loyalty.services import points, programs
from opsconsole.core.actors import Actor


@pytest.fixture
def marketing(person: Callable[..., Actor]) -> Actor:
    """Somebody of ops_marketing."""
    return person("ops_marketing")


@pytest.fixture
def finance(person: Callable[..., Actor]) -> Actor:
    """Somebody of finance_ops."""
    return person("finance_ops")


@pytest.fixture
def risk(person: Callable[..., Actor]) -> Actor:
    """Somebody of risk_manager."""
    return person("risk_manager")


@pytest.fixture
def auditor(person: Callable[..., Actor]) -> Actor:
    """Somebody who sees everything and changes nothing."""
    return person("auditor")


@pytest.fixture
def program(marketing: Actor) -> Program:
    """A program with a budget of a million points."""
    return programs.create_program(name="Club", budget_limit=Decimal(1_000_000), actor=marketing)


@pytest.fixture
def member(program: Program, marketing: Actor) -> Callable[..., Balance]:
    """Enrol a member with some points: `member("alice", 500)`."""

    def enrol(user_id: str = "alice", earned: int = 500, **facts: Any) -> Balance:
        posted = points.earn_points(
            program_id=facts.pop("program_id", program.pk), user_id=user_id, points=earned, actor=marketing, **facts
        )
        return Balance.objects.get(pk=posted.balance_id)

    return enrol


@pytest.fixture
def browse(person: Callable[..., Actor]) -> Callable[..., Client]:
    """A browser with somebody logged in: `browse("ops_marketing")`."""

    def log_in(name: str, *roles: str) -> Client:
        client = Client()
        user = person(name, *roles).user
        assert user is not None
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return log_in
