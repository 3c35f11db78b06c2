"""Points earned and redeemed at times that have passed, written as the ledger takes them: in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation

# Balance, event, points, when, and from which address.
Row = tuple[UUID, str, int, datetime, str | None]


def happened(rows: Sequence[Row]) -> None:
    """Have this happened."""
    _write(rows=rows, actor=SYSTEM("test"))


@operation
def _write(*, rows: Sequence[Row], actor: Actor) -> None:
    balances, events, amounts, times, addresses = (list(column) for column in zip(*rows, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into loyalty_transactions (balance_id, event_type, amount, created_at, ip_address)"
            " select * from unnest(%s::uuid[], %s::text[], %s::bigint[], %s::timestamptz[], %s::inet[])",
            [balances, events, amounts, times, addresses],
        )
