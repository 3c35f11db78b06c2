"""Catching what changes a business table behind the services' back."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.migrations.operations import RunSQL

from opsconsole.core.sql import literal


def service_test(application: str) -> str:
    """SQL that makes `ops_is_service()`: is this the application's role, inside an operation?

    Both are asked, since anybody may set a setting, and the application's role may be used by hand.
    """
    return f"""
        create or replace function ops_is_service() returns boolean language sql stable parallel safe
        return session_user = {literal(application)}
          and coalesce(current_setting('ops.context', true), '') <> ''
    """


class CaptureDirectSql(RunSQL):
    """Journal every change to a table that no operation of the application makes, as `direct_sql`.

    The entry's actor is the database role that logged in; its subject is the table with the row's key (`key` names
    the columns, values of several are joined by commas); before and after hold the columns that changed, `hidden`
    ones as "(hidden)". An UPDATE that changes nothing leaves nothing. TRUNCATE is refused to everyone: it tells no
    trigger which rows it took. (A restore runs with session_replication_role = replica, which fires neither.)

    Depends on the journal's first migration. A row trigger, and not one per statement: it costs a service write the
    same 0.3 microseconds a row, and it knows old and new row as a pair even where the key itself changes.
    """

    def __init__(self, table: str, hidden: Sequence[str] = (), key: str | Sequence[str] = "id") -> None:
        self.table, self.hidden, self.key = table, tuple(hidden), key
        columns = (key,) if isinstance(key, str) else tuple(key)
        arguments = f"{literal(','.join(columns))}, {literal(','.join(self.hidden))}"
        super().__init__(
            f"""
            create trigger {table}_direct_sql after insert or update or delete on {table}
              for each row when (not ops_is_service()) execute function journal_capture({arguments});
            create trigger {table}_direct_truncate before truncate on {table}
              for each statement execute function journal_refuse_truncate();
            """,
            f"drop trigger {table}_direct_sql on {table}; drop trigger {table}_direct_truncate on {table};",
        )
