"""One program full of members for all tests that only read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from opsconsole.core.actors import SYSTEM
from tests.access.conftest import savepoint
from tests.loyalty.segments.population import Member, made_up, settle_in


@pytest.fixture(scope="module")
def population(django_db_setup: None, django_db_blocker: Any) -> Iterator[list[Member]]:
    """Members of the program Club, and others of a program with the same tiers, in a transaction never committed."""
    made = made_up(120)
    with django_db_blocker.unblock(), savepoint():
        settle_in(name="Club", members=made, actor=SYSTEM("test"))
        settle_in(name="Other", members=made_up(20, seed=8), actor=SYSTEM("test"))
        yield made
        transaction.set_rollback(True)
    with django_db_blocker.unblock():
        connection.close()


@pytest.fixture
def members(population: list[Member], django_db_blocker: Any) -> Iterator[list[Member]]:
    """The members of the program Club."""
    with django_db_blocker.unblock(), savepoint():
        yield population
        transaction.set_rollback(True)
