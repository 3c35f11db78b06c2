"""A place for backups, a small database to back up, and pg_dump with something in its way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings

from opsconsole.backups import dumping, figures
from opsconsole.backups.figures import Figure
from opsconsole.backups.programs import Address, fitting
from tests.conftest import superuser_dsn

SMALL = f"backup_small_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"


@pytest.fixture
def place(settings: Any, tmp_path: Path) -> Path:
    """Where backups go."""
    settings.BACKUP_DIRECTORY = tmp_path / "backups"
    return settings.BACKUP_DIRECTORY


@pytest.fixture
def readable(superuser: psycopg.Connection[Any]) -> None:
    """What the suite keeps beside the tables is the superuser's: without this the owner could not dump it."""
    owner = django_settings.DB_OWNER_ROLE
    superuser.execute(f"grant usage on schema pristine to {owner}")
    superuser.execute(f"grant select on all tables in schema pristine to {owner}")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, place: Path) -> Iterator[psycopg.Connection[Any]]:
    """Back up this database of two tables instead of the console's; the superuser's connection to it."""
    with psycopg.connect(superuser_dsn("postgres"), autocommit=True) as su:
        su.execute(f"drop database if exists {SMALL}")
        su.execute(f"create database {SMALL} owner {django_settings.DB_OWNER_ROLE} encoding 'UTF8' template template0")
    address = Address.of(django_settings.BACKUP_DATABASE, SMALL)
    with psycopg.connect(address.with_password, autocommit=True) as owner:
        owner.execute("create table notes (id int primary key, said text)")
        owner.execute("create table sums (id int primary key, amount numeric)")
        owner.execute("insert into notes select n, repeat(md5(n::text), 20) from generate_series(1, 2000) n")
        owner.execute("insert into sums select n, n from generate_series(1, 100) n")
    monkeypatch.setattr(dumping, "source", lambda: address)
    total = Figure("total", "total", "select sum(amount) from sums")
    monkeypatch.setattr(figures, "_figures", {"total": total})
    with psycopg.connect(superuser_dsn(SMALL), autocommit=True) as su:
        yield su
    with psycopg.connect(superuser_dsn("postgres"), autocommit=True) as su:
        su.execute(f"drop database if exists {SMALL} with (force)")


@pytest.fixture
def wrapped(settings: Any, tmp_path: Path, django_db_setup: None) -> Callable[..., Path]:
    """Put these scripts in the place of pg_dump and pg_restore; `$REAL` is the program itself."""

    def wrap(**scripts: str) -> Path:
        folder = tmp_path / "programs"
        folder.mkdir()
        with psycopg.connect(superuser_dsn("postgres")) as su:
            real = fitting(su.info.server_version // 10_000).folder
        for name in ("pg_dump", "pg_restore"):
            script = scripts.get(name, 'exec "$REAL" "$@"')
            (folder / name).write_text(
                f'#!/usr/bin/env bash\nREAL={real / name}\n[ "$1" = --version ] && exec "$REAL" "$@"\n{script}\n'
            )
            (folder / name).chmod(0o755)
        settings.BACKUP_PG_BIN = str(folder)
        return folder

    return wrap


@pytest.fixture
def databases() -> Callable[[], set[str]]:
    """The names of the scratch databases that stand."""

    def names() -> set[str]:
        with psycopg.connect(superuser_dsn("postgres"), autocommit=True) as su:
            found = su.execute("select datname from pg_database where datname like 'opsconsole\\_backup\\_check%'")
            return {row[0] for row in found}

    return names
