"""How the codes of a batch stand: what the database counts, and what an index of its own answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from loyalty.models import Voucher, VoucherBatch
from loyalty.states import VoucherState

DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Standing:
    """The codes of a batch: spent, withdrawn, no longer or not yet good, and those that can be redeemed."""

    made: int
    redeemed: int
    void: int
    over: int  # neither spent nor withdrawn one by one, and of no use any more: the batch is withdrawn or has expired
    good: int


def with_voided(batches: QuerySet[VoucherBatch]) -> QuerySet[VoucherBatch]:
    """The batches, each with `voided`: how many of its codes were withdrawn one by one."""
    void = Voucher.objects.filter(batch=OuterRef("pk"), status=VoucherState.VOID).order_by()
    counted = void.values("batch").annotate(n=Count("*")).values("n")
    return batches.annotate(voided=Coalesce(Subquery(counted), 0))


def standing_of(batch: VoucherBatch, at: datetime) -> Standing:
    """How a batch that is read `with_voided` stands at this time."""
    void: int = batch.__dict__["voided"]
    left = batch.made - batch.redeemed - void
    ended = batch.withdrawn_at is not None or (batch.expires_at is not None and batch.expires_at <= at)
    return Standing(batch.made, batch.redeemed, void, left if ended else 0, 0 if ended else left)


def redeemed_by_day(batch_id: UUID, *, today: date, days: int = DAYS) -> list[tuple[date, int]]:
    """The codes redeemed on each of the last days (UTC), the oldest first."""
    since = today - timedelta(days=days - 1)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select (v.redeemed_at at time zone 'UTC')::date, count(*)
            from loyalty_vouchers v
            where v.batch_id = %s and v.status = 'redeemed' and v.redeemed_at >= %s
            group by 1
            """,
            [batch_id, since],
        )
        found = dict(cursor.fetchall())
    return [(day, found.get(day, 0)) for day in (since + timedelta(days=number) for number in range(days))]
