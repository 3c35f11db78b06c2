"""A treasury to plan on, and real servers on the test's database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.test import Client
from rest_framework.test import APIClient

from tests.api.servers import Redis, Web, environment
from tests.conftest import dsn_as
from tests.world import TESTER, World, add_payouts, build

RUNBOOK_PLAN: dict[str, Any] = {
    "external_id": "plan-2025-08-payout-eur",
    "name": "Monthly EUR Payouts",
    "description": "Payout batch for August 2025",
    "plan_type": "payout_batch",
    "payload": {
        "currency": "EUR",
        "cutoff_date": "2025-08-01",
        "total_amount": 250000,
        "simulate_before_execute": True,
    },
    "required_approvals": 2,
}


@pytest.fixture
def treasury(db: None) -> World:
    """Banks that nobody asks, an account of a million each, forty payouts of about ten thousand."""
    made = build(base_url="http://127.0.0.1:9", secret="unused", balance=Decimal(1_000_000), actor=TESTER)
    add_payouts(count=40, amount=Decimal(10_000), actor=TESTER)
    return made


@pytest.fixture
def ask(superuser: psycopg.Connection[Any]) -> Callable[[str], list[tuple[Any, ...]]]:
    """Run a query as someone who may read everything, on a connection of their own."""
    return lambda query: superuser.execute(query).fetchall()


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis that no other test run takes jobs from."""
    with Redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture(scope="session")
def console_environment(django_db_setup: None, own_redis: Redis) -> dict[str, str]:
    """The environment of every process of the console in these tests."""
    return environment(database=dsn_as(settings.DB_APP_ROLE), redis=own_redis.url)


@pytest.fixture(scope="session")
def shared_web(console_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One web server for all tests that do not end it."""
    with Web(tmp_path_factory.mktemp("web"), console_environment) as web:
        yield web


@pytest.fixture
def web(shared_web: Web, transactional_db: None) -> Web:
    """The web server, on an empty database."""
    return shared_web


@pytest.fixture
def visitor() -> Client:
    """A browser without a name that sees a fault as its user would: as an answer."""
    return Client(raise_request_exception=False)


@pytest.fixture
def drafted(api: Callable[..., APIClient], treasury: World) -> Callable[..., dict[str, Any]]:
    """Draft the runbook's plan as `ops`, with changes; the plan as the API shows it."""

    def make(**changes: Any) -> dict[str, Any]:
        answer = api("ops").post("/api/ops/plans", RUNBOOK_PLAN | changes)
        assert answer.status_code == 201, answer.json()
        return dict(answer.json())

    return make


@pytest.fixture
def staged(api: Callable[..., APIClient], drafted: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Draft and stage."""

    def make(**changes: Any) -> dict[str, Any]:
        plan = drafted(**changes)
        answer = api("ops").post(f"/api/ops/plans/{plan['id']}/stage")
        assert answer.status_code == 200, answer.json()
        return dict(answer.json())

    return make


@pytest.fixture
def approved(api: Callable[..., APIClient], staged: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Draft, stage and have two people approve."""

    def make(**changes: Any) -> dict[str, Any]:
        plan = staged(**changes)
        for name in ("finance_ops", "pay_admin"):
            answer = api(name).post(f"/api/ops/plans/{plan['id']}/approve")
            assert answer.status_code == 200, answer.json()
        return dict(answer.json())

    return make


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder for the files of this test."""
    return tmp_path
