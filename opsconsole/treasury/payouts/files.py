"""Payout files: CSV in UTF-8, plain or gzip, read line by line in constant memory.

An open quote spoils its line and no other. So a quoted field cannot hold a line break, which no bank would take anyway.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.lines import BadLine, Content, FileRefused, LineFile, RawLine, raw_lines
from opsconsole.core.texts import Text, one_after_another
from opsconsole.treasury.payouts.facts import (
    COLUMNS,
    OPTIONAL,
    FactsRefused,
    PayoutFacts,
    read_facts,
)


@dataclass(frozen=True, slots=True)
class GoodLine:
    """A line that describes a payout."""

    number: int
    facts: PayoutFacts


class PayoutFile(LineFile[GoodLine | BadLine]):
    """The lines of a file on disk after its header, as `read_payouts` has them."""

    def read(self, content: Content) -> Iterator[GoodLine | BadLine]:
        """The lines of the unpacked content."""
        return read_payouts(content)


def read_payouts(content: Content) -> Iterator[GoodLine | BadLine]:
    """Each line after the header, good or bad; empty lines are nothing.

    Raises FileRefused for a file without the header, or one that breaks off: with the line at which that showed.
    """
    header: list[str] | None = None
    for line in raw_lines(content):
        if header is None:
            header = _header(line)
        elif line.too_long:
            yield BadLine(line.number, (("", RawLine.TOO_LONG),))
        elif line.text.strip():
            yield _line(line, header)


def _header(line: RawLine) -> list[str]:
    needed = [name for name in COLUMNS if name not in OPTIONAL]
    try:
        names = [name.strip() for name in _split(line.text)]
    except csv.Error:
        names = []
    if len(set(names)) != len(names) or set(names) - set(COLUMNS) or set(needed) - set(names):
        missing = ", ".join(name for name in needed if name not in names)
        extra = ", ".join(repr(name) for name in names if name not in COLUMNS)[:200]
        odd: list[Text] = []
        if missing:
            odd.append(format_lazy(_("missing: {columns}"), columns=missing))
        if extra:
            odd.append(format_lazy(_("unknown: {columns}"), columns=extra))
        wanted = format_lazy(
            _("The first line must name the columns {needed}, and may name {optional}"),
            needed=",".join(needed),
            optional=",".join(sorted(OPTIONAL)),
        )
        detail = format_lazy(" ({})", one_after_another(odd)) if odd else ""
        raise FileRefused(format_lazy("{}{}.", wanted, detail), line=line.number)
    return names


def _line(line: RawLine, header: Sequence[str]) -> GoodLine | BadLine:
    try:
        values = _split(line.text)
    except csv.Error:
        problem = _("has a quote that is not closed on the line, or stands in the wrong place")
        return BadLine(line.number, (("", problem),))
    if len(values) != len(header):
        counted = format_lazy(_("has {count} columns; the header names {named}"), count=len(values), named=len(header))
        return BadLine(line.number, (("", counted),))
    try:
        return GoodLine(line.number, read_facts(dict(zip(header, values, strict=True))))
    except FactsRefused as refused:
        return BadLine(line.number, tuple(refused.problems.items()))


def _split(line: str) -> list[str]:
    return next(csv.reader([line.rstrip("\n")], strict=True), [])
