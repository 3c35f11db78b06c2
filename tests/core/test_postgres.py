"""Connections out of a pool: dead ones are found without asking those that stand."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection as ours

from opsconsole.core.postgres.base import DatabaseWrapper
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

ASKED = "select query from pg_stat_activity where pid = %s"


@pytest.fixture
def pooled() -> Iterator[DatabaseWrapper]:
    """The engine with a pool of one connection, as a web process has one of some."""
    parameters = deepcopy(ours.settings_dict)
    parameters |= {part: settings.DATABASE_DIRECT[part] for part in ("HOST", "PORT", "USER", "PASSWORD")}
    parameters["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 1, "timeout": 3}
    parameters |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}
    wrapper = DatabaseWrapper(parameters, alias="pooled")
    yield wrapper
    wrapper.close()
    wrapper.close_pool()


@pytest.fixture
def other(connect_as: Callable[[str], psycopg.Connection[Any]]) -> psycopg.Connection[Any]:
    """Another session of the same role, which may see its sessions and end them."""
    return connect_as(settings.DB_APP_ROLE)


def asked(wrapper: DatabaseWrapper, sql: str = "select pg_backend_pid()") -> int:
    """Borrow a connection for one statement; the pid of its session."""
    with wrapper.cursor() as cursor:
        cursor.execute(sql)
        pid = wrapper.connection.info.backend_pid
    wrapper.close()
    return int(pid)


def test_one_that_stands_is_not_asked(pooled: DatabaseWrapper, other: psycopg.Connection[Any]) -> None:
    pid = asked(pooled, "select 'the last thing'")
    pooled.connect()
    assert pooled.connection.info.backend_pid == pid
    assert other.execute(ASKED, [pid]).fetchall() == [("select 'the last thing'",)]


def test_one_that_the_server_has_ended_is_replaced(pooled: DatabaseWrapper, other: psycopg.Connection[Any]) -> None:
    pid = asked(pooled)
    other.execute("select pg_terminate_backend(%s)", [pid])
    wait_for("the session to be gone", lambda: other.execute(ASKED, [pid]).fetchall() == [])
    assert asked(pooled) != pid
    assert asked(pooled, "select 1") != pid


def test_one_that_was_told_something_is_asked_and_kept(pooled: DatabaseWrapper, other: psycopg.Connection[Any]) -> None:
    pooled.connect()
    idle = pooled.connection
    pid = asked(pooled, "listen news")
    other.execute("notify news, 'of the day'")
    assert select.select([idle.fileno()], [], [], 10)[0], "the session was told nothing within 10 s"
    pooled.connect()
    assert pooled.connection.info.backend_pid == pid
    assert other.execute(ASKED, [pid]).fetchall() != [("listen news",)]
