"""How a check of the journal ends, in the words of its report and of its journal entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

VERIFIED = "journal.verified"
BROKEN = "journal.broken"
EXPORTED = "journal.exported"

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written: which row, by what identifies it, and what is wrong with it."""

    what: str
    seq: int | None = None
    entry: str | None = None
    index: int | None = None

    def __str__(self) -> str:
        named = [
            f"{label} {value}"
            for label, value in (("seq", self.seq), ("id", self.entry), ("leaf", self.index))
            if value is not None
        ]
        return f"{', '.join(named)}: {self.what}" if named else self.what


@dataclass(slots=True)
class Outcome:
    """What a verification saw: counts, the findings in the order of the tree, and what is only worth a remark."""

    entries: int = 0
    sealed: int = 0
    unsealed: int = 0
    checkpoints: int = 0
    outside: int = 0
    size: int = 0
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def facts(self) -> dict[str, Any]:
        """The outcome as it is journalled: numbers, and the first findings as sentences."""
        return {
            "sound": self.sound,
            "entries": self.entries,
            "sealed": self.sealed,
            "unsealed": self.unsealed,
            "checkpoints": self.checkpoints,
            "outside": self.outside,
            "size": self.size,
            "findings": [str(finding) for finding in self.findings[:SHOWN]],
            "remarks": self.remarks[:SHOWN],
        }
