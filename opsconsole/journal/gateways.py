"""The checkpoints held outside the database, in artifact storage: what a cut of the journal's tail cannot reach.

One file per checkpoint, `journal/checkpoints/<size>.txt`, the size padded so that names sort. Where the bucket has
Object Lock, they cannot be removed either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.core.files.base import ContentFile
from django.core.files.storage import Storage

from opsconsole.core.storage import artifacts

FOLDER = "journal/checkpoints"
DIGITS = 16

_NAME = re.compile(rf"([0-9]{{{DIGITS}}})\.txt")


class OutsideCheckpoints:
    """The notes in artifact storage, by tree size."""

    def __init__(self, storage: Storage | None = None) -> None:
        self._storage = storage or artifacts()

    @staticmethod
    def name(size: int) -> str:
        """Where the note of this size lies."""
        return f"{FOLDER}/{size:0{DIGITS}d}.txt"

    def sizes(self) -> list[int]:
        """The sizes whose notes are held, ascending."""
        try:
            _, names = self._storage.listdir(FOLDER)
        except FileNotFoundError:
            return []
        matches = (_NAME.fullmatch(name) for name in names)
        return sorted(int(match[1]) for match in matches if match)

    def read(self, size: int) -> str:
        """The note of this size; bytes that are not UTF-8 come back as what no note can hold."""
        with self._storage.open(self.name(size)) as held:
            return bytes(held.read()).decode(errors="replace")

    def publish(self, newest_first: Iterable[tuple[int, str]]) -> int:
        """Write the notes that are not held yet, oldest first, and return how many.

        What is held is always a beginning of what there is, since writing goes in order and stops at a failure: so
        the walk back from the newest ends at the first note that is there. An interrupted pass is made up for by the
        next.
        """
        missing: list[tuple[int, str]] = []
        for size, note in newest_first:
            if self._holds(size):
                break
            missing.append((size, note))
        for size, note in reversed(missing):
            self._write(size, note)
        return len(missing)

    def _holds(self, size: int) -> bool:
        # An empty file is what a power cut leaves of one; it is written again.
        name = self.name(size)
        if not self._storage.exists(name):
            return False
        if self._storage.size(name):
            return True
        self._storage.delete(name)
        return False

    def _write(self, size: int, note: str) -> None:
        wanted = self.name(size)
        given = self._storage.save(wanted, ContentFile(note.encode()))
        if given != wanted:  # another sealer was faster: its file holds the same note
            self._storage.delete(given)
