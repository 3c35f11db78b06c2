"""Fixtures of the whole suite: the real database with its three roles, people, and what was not run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.db import connection, connections
from django.test import TransactionTestCase
from django.test.utils import setup_databases, teardown_databases
from django.utils import translation
from psycopg import sql
from psycopg.conninfo import make_conninfo
from rest_framework.test import APIClient

from opsconsole import embedded
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.database import as_owner
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.core.tokens import create_token

REQUIRE_ALL = os.environ.get("OPS_REQUIRE_ALL") == "1"

# Each test client builds the middleware anew; looking through all static files then would take longer than most tests.
django_settings.WHITENOISE_AUTOREFRESH = True


def superuser_dsn(dbname: str) -> str:
    """How to reach the test database as the cluster's superuser."""
    url = os.environ.get("DATABASE_SUPERUSER_URL") or embedded.urls(django_settings.VAR).superuser
    return make_conninfo(url, dbname=dbname)


def dsn_as(role: str, *, direct: bool = False) -> str:
    """How to reach the test database as one of the three roles; `direct`: not by a pooler that we may stand behind."""
    config = connections["default"].settings_dict
    application = django_settings.DATABASE_DIRECT if direct else config
    source = django_settings.DATABASE_OWNER if role == django_settings.DB_OWNER_ROLE else application
    user_password = {"user": role, "password": source["PASSWORD"] or None}
    if role == django_settings.DB_OPERATOR_ROLE and django_settings.DATABASE_OPERATOR_URL:
        return make_conninfo(django_settings.DATABASE_OPERATOR_URL, dbname=config["NAME"])
    return make_conninfo(
        host=source["HOST"] or None, port=source["PORT"] or None, dbname=config["NAME"], **user_password
    )


@pytest.fixture(scope="session")
def django_db_setup(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[None]:
    """Create the test database as its owner; restore it after transactional tests although nothing may TRUNCATE.

    The journal refuses to be emptied by anyone, so the restore is the superuser's, with triggers off: rows are
    deleted and what the migrations had put in comes back.
    """
    with django_db_blocker.unblock(), as_owner():
        config = setup_databases(0, interactive=False, serialized_aliases=[])
    su = psycopg.connect(superuser_dsn(connections["default"].settings_dict["NAME"]), autocommit=True)
    su.execute("set session_replication_role = replica")
    tables = [
        row[0]
        for row in su.execute(
            "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = relnamespace"
            " where nspname = 'public' and relkind in ('r', 'p') and not relispartition order by 1"
        )
    ]
    kept = [name for name in tables if su.execute(f"select exists(select from {name})").fetchone()[0]]
    su.execute("create schema pristine")
    for name in kept:
        su.execute(f"create table pristine.{name} as table {name}")
    wipe = ";".join(f"delete from {name}" for name in tables)
    for name in kept:
        columns = sql.SQL(", ").join(
            sql.Identifier(row[0])
            for row in su.execute(
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
                " and not attisdropped and attgenerated = ''",
                [name],
            )
        )
        wipe += (
            sql.SQL("; insert into {} ({}) overriding system value select {} from pristine.{}")
            .format(sql.Identifier(name), columns, columns, sql.Identifier(name))
            .as_string()
        )

    def restore(_case: TransactionTestCase) -> None:
        for alias in connections.all(initialized_only=True):
            alias.close()
        with su.transaction():
            su.execute(wipe)

    TransactionTestCase._fixture_teardown = restore
    yield
    with django_db_blocker.unblock(), as_owner():
        connection.close()
        # A pooler, or a thread that a test has left, would keep the database from being dropped.
        su.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        su.close()
        teardown_databases(config, 0)


@pytest.fixture(scope="module")
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """What fixtures of a whole module commit is there for each of its tests, which take back what they write."""
    yield
    with django_db_blocker.unblock():
        TransactionTestCase._fixture_teardown(None)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Each test begins in the console's own language, whichever page another one has looked at before."""
    with translation.override(django_settings.LANGUAGE_CODE, deactivate=True):
        yield


@pytest.fixture(autouse=True)
def artifacts(settings: Any, tmp_path: Path) -> Path:
    """An empty artifact storage for each test: files of another one would look like evidence."""
    folder = tmp_path / "artifacts"
    backend = "django.core.files.storage.FileSystemStorage"
    artifacts = {"BACKEND": backend, "OPTIONS": {"location": folder}}
    settings.STORAGES = {**settings.STORAGES, "artifacts": artifacts}
    return folder


@pytest.fixture
def superuser(transactional_db: None) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to the test database: an attacker with everything."""
    with psycopg.connect(superuser_dsn(connection.settings_dict["NAME"]), autocommit=True) as su:
        yield su


@pytest.fixture
def connect_as(transactional_db: None) -> Iterator[Callable[[str], psycopg.Connection[Any]]]:
    """Open a plain connection to the test database as `ops_app`, `operator` or `ops_owner`."""
    opened: list[psycopg.Connection[Any]] = []

    def connect(role: str) -> psycopg.Connection[Any]:
        opened.append(psycopg.connect(dsn_as(role, direct=True), autocommit=True))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


@operation
def _make_user(*, name: str, roles: list[str], actor: Actor) -> User:
    user = User.objects.create_user(name, password=f"{name}-password-1", is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    return User.objects.get(pk=user.pk)


def make_person(name: str, *roles: str) -> Actor:
    """The person of this name, made with these roles where there is none yet; the name alone is also the role."""
    existing = User.objects.filter(username=name).first()
    return Actor.of(existing or _make_user(name=name, roles=list(roles) or [name], actor=SYSTEM("test")))


@pytest.fixture
def person(db: None) -> Callable[..., Actor]:
    """Make a person with roles: `person("alice", "finance_ops")`; the name alone is also the role."""
    return make_person


@pytest.fixture
def api(person: Callable[..., Actor]) -> Callable[..., APIClient]:
    """An API client that carries a real Bearer token of the person, or none: `api("ops")`, `api(None)`."""

    def make(name: str | None = None, *roles: str) -> APIClient:
        client = APIClient()
        if name is not None:
            user = person(name, *roles).user
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {create_token(user)}")
        return client

    return make


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say plainly what this machine could not run, and why what was tried twice had failed."""
    if again := terminalreporter.stats.get("rerun", []):
        terminalreporter.section("failed, and was tried again")
        for report in again:
            terminalreporter.write_line(f"{report.nodeid} ({report.when}):")
            terminalreporter.write_line(report.longreprtext[-4000:])
    if skipped := terminalreporter.stats.get("skipped", []):
        terminalreporter.section("not run on this machine")
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            terminalreporter.write_line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where everything must run, a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if REQUIRE_ALL and reporter is not None and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = 1
