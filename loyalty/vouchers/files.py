"""A batch's codes as a file, line by line: it is never whole anywhere on the way."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final
from uuid import UUID

from django.db import connection

from loyalty.models import VoucherBatch
from loyalty.vouchers.codes import grouped
from opsconsole.journal.exports import spreadsheet_safe
from opsconsole.journal.selectors import snapshot

COLUMNS: Final = ("code", "points", "status", "expires_at", "program", "batch")
CHUNK: Final = 5_000


def lines(batch_id: UUID) -> Iterator[str]:
    """The file in pieces of CHUNK rows, in the order in which the codes were made; with one view of them."""
    batch = VoucherBatch.objects.select_related("program").get(pk=batch_id)
    expires = batch.expires_at.isoformat() if batch.expires_at else ""
    told = [spreadsheet_safe(batch.program.name), spreadsheet_safe(batch.name)]
    yield _csv([COLUMNS])
    with snapshot(), connection.chunked_cursor() as cursor:
        cursor.execute("select code, status from loyalty_vouchers where batch_id = %s order by id", [batch_id])
        while rows := cursor.fetchmany(CHUNK):
            yield _csv([grouped(code), batch.points, status, expires, *told] for code, status in rows)


def _csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
