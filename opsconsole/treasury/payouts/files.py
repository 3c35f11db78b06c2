"""Payout files: CSV in UTF-8, plain or gzip, read line by line in constant memory.

Every line stands for itself: an open quote, broken bytes or a line of a gigabyte spoil that line and no other. So a
quoted field cannot hold a line break, which no bank would take anyway.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.texts import Text, english
from opsconsole.treasury.errors import FileRefused
from opsconsole.treasury.payouts.facts import (
    COLUMNS,
    OPTIONAL,
    FactsRefused,
    PayoutFacts,
    one_after_another,
    read_facts,
)

MAX_LINE: Final = 10_000  # characters; a payout with everything in it needs 700
GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class GoodLine:
    """A line that describes a payout."""

    number: int
    facts: PayoutFacts


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that does not, with what is wrong in each column; the column is empty where the line itself is."""

    number: int
    problems: tuple[tuple[str, Text], ...]

    @property
    def told(self) -> Text:
        """All of it as one text."""
        said = [format_lazy("{} {}", column, why) if column else why for column, why in self.problems]
        return format_lazy(_("line {number}: {problems}"), number=self.number, problems=one_after_another(said))

    def __str__(self) -> str:
        return english(self.told)


class PayoutFile:
    """The lines of a file on disk, which is opened when the first of them is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._raw: io.BufferedReader | None = None

    @property
    def position(self) -> int:
        """How many of its `size` bytes have been read."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.size

    def __iter__(self) -> Iterator[GoodLine | BadLine]:
        """Each line after the header, as `read_payouts` has it; raises FileRefused if the file cannot be had."""
        try:
            raw = self._raw = self.path.open("rb")
            start = raw.peek(len(GZIP))[: len(GZIP)]
            self.size = self.path.stat().st_size
        except OSError as error:
            raise FileRefused(f"{self.path}: {error.strerror}.", file=str(self.path)) from error
        with raw:
            if start != GZIP:
                yield from read_payouts(raw)
                return
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield from read_payouts(unpacked)


def read_payouts(content: BinaryIO | gzip.GzipFile) -> Iterator[GoodLine | BadLine]:
    """Each line after the header, good or bad; empty lines are nothing.

    Raises FileRefused for a file without the header, or one that breaks off: with the line at which that showed.
    """
    text = io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape")
    try:
        yield from _lines(text)
    finally:
        text.detach()


def _lines(text: io.TextIOWrapper) -> Iterator[GoodLine | BadLine]:
    header: list[str] | None = None
    number = 0
    while True:
        try:
            line = text.readline(MAX_LINE + 1)
            too_long = len(line) > MAX_LINE and not line.endswith("\n")
            while too_long and not line.endswith("\n"):
                line = text.readline(MAX_LINE) or "\n"
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileRefused(
                format_lazy(_("The file breaks off after line {line}: {error}."), line=number, error=error),
                line=number + 1,
            ) from error
        if not line:
            break
        number += 1
        if header is None:
            header = _header(line, number, too_long=too_long)
        elif too_long:
            yield BadLine(number, (("", format_lazy(_("is longer than {most} characters"), most=MAX_LINE)),))
        elif line.strip():
            yield _line(line, number, header)
    if header is None:
        raise FileRefused(_("The file is empty."), line=1)


def _header(line: str, number: int, *, too_long: bool) -> list[str]:
    needed = [name for name in COLUMNS if name not in OPTIONAL]
    try:
        names = [] if too_long else [name.strip() for name in _split(line)]
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
        raise FileRefused(format_lazy("{}{}.", wanted, detail), line=number)
    return names


def _line(line: str, number: int, header: Sequence[str]) -> GoodLine | BadLine:
    try:
        values = _split(line)
    except csv.Error:
        return BadLine(number, (("", _("has a quote that is not closed on the line, or stands in the wrong place")),))
    if len(values) != len(header):
        counted = format_lazy(_("has {count} columns; the header names {named}"), count=len(values), named=len(header))
        return BadLine(number, (("", counted),))
    try:
        return GoodLine(number, read_facts(dict(zip(header, values, strict=True))))
    except FactsRefused as refused:
        return BadLine(number, tuple(refused.problems.items()))


def _split(line: str) -> list[str]:
    return next(csv.reader([line.rstrip("\n")], strict=True), [])
