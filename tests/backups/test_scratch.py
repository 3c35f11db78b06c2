"""The scratch database goes, whoever is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import psycopg
import pytest

from opsconsole.backups import checking
from tests.conftest import superuser_dsn
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scratch() -> Iterator[str]:
    """An empty scratch database."""
    name = checking.scratch_name(UUID(int=7))
    checking.make_scratch(name)
    yield name
    with psycopg.connect(superuser_dsn("postgres"), autocommit=True) as su:
        su.execute(f"drop database if exists {name} with (force)")


@pytest.fixture
def eager(superuser: psycopg.Connection[Any]) -> Iterator[None]:
    """A server that looks for something to vacuum each second."""
    superuser.execute("alter system set autovacuum_naptime = '1s'")
    superuser.execute("select pg_reload_conf()")
    yield
    superuser.execute("alter system reset autovacuum_naptime")
    superuser.execute("select pg_reload_conf()")


def inside(superuser: psycopg.Connection[Any], scratch: str) -> set[str]:
    found = superuser.execute("select backend_type from pg_stat_activity where datname = %s", [scratch])
    return {row[0] for row in found}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("left_over", [False, True], ids=["alone", "beside a session"])
def test_an_autovacuum_is_sent_away(
    scratch: str, superuser: psycopg.Connection[Any], databases: Callable[[], set[str]], *, left_over: bool
) -> None:
    """By force it could not be: that is for sessions of roles, and an autovacuum has none."""
    with psycopg.connect(superuser_dsn(scratch), autocommit=True) as su:
        su.execute(
            "create table dust (n int, filling text) with (autovacuum_vacuum_threshold = 1,"
            " autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)"
        )
        su.execute("insert into dust select n, repeat('x', 500) from generate_series(1, 20000) n")
        su.execute("delete from dust")
    wait_for("the vacuum to begin", lambda: inside(superuser, scratch) == {"autovacuum worker"}, seconds=60)
    with ExitStack() as stack:
        if left_over:
            stack.enter_context(checking.connected(checking.Address.of(checking.settings.BACKUP_SCRATCH, scratch)))
        checking.drop_scratch(scratch)
    assert scratch not in databases()


def test_a_session_is_ended(scratch: str, databases: Callable[[], set[str]]) -> None:
    with checking.connected(checking.Address.of(checking.settings.BACKUP_SCRATCH, scratch)) as left_over:
        checking.drop_scratch(scratch)
        with pytest.raises(psycopg.OperationalError):
            left_over.execute("select 1")
    assert scratch not in databases()
