"""Reading that may take long, in a request that must not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from opsconsole.core.errors import DomainError


@contextmanager
def at_most(patience: timedelta, refusal: Callable[[], DomainError]) -> Iterator[None]:
    """Have no statement last longer than this; raises the refusal instead, with what was done within undone."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("select current_setting('statement_timeout')")
                usual = cursor.fetchone()[0]
                _set(str(max(int(patience.total_seconds() * 1000), 1)))
            yield
            _set(usual)  # a failure rolls it back
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        raise refusal() from error


def _set(timeout: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select set_config('statement_timeout', %s, true)", [timeout])
