"""What can go wrong with the journal.

Conflict 409 ── NotSealed       the entry has no place in the signed tree yet
Unavailable 503 ── NoCheckpoint nothing has been sealed at all
                └─ JournalDamaged  rows that must be there are not
"""

from __future__ import annotations

from opsconsole.core.errors import Conflict, Unavailable


class NotSealed(Conflict):
    """The entry was written moments ago; the sealer has not reached it."""

    code = "not_sealed"


class NoCheckpoint(Unavailable):
    """There is no signed checkpoint yet."""

    code = "no_checkpoint"


class JournalDamaged(Unavailable):
    """The stored tree has a hole: somebody was at it."""

    code = "journal_damaged"
