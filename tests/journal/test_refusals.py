"""UPDATE, DELETE and TRUNCATE on the journal are refused to everybody: application, operator, owner, superuser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from opsconsole.journal.grants import TABLES
from tests.journal.conftest import WRITER, write_entries

ROLES = ("application", "operator", "owner", "superuser")
SET = {
    "journal_entries": "verb = 'x'",
    "journal_pending": "leaf = '\\x00'",
    "journal_leaves": "seq = seq",
    "journal_nodes": "hash = hash",
    "journal_tree": "size = size + 1",
    "journal_checkpoints": "at = now()",
}
REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation)


@pytest.fixture
def whole_journal(superuser: psycopg.Connection[Any], journal: Callable[..., list[str]]) -> Iterator[None]:
    """Rows in every table of the journal; after the test the same rows are there."""
    journal(300)
    write_entries(count=2, actor=WRITER)
    before = everything(superuser)
    assert all(before[table] for table in TABLES)
    yield
    assert everything(superuser) == before


def everything(superuser: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    return {
        table: superuser.execute(f"select to_jsonb(t)::text from {table} t order by 1").fetchall() for table in TABLES
    }


@pytest.fixture
def as_role(
    connect_as: Callable[[str], psycopg.Connection[Any]], superuser: psycopg.Connection[Any], settings: Any
) -> Callable[[str], psycopg.Connection[Any]]:
    def connect(role: str) -> psycopg.Connection[Any]:
        if role == "superuser":
            return superuser
        return connect_as(
            {
                "application": settings.DB_APP_ROLE,
                "operator": settings.DB_OPERATOR_ROLE,
                "owner": settings.DB_OWNER_ROLE,
            }[role]
        )

    return connect


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", TABLES)
def test_nobody_changes_or_removes_rows(role: str, table: str, whole_journal: None, as_role: Any) -> None:
    psql = as_role(role)
    for statement in (f"update {table} set {SET[table]}", f"delete from {table}", f"truncate {table} cascade"):
        with pytest.raises(REFUSED) as refused:
            psql.execute(statement)
        if role in ("owner", "superuser"):
            assert isinstance(refused.value, psycopg.errors.CheckViolation), statement
            assert refused.value.diag.table_name == table
            assert refused.value.diag.constraint_name
            assert table in str(refused.value)


@pytest.mark.parametrize("role", ["owner", "superuser"])
def test_merge_is_no_way_around(role: str, whole_journal: None, as_role: Any) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        as_role(role).execute(
            "merge into journal_entries e using (select 1) one on true when matched then update set verb = 'x'"
        )


@pytest.mark.parametrize("table", [table for table in TABLES if table != "journal_entries"])
@pytest.mark.parametrize("role", ["application", "operator"])
def test_only_sealing_fills_the_other_tables(role: str, table: str, whole_journal: None, as_role: Any) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role(role).execute(f"insert into {table} select * from {table} limit 1")


def test_the_operator_reads_and_does_nothing_else(whole_journal: None, as_role: Any) -> None:
    psql = as_role("operator")
    assert psql.execute("select count(*) from journal_entries").fetchone()[0] >= 302
    for statement in (
        "insert into journal_entries (body) values ('{}')",
        "select journal_seal(1000)",
        "select journal_checkpoint('x')",
        "alter table journal_entries disable trigger all",
        "drop table journal_entries",
        "set session_replication_role = replica",
        "create function journal_seal() returns int language sql return 1",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            psql.execute(statement)


def test_the_application_cannot_switch_a_guard_off(whole_journal: None, as_role: Any) -> None:
    psql = as_role("application")
    for statement in (
        "alter table journal_entries disable trigger all",
        "drop trigger journal_entries_append_only on journal_entries",
        "set session_replication_role = replica",
        "create or replace function refuse_change() returns trigger language plpgsql as 'begin return new; end'",
        "grant delete on journal_entries to current_user",
    ):
        try:
            psql.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            continue
        with pytest.raises(REFUSED):  # a GRANT without the right to give it only warns
            psql.execute("delete from journal_entries")


def test_the_tree_only_grows(superuser: psycopg.Connection[Any], journal: Callable[..., list[str]]) -> None:
    """Not even to an older size that was signed."""
    journal(6, batch=2)
    size = superuser.execute("select size from journal_tree").fetchone()[0]
    for change in (f"size = {size - 2}", f"size = {size}", f"id = 2, size = {size + 1}"):
        with pytest.raises(psycopg.errors.CheckViolation, match="only grows"):
            superuser.execute(f"update journal_tree set {change}")


def test_grants_can_be_repeated(whole_journal: None, as_role: Any) -> None:
    from opsconsole.core.database import as_owner
    from opsconsole.journal.grants import grant

    with as_owner():
        grant()
        grant()
    test_the_operator_reads_and_does_nothing_else(None, as_role)
