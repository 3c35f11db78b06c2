"""What the database's roles may do with approvals: nobody deletes, and a person with psql only reads."""

from __future__ import annotations

from django.conf import settings
from django.db import connections, transaction
from psycopg import sql

APPLICATION = {
    "approvals_policies": "select, insert, update",
    "approvals_requests": "select, insert, update",
    "approvals_signer_keys": "select, insert, update",
    "approvals_decisions": "select, insert",
    "approvals_reviews": "select, insert, update",
    "approvals_review_answers": "select, insert",
    "approvals_waits": "select",
}


def grant(alias: str = "default") -> None:
    """Give the application and the operator exactly their rights; safe to repeat after each migrate."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(
            "select rolname from pg_roles where rolname = any(%s) and rolname <> current_user",
            [[settings.DB_APP_ROLE, settings.DB_OPERATOR_ROLE]],
        )
        for (role,) in cursor.fetchall():
            for table, rights in APPLICATION.items():
                allowed = rights if role == settings.DB_APP_ROLE else "select"
                names = {"table": sql.Identifier(table), "role": sql.Identifier(role)}
                cursor.execute(sql.SQL("revoke all on {table} from {role}").format(**names).as_string())
                cursor.execute(
                    sql.SQL("grant {rights} on {table} to {role}").format(rights=sql.SQL(allowed), **names).as_string()
                )
