"""What changes the journal besides entries: sealing, and the record of checks and exports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal import keys
from opsconsole.journal.notes import TreeHead
from opsconsole.journal.outcomes import BROKEN, EXPORTED, VERIFIED, Outcome
from opsconsole.journal.record import Subject, record

BATCH = 1_000


@operation
def seal(*, actor: Actor, most: int = BATCH) -> int:
    """Give up to `most` pending entries their leaves, sign the tree as it then is, and return how many they were.

    Exactly once, whatever runs at the same time: the rows leave the queue, become leaves and are signed for in one
    transaction, one sealer at a time, and an entry is in the queue only once its own transaction has committed. This
    is the one operation that leaves no journal entry, since sealing that would never end.
    """
    actor.require("journal.seal_journal")
    with connection.cursor() as cursor:
        cursor.execute("select sealed, size, root, at from journal_seal(%s)", [most])
        sealed, size, root, at = cursor.fetchone()
        if sealed:
            head = TreeHead(settings.JOURNAL_ORIGIN, size, bytes(root), at)
            cursor.execute("select journal_checkpoint(%s)", [keys.signer().sign(head.text)])
    return int(sealed)


@operation
def record_verification(*, outcome: Outcome, actor: Actor) -> None:
    """Journal how a verification ended; a bad end is an event as well. The newest such entry is the last check."""
    actor.require("journal.verify_journal")
    facts = outcome.facts()
    record(actor, VERIFIED if outcome.sound else BROKEN, _journal(), after=facts)
    if not outcome.sound:
        emit(BROKEN, kind="journal", id=settings.JOURNAL_ORIGIN, data=facts)


@operation
def record_export(
    *,
    since: datetime | None,
    until: datetime | None,
    form: str,
    entries: int,
    actor: Actor,
    file: str = "",
    sha256: str = "",
    narrowed: Mapping[str, Any] | None = None,
    copy_of: str = "",
) -> None:
    """Journal that entries left the house.

    `file` names the artifact where they were stored as one, `copy_of` the one of an earlier export that was taken away;
    `narrowed` says which entries were meant besides the time.
    """
    actor.require("journal.export_journal")
    facts: dict[str, Any] = {"since": since, "until": until, "format": form, "entries": entries}
    more = {"file": file, "sha256": sha256, "narrowed": dict(narrowed or {}), "copy_of": copy_of}
    facts |= {name: value for name, value in more.items() if value}
    record(actor, EXPORTED, _journal(), after=facts)


def _journal() -> Subject:
    return Subject("journal", settings.JOURNAL_ORIGIN)
