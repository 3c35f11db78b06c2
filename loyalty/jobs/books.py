"""The books are reconciled and the ledger verified every day; what is new in it is digested every hour."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from loyalty.books import digests
from loyalty.books.outcomes import BROKEN, DRIFTED, RECONCILED, VERIFIED
from loyalty.books.reconcile import reconcile
from loyalty.due import books_not_since
from loyalty.jobs.watched import watched
from loyalty.services import books
from loyalty.workers import Worker
from opsconsole.core.actors import SYSTEM
from opsconsole.core.queue import enqueue
from opsconsole.core.schedule import periodic

PROVE: Final = "loyalty.jobs.books.prove"
DIGEST: Final = "loyalty.jobs.books.digest"
BOOKKEEPER: Final = SYSTEM("bookkeeper")
EVERY: Final = timedelta(days=1)
ADDED_UP: Final = [RECONCILED, DRIFTED]
HELD_AGAINST_DIGESTS: Final = [VERIFIED, BROKEN]


@periodic(every=timedelta(minutes=10))
def wake_proof() -> None:
    """Have the books proved when nobody has for a day, in one of the two ways."""
    if books_not_since(ADDED_UP, EVERY) or books_not_since(HELD_AGAINST_DIGESTS, EVERY):
        enqueue(PROVE)


@periodic(every=timedelta(hours=1))
def wake_digest() -> None:
    """Have what is new in the ledger digested."""
    enqueue(DIGEST)


def prove() -> None:
    """Add the books up and verify the ledger, whichever nobody has done for a day, and journal how that ended.

    A bad end is an event and a metric.
    """
    if books_not_since(ADDED_UP, EVERY):
        with watched(Worker.LEDGER_RECONCILER, "books", BOOKKEEPER):
            books.record_reconciliation(outcome=reconcile(), actor=BOOKKEEPER)
    if books_not_since(HELD_AGAINST_DIGESTS, EVERY):
        with watched(Worker.LEDGER_VERIFIER, "ledger", BOOKKEEPER):
            books.record_verification(outcome=digests.verify(), actor=BOOKKEEPER)


def digest() -> None:
    """Digest stretch after stretch, until the rest is too new."""
    with watched(Worker.LEDGER_DIGESTER, "ledger", BOOKKEEPER):
        while books.digest_ledger(actor=BOOKKEEPER) is not None:
            continue
