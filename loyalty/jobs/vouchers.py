"""Codes of vouchers are made by a worker, chunk by chunk; what an interruption left is gone on with."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from loyalty.selectors import unfinished_batches
from loyalty.services import vouchers
from loyalty.services.vouchers import MAKE_CODES
from opsconsole.core.actors import SYSTEM
from opsconsole.core.queue import enqueue, leaving
from opsconsole.core.schedule import periodic

VOUCHERS = SYSTEM("vouchers")


def make_codes(batch_id: str) -> None:
    """Make the codes that a batch lacks; safe to call at any time, also while another worker is at it."""
    while not leaving():
        batch = vouchers.make_codes(batch_id=UUID(batch_id), actor=VOUCHERS)
        if batch.is_made or batch.withdrawn_at is not None:
            return


@periodic(every=timedelta(seconds=30))
def wake_voucher_batches() -> None:
    """Wake a worker for every batch that lacks codes."""
    for batch_id in unfinished_batches():
        enqueue(MAKE_CODES, str(batch_id))


@periodic(every=timedelta(hours=1))
def drop_old_misses() -> None:
    """Forget wrong codes that count no more."""
    vouchers.drop_old_misses(actor=VOUCHERS)
