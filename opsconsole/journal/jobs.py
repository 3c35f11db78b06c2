"""The journal's periodic work: sealing every second, verifying every day."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from opsconsole.core.actors import SYSTEM
from opsconsole.core.queue import enqueue
from opsconsole.core.schedule import periodic
from opsconsole.journal import selectors, services
from opsconsole.journal.gateways import OutsideCheckpoints
from opsconsole.journal.verify import verify

SEALER = SYSTEM("sealer")
VERIFIER = SYSTEM("verifier")
MOST_BATCHES = 100  # the scheduler has other work: what is left over is sealed a second later
VERIFY_EVERY = timedelta(days=1)


@periodic(every=timedelta(seconds=1))
def seal_entries() -> None:
    """Seal what has been written, a checkpoint for every batch, and put the checkpoints outside."""
    for _ in range(MOST_BATCHES):
        if services.seal(actor=SEALER) < services.BATCH:
            break
    OutsideCheckpoints().publish(selectors.notes_newest_first())


@periodic(every=timedelta(minutes=10))
def wake_verification() -> None:
    """Have a worker verify the journal when nobody has for a day."""
    check = selectors.last_check()
    if check is None or timezone.now() - check.at >= VERIFY_EVERY:
        enqueue("opsconsole.journal.jobs.verify_journal")


def verify_journal() -> None:
    """Verify everything and journal how it ended; a bad end is an event and a metric."""
    services.record_verification(outcome=verify(), actor=VERIFIER)
