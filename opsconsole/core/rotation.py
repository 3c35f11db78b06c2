"""Encrypting stored secrets anew: after that, only the first key of FIELD_ENCRYPTION_KEYS is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import connection
from psycopg import sql

from opsconsole.core.errors import RuleBroken
from opsconsole.core.fields import EncryptedTextField, cipher
from opsconsole.core.operations import assert_in_operation


class KeyLost(RuleBroken):
    """A stored secret was encrypted with a key that is not configured."""

    code = "key_lost"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of secrets, and the one that names its rows."""

    table: str
    key: str
    name: str

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"


def encrypted_columns() -> Iterator[Column]:
    """Every column of secrets there is."""
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedTextField):
                yield Column(model._meta.db_table, str(model._meta.pk.column), str(field.column))


def encrypt_anew(column: Column) -> tuple[int, int]:
    """Bring the column's secrets under the first key; how many that took, and how many there are.

    In the caller's operation, with the rows locked. Raises KeyLost for a secret that no configured key opens.
    """
    assert_in_operation()
    names = {
        "table": sql.Identifier(column.table),
        "key": sql.Identifier(column.key),
        "name": sql.Identifier(column.name),
    }
    read = sql.SQL("select {key}, {name} from {table} where {name} <> '' order by {key} for no key update")
    write = sql.SQL("update {table} set {name} = %s where {key} = %s")
    first = Fernet(settings.FIELD_ENCRYPTION_KEYS[0])
    with connection.cursor() as cursor:
        cursor.execute(read.format(**names).as_string())
        secrets = cursor.fetchall()
        old = [(_rotated(column, key, token), key) for key, token in secrets if not _opens(first, token)]
        cursor.executemany(write.format(**names).as_string(), old)
    return len(old), len(secrets)


def _opens(key: Fernet, token: str) -> bool:
    try:
        key.decrypt(token.encode())
    except InvalidToken:
        return False
    return True


def _rotated(column: Column, key: object, token: str) -> str:
    try:
        return cipher().rotate(token.encode()).decode()
    except InvalidToken as error:
        raise KeyLost(
            f"{column} of {key} was encrypted with a key that FIELD_ENCRYPTION_KEYS lacks.",
            column=str(column),
            row=str(key),
        ) from error
