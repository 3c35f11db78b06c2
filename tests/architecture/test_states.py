"""The states of the code are the states of the database: each guard holds exactly its table of transitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from opsconsole.core.states import Stateful, States

pytestmark = pytest.mark.django_db


def guarded() -> dict[str, tuple[set[str], set[str]]]:
    """Table -> the states it may be born in and the pairs it may move by, out of pg_trigger."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select c.relname, t.tgname, t.tgargs, t.tgenabled from pg_trigger t join pg_class c on c.oid = t.tgrelid"
            " join pg_proc p on p.oid = t.tgfoid where p.proname = 'refuse_transition' order by 1, 2"
        )
        rows = cursor.fetchall()
    found: dict[str, tuple[set[str], set[str]]] = {}
    for table in {row[0] for row in rows}:
        mine = [row for row in rows if row[0] == table]
        assert {row[1] for row in mine} == {f"{table}_birth", f"{table}_transition"}
        assert {row[3] for row in mine} == {"O"}, f"a guard of {table} is switched off"
        (arguments,) = {bytes(row[2]) for row in mine}
        born, moves, rest = arguments.decode().split("\0")
        assert rest == ""
        found[table] = set(born.split()), set(moves.split())
    return found


def stateful() -> Iterator[tuple[str, type[States]]]:
    """Every model that moves by a table, with it."""
    for model in apps.get_models():
        if issubclass(model, Stateful):
            yield model._meta.db_table, model.states


def test_every_guard_holds_the_table_of_its_model() -> None:
    guards = guarded()
    assert guards
    for table, states in stateful():
        born, moves = guards.pop(table)
        assert born == set(states.starts()), table
        assert moves == set(states.pairs()), table
    assert guards == {}, "guarded, and no model moves by it"


def test_every_state_can_be_reached_and_is_said_once() -> None:
    for table, states in stateful():
        reachable, ahead = set(states.starts()), list(states.starts())
        while ahead:
            for following in states(ahead.pop()).following - reachable:
                reachable.add(following)
                ahead.append(following)
        assert reachable == set(states.values), table
        assert all(len(pair.split(">")) == 2 for pair in states.pairs())


def test_a_column_of_states_has_its_choices() -> None:
    for table, states in stateful():
        (model,) = [model for model in apps.get_models() if model._meta.db_table == table]
        assert model._meta.get_field("status").choices == states.choices, table


def test_the_database_refuses_what_the_table_does_not_have() -> None:
    for table, states in stateful():
        wrong = next(state for state in states.values if state not in states.starts())
        with (
            pytest.raises(IntegrityError, match=f"{table} cannot start as {wrong}"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"insert into {table} (status) values (%s)", [wrong])


def test_a_state_says_what_follows() -> None:
    for _, states in stateful():
        for state in states:
            assert isinstance(state.label, str) or state.label
            assert state.is_final == (not state.following)
            for following in state.following:
                assert following in states.values, f"{states.__name__}: {following}"


def trigger_names(table: str) -> set[Any]:
    """The triggers of a table."""
    with connection.cursor() as cursor:
        cursor.execute("select tgname from pg_trigger where tgrelid = %s::regclass and not tgisinternal", [table])
        return {row[0] for row in cursor.fetchall()}


# Tables whose changes by pasted SQL leave no journal entry, and why that is so.
UNWATCHED = {
    "journal_entries": "refuses every change to everybody",
    "journal_leaves": "refuses every change to everybody",
    "journal_checkpoints": "refuses every change to everybody",
    "journal_pending": "the sealer's queue: nobody but the database writes it, and verification misses a lost row",
    "journal_tree": "the sealer's own arithmetic, checked by every verification",
    "journal_nodes": "refuses every change to everybody",
    "approvals_waits": "counted by a trigger",
    "core_idempotency_keys": "stored answers: bookkeeping with a life of days",
    "core_worker_heartbeats": "written every few seconds by processes that are alive",
    "core_outbox_events": "copies of what the journal has",
    "core_outbox_deliveries": "bookkeeping of who was told",
    "ops_run_totals": "counted by a trigger",
    "treasury_tallies": "counted by a trigger",
    "django_session": "a login is journalled by itself",
    "django_admin_log": "Django's own record; ours is the journal",
    "django_content_type": "written by migrations",
    "django_migrations": "written by migrations",
    "auth_permission": "written by migrations; what gives a right is auth_group_permissions, which is watched",
}


def test_every_table_is_watched_for_pasted_sql_or_says_why_not() -> None:
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    unwatched = {table for table in tables if f"{table}_direct_sql" not in trigger_names(table)}
    assert sorted(unwatched - UNWATCHED.keys()) == [], "captured nowhere, and no reason given"
    assert sorted(UNWATCHED.keys() - unwatched) == [], "excused, and watched or gone"
    for table in tables - unwatched:
        assert f"{table}_direct_truncate" in trigger_names(table), table
