"""Everything real: the bank, PostgreSQL, Redis, the web server, a worker, curl and openssl."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.identity.services import issue_token
from tests.api.conftest import ask, console_environment, own_redis, shared_web, web
from tests.api.servers import Command, Curl, Web
from tests.sandbox_bank.process import BankProcess, bank, shared_bank
from tests.world import TESTER, World, add_payouts, build

__all__ = ["ask", "bank", "console_environment", "own_redis", "shared_bank", "shared_web", "web"]


@pytest.fixture
def world(transactional_db: None, bank: BankProcess) -> World:
    """Two banks, an account of a million each, forty payouts of about ten thousand."""
    made = build(base_url=bank.base_url, secret=bank.secret, balance=Decimal(1_000_000), actor=TESTER)
    add_payouts(count=40, amount=Decimal(10_000), actor=TESTER)
    return made


@pytest.fixture
def curl(web: Web, tmp_path: Path) -> Curl:
    """curl, to whom ops.molam.com is our web server."""
    return Curl(tmp_path, web)


@pytest.fixture
def worker(console_environment: dict[str, str], transactional_db: None, tmp_path: Path) -> Iterator[Command]:
    """`manage.py worker plans`."""
    with Command(tmp_path, console_environment, "worker", "plans") as running:
        yield running


@pytest.fixture
def token(person: Callable[..., Actor]) -> Callable[..., str]:
    """A token for a person of these roles, as `manage.py issue_token` makes it."""

    def make(name: str, *roles: str, **options: Any) -> str:
        person(name, *roles)
        return issue_token(username=name, expiry=options.get("expiry"), actor=SYSTEM("test"))

    return make
