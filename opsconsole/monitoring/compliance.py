"""The journal exported for compliance: one file for each day (UTC), complete, with its proof, in artifact storage."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.core.files import File

from opsconsole.core.actors import SYSTEM
from opsconsole.core.storage import artifacts
from opsconsole.journal.exports import Export
from opsconsole.journal.models import Entry
from opsconsole.journal.outcomes import EXPORTED

FOLDER: Final = "compliance"
IN_MEMORY: Final = 8 * 1024 * 1024
EXPORTER: Final = SYSTEM("compliance-export")


def name_of(day: date) -> str:
    """The name of a day's file in artifact storage."""
    return f"{FOLDER}/journal-{day.isoformat()}.jsonl"


def last_export() -> datetime | None:
    """Up to when the journal is exported: days are exported one after the other; None before the first.

    What people export themselves, however often, does not count.
    """
    newest = Entry.objects.filter(verb=EXPORTED, actor_id=EXPORTER.id).order_by("-at", "-seq").first()
    return None if newest is None else datetime.fromisoformat(newest.content["after"]["until"])


def next_day() -> date | None:
    """The oldest whole day that is not exported yet; None when there is none, or nothing in the journal."""
    until = last_export()
    if until is None:
        first = Entry.objects.order_by("at", "seq").values_list("at", flat=True).first()
        if first is None:
            return None
        due = first.astimezone(UTC).date()
    else:
        due = until.astimezone(UTC).date()
    return due if due < datetime.now(tz=UTC).date() else None


class Written:
    """A day's file as it was stored: its name, its SHA-256, and how many entries it holds."""

    def __init__(self, day: date) -> None:
        self.since = datetime.combine(day, time(), tzinfo=UTC)
        self.until = self.since + timedelta(days=1)
        self.file, self.sha256, self.entries, self.unsealed = name_of(day), "", 0, 0


def write_day(day: date) -> Written:
    """Store a day's file, by way of the disk, however large it is.

    Where entries of that day are not sealed yet nothing is stored, and `unsealed` says how many they are.
    """
    written = Written(day)
    export, running = Export(written.since, written.until, "jsonl"), hashlib.sha256()
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as buffer:
        for line in export:
            piece = line.encode()
            running.update(piece)
            buffer.write(piece)
        written.entries, written.unsealed, written.sha256 = export.entries, export.unsealed, running.hexdigest()
        if not written.unsealed:
            buffer.seek(0)
            # What is stored is never removed: beside the file of an export that was killed it gets a name of its own.
            written.file = artifacts().save(written.file, File(buffer))
    return written
