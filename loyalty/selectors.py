"""Reads of loyalty that several rooms share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from loyalty.models import Program, VoucherBatch
from opsconsole.journal.selectors import entries_of


def database_clock() -> datetime:
    """The database's time of this transaction: the one clock that all its rows agree on."""
    with connection.cursor() as cursor:
        cursor.execute("select now()")
        at: datetime = cursor.fetchone()[0]
        return at


@contextmanager
def one_moment() -> Iterator[None]:
    """All that is read while the block runs is as it was at one moment; a transaction of the caller's has to do."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
        yield


def new_id() -> UUID:
    """An id for a row that is named before it is written, as a ledger row is, which comes last."""
    with connection.cursor() as cursor:
        cursor.execute("select uuid7()")
        return UUID(str(cursor.fetchone()[0]))


def unfinished_batches() -> list[UUID]:
    """Batches of vouchers that lack codes, the oldest first."""
    lacking = VoucherBatch.objects.filter(made__lt=F("count"), withdrawn_at=None)
    return list(lacking.order_by("pk").values_list("pk", flat=True))


def imported_as(program: Program, head: str) -> str | None:
    """The name under which a file that begins like this was loaded into the program; None for a new one."""
    entries = entries_of(program).filter(verb="purchases.imported", body__contains=head)
    told = entries.first()
    return None if told is None else str(told.content["after"]["source"])
