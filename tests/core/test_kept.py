"""Rows that another session keeps: what was waited for in vain is hardly waited for again, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection
from psycopg.conninfo import make_conninfo

from opsconsole.core import kept
from opsconsole.core.database import past_the_pooler
from opsconsole.core.errors import Busy
from opsconsole.core.kept import HARDLY, given_up_soon
from opsconsole.core.models import User
from tests.api.servers import ROOT, environment
from tests.conftest import dsn_as

pytestmark = pytest.mark.django_db(transaction=True)

USUAL = "0"  # for as long as it takes
ASK = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "opsconsole.settings"
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("show lock_timeout")
    print(cursor.fetchone()[0])
if connection.settings_dict["OPTIONS"].get("pool"):
    connection.close_pool()
"""


@pytest.fixture(autouse=True)
def nothing_known(transactional_db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """A process that has not waited for anything yet, with sessions of its own."""
    monkeypatch.setattr(kept, "_waited_in_vain", {})
    settings.OPS_PGBOUNCER = False
    with past_the_pooler():
        yield


@pytest.fixture
def row(transactional_db: None) -> User:
    """What somebody will keep."""
    return User.objects.create_user("kept")


@pytest.fixture
def in_vain(row: User, superuser: psycopg.Connection[Any]) -> Callable[[object], None]:
    """Wait for a row that another session keeps, until that is given up."""

    def wait(what: Any) -> None:
        with superuser.transaction():
            superuser.execute("select from core_user where id = %s for update", [row.pk])
            session("set lock_timeout = '50ms'")
            with pytest.raises(Busy, match="Nothing was done"), given_up_soon(what):
                session("select from core_user where id = %s for update", row.pk)
        session("reset lock_timeout")

    return wait


def session(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def patience() -> str:
    with connection.cursor() as cursor:
        cursor.execute("show lock_timeout")
        return str(cursor.fetchone()[0])


def patience_with(what: Any) -> str:
    with given_up_soon(what):
        return patience()


def test_it_is_known_until_somebody_gets_it(in_vain: Callable[[object], None]) -> None:
    this, that = (("freeze", frozenset({uuid4()})) for _ in range(2))
    in_vain(this)
    assert patience_with(that) == USUAL
    assert patience_with(this) == HARDLY  # and got it, so that
    assert patience_with(this) == USUAL
    assert patience() == USUAL


def test_it_is_forgotten_after_a_while(in_vain: Callable[[object], None], monkeypatch: pytest.MonkeyPatch) -> None:
    in_vain("this")
    monkeypatch.setattr(kept, "REMEMBERED", 0.0)
    assert patience_with("this") == USUAL
    in_vain("that")
    assert list(kept._waited_in_vain) == ["that"]


@pytest.mark.parametrize("pooler", [False, True], ids=["what cannot be told", "behind a pooler"])
def test_what_is_not_remembered(in_vain: Callable[[object], None], settings: Any, pooler: bool) -> None:
    settings.OPS_PGBOUNCER = pooler
    what = "this" if pooler else None
    in_vain(what)
    assert patience_with(what) == USUAL


def test_another_failure_stays_what_it_is(in_vain: Callable[[object], None]) -> None:
    in_vain("this")
    with pytest.raises(ZeroDivisionError), given_up_soon("this"):
        _ = 1 / 0
    assert patience() == USUAL
    assert patience_with("this") == HARDLY  # nobody has got it


@pytest.mark.parametrize(
    ("said", "more", "patience"),
    [
        ("", {"OPS_DB_POOL": "1"}, "5s"),
        ("", {"OPS_DB_POOL": "0"}, USUAL),
        ("-c lock_timeout=2s", {"OPS_DB_POOL": "1"}, "2s"),
        ("", {"OPS_DB_POOL": "1", "OPS_PGBOUNCER": "1"}, USUAL),
    ],
    ids=["web", "worker", "web whose URL says otherwise", "web behind a pooler"],
)
def test_how_long_a_process_waits(said: str, more: dict[str, str], patience: str) -> None:
    direct = dsn_as(django_settings.DB_APP_ROLE, direct=True)
    url = make_conninfo(direct, options=said or None)
    env = environment(database=url, redis=django_settings.REDIS_URL, DATABASE_DIRECT_URL=direct)
    asked = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, env=env | {"OPS_PGBOUNCER": "0"} | more,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert asked.stdout.strip() == patience, asked.stderr
