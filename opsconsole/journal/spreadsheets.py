"""Entries as a workbook: a sheet of them to sort and filter, and one that says what they are. Written row by row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any, Final

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.styles import Font

from opsconsole.journal.exports import COLUMNS, readable, spreadsheet_safe

CELL: Final = 32_767  # characters, the most that the format allows
WIDTHS: Final = {"at": 20, "verb": 24, "subject_kind": 20, "subject_id": 38, "reason": 40, "body": 60, "id": 38}
TIME: Final = "yyyy-mm-dd hh:mm:ss"
AT: Final = COLUMNS.index("at")
LAST: Final = chr(ord("A") + len(COLUMNS) - 1)


class Workbook:
    """A workbook under way; `entries` were added, `cut` cells were longer than a cell can be."""

    def __init__(self) -> None:
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet("Entries")
        self._sheet.freeze_panes = "A2"
        for place, name in enumerate(COLUMNS):
            self._sheet.column_dimensions[chr(ord("A") + place)].width = WIDTHS.get(name, 14)
        self._sheet.append([self._head(name) for name in COLUMNS])
        self.entries = 0
        self.cut = 0

    def add(self, index: int, body: str) -> None:
        """A row: what a person sorts by, the time as a time (UTC), and the exact record."""
        cells: list[Any] = [index, *(self._text(cell) for cell in [*readable(json.loads(body)), body])]
        cells[1] = int(cells[1])
        at = WriteOnlyCell(self._sheet, datetime.fromisoformat(cells[AT]).astimezone(UTC).replace(tzinfo=None))
        at.number_format = TIME
        cells[AT] = at
        self._sheet.append(cells)
        self.entries += 1

    def save(self, file: IO[bytes], about: Mapping[str, Any]) -> None:
        """Write it all, with a sheet of these facts."""
        self._sheet.auto_filter.ref = f"A1:{LAST}{self.entries + 1}"
        sheet = self._book.create_sheet("About")
        sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 20, 80
        for name, value in about.items():
            sheet.append([name, value if isinstance(value, int) else self._text("" if value is None else str(value))])
        self._book.save(file)

    def _head(self, name: str) -> Cell:
        cell = WriteOnlyCell(self._sheet, name)
        cell.font = Font(bold=True)
        return cell

    def _text(self, text: str) -> str:
        """As a cell may hold it: no formula, no control characters, not too long."""
        told = spreadsheet_safe(ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", text))
        if len(told) > CELL:
            self.cut += 1
            told = told[:CELL]
        return told
