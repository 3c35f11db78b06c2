"""What can go wrong with the journal.

Conflict 409 ┬─ NotSealed       the entry has no place in the signed tree yet
             ├─ TooManyEntries  more than one file takes
             └─ FileGone        the file of an export is lost or altered
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


class TooManyEntries(Conflict):
    """More entries than one file takes."""

    code = "too_many_entries"


class FileGone(Conflict):
    """The file of an export is not in the storage any more, or is not what was exported."""

    code = "file_gone"
