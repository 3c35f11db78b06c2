"""A row that somebody keeps: who needs it is told so in time, and nobody else has to wait for them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from loyalty.models import Balance, Program, Transaction
from loyalty.services import programs
from opsconsole.core.actors import Actor
from opsconsole.core.database import past_the_pooler
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry
from tests.api.conftest import own_redis
from tests.api.servers import Redis, Web, environment
from tests.conftest import dsn_as
from tests.faults.processes import wait_for
from tests.loyalty.test_shop_pages import press

__all__ = ["own_redis"]

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 4


@pytest.fixture
def pooled_web(own_redis: Redis, tmp_path: Path) -> Iterator[Web]:
    """A web process with a pool, as `make up` has it and as production is advised to."""
    database = dsn_as(settings.DB_APP_ROLE, direct=True)
    env = environment(database=database, redis=own_redis.url, OPS_DB_POOL="1", OPS_PGBOUNCER="0")
    with Web(tmp_path, env, threads=THREADS) as web:
        yield web


def waiting() -> int:
    """How many sessions wait for a lock; asked outside of the transaction that keeps one, or the first answer stays."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])


@pytest.fixture
def impatient(transactional_db: None) -> Iterator[None]:
    """The session of the test waits for nobody, as that of a web process does not for long."""
    with past_the_pooler(), connection.cursor() as cursor:
        cursor.execute("set lock_timeout = '50ms'")
        yield
        cursor.execute("reset lock_timeout")


def test_a_program_that_is_kept_takes_no_thread_away(
    pooled_web: Web, program: Program, marketing: Actor, superuser: psycopg.Connection[Any]
) -> None:
    other = programs.create_program(name="Other", budget_limit=Decimal(1_000), actor=marketing)
    assert marketing.user is not None
    token = create_token(marketing.user)

    def earn(number: int, where: Program = program) -> Any:
        body = {"userId": f"m{number}", "points": 5, "idempotencyKey": f"sale-{number}"}
        return pooled_web.ask("POST", f"/api/programs/{where.pk}/earn", body, token=token)

    with ThreadPoolExecutor(THREADS + 1) as pool:
        with superuser.transaction():
            superuser.execute("select from loyalty_programs where id = %s for update", [program.pk])
            kept = [pool.submit(earn, number) for number in range(THREADS)]
            wait_for("each thread to wait", lambda: waiting() == THREADS)
            began = time.monotonic()
            assert pooled_web.ask("GET", f"/api/programs/{program.pk}", token=token).status == 200
            assert time.monotonic() - began < 8  # a load balancer's patience
            for answer in [earning.result() for earning in kept]:
                assert (answer.status, json.loads(answer.data)["code"]) == (503, "busy")
                assert int(answer.headers["Retry-After"]) > 0
            # It is known by now: nobody waits for it for long, and nobody else's is kept.
            began = time.monotonic()
            assert [earn(number).status for number in range(THREADS)] == [503] * THREADS
            assert time.monotonic() - began < 5  # seconds that one of them would have waited
            assert earn(0, other).status == 201
        assert list(Transaction.objects.values_list("balance__program", flat=True)) == [other.pk]
        again = [*pool.map(earn, range(THREADS)), *pool.map(earn, range(THREADS))]
    assert [answer.status for answer in again] == [201] * THREADS + [200] * THREADS
    assert Transaction.objects.filter(balance__program=program).count() == THREADS


@pytest.mark.usefixtures("impatient")
def test_a_page_says_so_and_keeps_what_was_typed(
    browse: Callable[..., Client], member: Callable[..., Balance], superuser: psycopg.Connection[Any]
) -> None:
    alice = member("alice", 500)
    client = browse("ops_marketing")
    before = Entry.objects.count()
    with superuser.transaction():
        superuser.execute("select from loyalty_balances where id = %s for update", [alice.pk])
        client.cookies[settings.LANGUAGE_COOKIE_NAME] = "fr"
        answer = press(client, alice, "freeze", reason="carte volée")
        assert answer.status_code == 503
        text = answer.content.decode()
        assert "en train de modifier" in text
        assert "carte volée" in text
    assert not Balance.objects.get().is_frozen
    assert Entry.objects.count() == before
    press(client, alice, "freeze", reason="carte volée")
    assert Balance.objects.get().is_frozen


@pytest.mark.usefixtures("impatient")
def test_a_deed_of_the_kernel_says_so_too(
    api: Callable[..., APIClient], member: Callable[..., Balance], superuser: psycopg.Connection[Any]
) -> None:
    alice = member("alice", 500)
    client = api("ops_marketing")
    with superuser.transaction():
        superuser.execute("select from loyalty_balances where id = %s for update", [alice.pk])
        refused = client.post(f"/api/balances/{alice.pk}/freeze", {"reason": "stolen card"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert not Balance.objects.get().is_frozen
