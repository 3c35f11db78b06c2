"""Points earned and redeemed at times that have passed, written as the ledger takes them: in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection

from loyalty.models import Balance
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation

NOON = datetime(1998, 3, 2, 12, tzinfo=UTC)

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


def ago(**how_long: int) -> datetime:
    """So long before NOON."""
    return NOON - timedelta(**how_long)


def earns(member: Balance, count: int, points: int, at: datetime, address: str | None = None) -> None:
    """Have a member earn so often, a second apart, the last time at this moment."""
    happened([(member.pk, "earn", points, at - timedelta(seconds=second), address) for second in range(count)])
