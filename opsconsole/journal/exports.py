"""Exports: sealed entries of a stretch of time, in one file that proves itself offline.

The rows come in the order of the tree, each with its leaf index and the exact bytes of its record. The last line is
the proof: the newest signed checkpoint, and the hashes of the perfect subtrees that cover every other leaf, so that
whoever hashes the rows arrives at the signed root. Two forms:

* jsonl: `{"leaf_index": 7, "body": "{...}"}` for each entry, at last `{"proof": {...}}`;
* csv: the columns of COLUMNS, at last a row whose first cell is `proof` and whose last is the proof as JSON. A cell
  that a spreadsheet would take for a formula gets an apostrophe in front; `body` never needs one.

The proof: `{"v": 1, "since", "until", "entries", "unsealed", "skipped": [[first leaf, level, base64], ...],
"checkpoint": the note}`.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from opsconsole.journal.merkle import perfect_parts
from opsconsole.journal.models import Checkpoint
from opsconsole.journal.proofs import newest_checkpoint, perfect_hash
from opsconsole.journal.selectors import snapshot, stream

Form = Literal["csv", "jsonl"]

COLUMNS = (
    "leaf_index",
    "seq",
    "id",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "verb",
    "subject_kind",
    "subject_id",
    "reason",
    "request_id",
    "body",
)
PROOF = "proof"
FORMULA = ("=", "+", "-", "@", "\t", "\r")

_ROWS = """
    select l.index, e.body from journal_entries e join journal_leaves l on l.seq = e.seq
    where e.at >= %s and e.at < %s and l.index < %s order by l.index
"""
_UNSEALED = """
    select count(*) from journal_pending p join journal_entries e on e.seq = p.seq where e.at >= %s and e.at < %s
"""


@dataclass(slots=True)
class Export:
    """An export under way: iterate over its lines; `entries` and `unsealed` are right when they have ended."""

    since: datetime | None
    until: datetime | None
    form: Form
    entries: int = 0
    unsealed: int = 0
    _gaps: list[tuple[int, int]] = field(default_factory=list)

    def __iter__(self) -> Iterator[str]:
        """The lines of the file; one snapshot is held until the last. Raises NoCheckpoint before anything is sealed."""
        with snapshot():
            head = newest_checkpoint()
            window = [self.since or datetime.min.replace(tzinfo=UTC), self.until or datetime.max.replace(tzinfo=UTC)]
            if self.form == "csv":
                yield csv_line(COLUMNS)
            following = 0
            for rows in stream(_ROWS, [*window, head.size]):
                for index, body in rows:
                    if index > following:
                        self._gaps.append((following, index))
                    following = index + 1
                    self.entries += 1
                    yield self._line(index, body)
            self._gaps.append((following, head.size))
            self.unsealed = next(rows[0][0] for rows in stream(_UNSEALED, window))
            yield self._last_line(head)

    def _line(self, index: int, body: str) -> str:
        if self.form == "jsonl":
            return json.dumps({"leaf_index": index, "body": body}, ensure_ascii=False) + "\n"
        entry = json.loads(body)
        return csv_line(map(spreadsheet_safe, [index, *readable(entry), body]))

    def _last_line(self, head: Checkpoint) -> str:
        proof = {
            "v": 1,
            "since": self.since and stamp(self.since),
            "until": self.until and stamp(self.until),
            "entries": self.entries,
            "unsealed": self.unsealed,
            "skipped": [
                [index << level, level, base64.b64encode(perfect_hash(level, index)).decode()]
                for start, end in self._gaps
                for level, index in perfect_parts(start, end)
            ],
            "checkpoint": head.note,
        }
        if self.form == "jsonl":
            return json.dumps({PROOF: proof}, ensure_ascii=False) + "\n"
        return csv_line([PROOF, *[""] * (len(COLUMNS) - 2), json.dumps(proof, ensure_ascii=False)])


def readable(entry: dict[str, Any]) -> list[str]:
    """The cells between index and body: what a person wants to sort and filter by."""
    actor, subject = entry["actor"], entry["subject"]
    return [
        str(entry["seq"]),
        entry["id"],
        entry["at"],
        actor["kind"],
        actor["id"],
        actor["name"],
        entry["verb"],
        subject["kind"],
        subject["id"],
        entry["reason"],
        entry["request_id"],
    ]


def spreadsheet_safe(cell: object) -> str:
    """The cell, with an apostrophe in front where a spreadsheet would calculate it."""
    text = str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def csv_line(cells: Any) -> str:
    """One line of a CSV file."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def stamp(at: datetime) -> str:
    """A time as the journal writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
