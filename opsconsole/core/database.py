"""The database's roles: the owner migrates, the application owns nothing, an operator is a person with psql."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection, connections, transaction
from psycopg import Cursor, sql

# Their tables have grants of their own, narrower than the application's usual four rights.
OWN_GRANTS = frozenset({"journal", "approvals"})


def as_owner(alias: str = "default") -> AbstractContextManager[None]:
    """Connect as the role that owns the schema while the block runs."""
    return _connected_as(settings.DATABASE_OWNER, alias)


def as_application(alias: str = "default") -> AbstractContextManager[None]:
    """Connect as the application's role while the block runs, whatever the connection is now."""
    return _connected_as(settings.DATABASE_APPLICATION, alias)


def past_the_pooler(alias: str = "default") -> AbstractContextManager[None]:
    """Connect to PostgreSQL itself while the block runs, for what belongs to a session, such as its locks."""
    return _connected_as(settings.DATABASE_DIRECT, alias)


@contextmanager
def _connected_as(role: dict[str, Any], alias: str) -> Iterator[None]:
    wrapper = connections[alias]
    current = wrapper.settings_dict
    before = {key: current[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "OPTIONS")}

    def switch(parameters: dict[str, Any]) -> None:
        wrapper.close()
        if current["OPTIONS"].get("pool"):
            wrapper.close_pool()  # type: ignore[attr-defined] # of the PostgreSQL wrapper
        current.update(parameters)

    options = {key: value for key, value in before["OPTIONS"].items() if key != "pool"}
    switch({key: role[key] for key in ("USER", "PASSWORD", "HOST", "PORT")} | {"OPTIONS": options})
    try:
        yield
    finally:
        switch(before)


def one_row(statement: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
    """The one row of a statement that is asked often: the session keeps it prepared, where no pooler forbids that.

    Django binds values into the text itself, which has PostgreSQL parse and plan every statement anew.
    """
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()


def the_row(statement: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """The same for a statement that always has one; raises LookupError if it has none."""
    found = one_row(statement, values)
    if found is None:
        raise LookupError("a statement that always has a row had none")
    return found


@contextmanager
def bulk_joins() -> Iterator[None]:
    """Have the statements of the block join by hash or merge, for rows that the statistics do not know yet.

    A transaction that writes 27,000 rows and then joins them looks to the planner as if there were one: it likes a
    nested loop, which reads all of them for each of them.
    """
    with connection.cursor() as cursor:
        cursor.execute("set local enable_nestloop = off")
        yield
        cursor.execute("set local enable_nestloop = on")


@contextmanager
def bulk_memory() -> Iterator[None]:
    """Have the statements of the block, and of the transaction it joins, sort and hash whole tables in memory."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set local work_mem = '128MB'")
        yield


def grant(alias: str = "default") -> None:
    """Give the application and the operator their rights on every table; safe to repeat after each migrate."""
    application, operator = settings.DB_APP_ROLE, settings.DB_OPERATOR_ROLE
    standing = set(connections[alias].introspection.table_names(include_views=True))
    ours = {
        model._meta.db_table: model._meta
        for model in apps.get_models(include_auto_created=True)
        if model._meta.db_table in standing  # an app may be migrated back to nothing
    }
    with connections[alias].cursor() as cursor:
        cursor.execute("select rolname from pg_roles where rolname = any(%s)", [[application, operator]])
        present = {row[0] for row in cursor.fetchall()}
        for role in present & {application, operator}:
            cursor.execute(sql.SQL("grant usage on schema public to {}").format(sql.Identifier(role)).as_string())
        for table, described in sorted(ours.items()):
            if described.app_label in OWN_GRANTS:
                continue
            # What is not managed is a view: to be read.
            rights = "select, insert, update, delete" if described.managed else "select"
            if application in present:
                _allow(cursor, rights, table, application)
            if operator in present:
                _allow(cursor, rights, table, operator)
        if application in present:
            name = sql.Identifier(application)
            cursor.execute(
                sql.SQL("grant usage, select on all sequences in schema public to {}").format(name).as_string()
            )
            cursor.execute(sql.SQL("grant select on django_migrations to {}").format(name).as_string())


def _allow(cursor: object, rights: str, table: str, role: str) -> None:
    statement = sql.SQL("grant {} on {} to {}").format(sql.SQL(rights), sql.Identifier(table), sql.Identifier(role))
    cursor.execute(statement.as_string())  # type: ignore[attr-defined] # Django's cursor wrapper
