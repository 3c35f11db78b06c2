"""How proofs of the books end, as the journal has it: the newest entry about all of them is the last proof."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from loyalty.books.digests import LEDGER
from opsconsole.journal.models import Entry

RECONCILED: Final = "ledger.reconciled"
DRIFTED: Final = "ledger.drifted"
VERIFIED: Final = "ledger.verified"
BROKEN: Final = "ledger.broken"


@dataclass(frozen=True, slots=True)
class LastProof:
    """When the books were proved last, and what came of it."""

    at: datetime
    sound: bool
    facts: dict[str, Any]


def last_reconciliation() -> LastProof | None:
    """The last time that all balances, budgets and campaigns were added up."""
    return _last(RECONCILED, DRIFTED)


def last_verification() -> LastProof | None:
    """The last time that the ledger was held against its digests."""
    return _last(VERIFIED, BROKEN)


def _last(good: str, bad: str) -> LastProof | None:
    about = Entry.objects.filter(subject_kind=LEDGER.kind, subject_id=LEDGER.id, verb__in=[good, bad])
    entry = about.order_by("-at", "-seq").first()
    return None if entry is None else LastProof(entry.at, entry.verb == good, entry.content["after"])
