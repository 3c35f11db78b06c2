"""What the database's roles may do with the journal: the application adds and reads, everybody else reads."""

from __future__ import annotations

from django.conf import settings
from django.db import connections
from psycopg import sql

from opsconsole.journal.sql import service_test

TABLES = (
    "journal_entries",
    "journal_pending",
    "journal_leaves",
    "journal_nodes",
    "journal_tree",
    "journal_checkpoints",
)


def grant(alias: str = "default") -> None:
    """Give the application and the operator exactly their rights; safe to repeat after each migrate.

    The application inserts the `body` of an entry and nothing else: every other column is the trigger's. It moves
    the tree only through the two sealing functions, which check what they are told.
    """
    application, operator = settings.DB_APP_ROLE, settings.DB_OPERATOR_ROLE
    tables = sql.SQL(", ").join(map(sql.Identifier, TABLES))
    with connections[alias].cursor() as cursor:
        cursor.execute(service_test(application))
        cursor.execute(
            "select rolname from pg_roles where rolname = any(%s) and rolname <> current_user",
            [[application, operator]],
        )
        present = {row[0] for row in cursor.fetchall()}
        for role in sorted(present):
            name = sql.Identifier(role)
            cursor.execute(sql.SQL("revoke all on {} from {}").format(tables, name).as_string())
            cursor.execute(sql.SQL("grant select on {} to {}").format(tables, name).as_string())
        if application in present:
            name = sql.Identifier(application)
            for right in (
                "insert (body) on journal_entries",
                "execute on function journal_seal(integer)",
                "execute on function journal_checkpoint(text)",
            ):
                cursor.execute(sql.SQL("grant {} to {}").format(sql.SQL(right), name).as_string())
