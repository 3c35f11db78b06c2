"""What the journal's tests share: entries to work on, an outside of their own, and the offline verifier."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation
from opsconsole.journal import keys, selectors, services
from opsconsole.journal.gateways import OutsideCheckpoints
from opsconsole.journal.grants import TABLES
from opsconsole.journal.record import Subject, record

TOOL = Path(__file__).resolve().parents[2] / "tools" / "verify_journal.py"
WRITER = SYSTEM("test")


@pytest.fixture
def outside(artifacts: Path) -> Path:
    """Where checkpoints are kept outside the database."""
    return artifacts / "journal" / "checkpoints"


@operation
def write_entries(*, count: int, actor: Actor, verb: str = "thing.changed") -> list[str]:
    """Record `count` entries in one operation and return their ids."""
    return [
        str(record(actor, verb, Subject("thing", str(number)), {"n": number}, {"n": number + 1}, "because é"))
        for number in range(count)
    ]


@operation
def write_in_bulk(*, count: int, actor: Actor) -> None:
    """`count` entries by one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into journal_entries (body)
            select jsonb_build_object('actor', jsonb_build_object('kind', 'system', 'id', 's', 'name', 's'),
              'verb', 'bulk.changed', 'subject', jsonb_build_object('kind', 'thing', 'id', n::text),
              'before', null, 'after', jsonb_build_object('n', n), 'reason', '')::text
            from generate_series(1, %s) n
            """,
            [count],
        )


def seal_all(batch: int = services.BATCH) -> int:
    """Seal everything pending and put the checkpoints outside."""
    sealed = 0
    while done := services.seal(actor=WRITER, most=batch):
        sealed += done
    OutsideCheckpoints().publish(selectors.notes_newest_first())
    return sealed


@pytest.fixture
def empty_journal(superuser: psycopg.Connection[Any]) -> None:
    """No entry at all, not even those of the migrations."""
    with superuser.transaction():
        superuser.execute("set local session_replication_role = replica")
        for table in TABLES:
            superuser.execute(f"delete from {table}")
        superuser.execute("insert into journal_tree (id, size, edge) values (1, 0, '{}')")


@pytest.fixture
def journal(empty_journal: None) -> Callable[..., list[str]]:
    """Write entries and seal them, a checkpoint for each batch: `journal(10, batch=4)`; the ids are returned.

    What was written before is sealed first, on its own.
    """

    def make(count: int, *, batch: int = services.BATCH) -> list[str]:
        seal_all()
        ids = write_entries(count=count, actor=WRITER)
        seal_all(batch)
        return ids

    return make


@pytest.fixture
def offline(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the stand-alone verifier, isolated from this project: `offline("proof", text)`."""

    def run(what: str, content: str | bytes, *more: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "handed-out"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        arguments = [what, str(path), "--key", key or str(keys.trusted()[0]), *more]
        return subprocess.run(
            [sys.executable, "-I", str(TOOL), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={"PYTHONIOENCODING": "utf-8"},
        )

    return run
