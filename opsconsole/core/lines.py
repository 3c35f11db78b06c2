"""Files that are read line by line in constant memory, plain or gzip, from a disk or from an upload.

Every line stands for itself: broken bytes or a line of a gigabyte spoil that line and no other.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Final, Generic, TypeVar

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Invalid
from opsconsole.core.texts import Text, english, one_after_another

MAX_LINE: Final = 10_000  # characters; the longest line that means anything needs a tenth of it
GZIP: Final = b"\x1f\x8b"

Line = TypeVar("Line")
Content = BinaryIO | gzip.GzipFile


class FileRefused(Invalid):
    """The file cannot be read as what it should be, or not to its end; `line` is where that shows."""

    code = "file_refused"


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot stand, with what is wrong in each column; the column is empty where the line itself is."""

    number: int
    problems: tuple[tuple[str, Text], ...]

    @property
    def told(self) -> Text:
        """All of it as one text."""
        said = [format_lazy("{} {}", column, why) if column else why for column, why in self.problems]
        return format_lazy(_("line {number}: {problems}"), number=self.number, problems=one_after_another(said))

    def __str__(self) -> str:
        return english(self.told)


class LineFile(Generic[Line]):
    """The lines of a file on disk, which is opened when the first of them is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._raw: io.BufferedReader | None = None

    def read(self, content: Content) -> Iterator[Line]:
        """The lines of the unpacked content."""
        raise NotImplementedError

    @property
    def position(self) -> int:
        """How many of its `size` bytes have been read."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.size

    def __iter__(self) -> Iterator[Line]:
        """Each line, as `read` has it; raises FileRefused if the file cannot be had."""
        try:
            raw = self._raw = self.path.open("rb")
            start = raw.peek(len(GZIP))[: len(GZIP)]
            self.size = self.path.stat().st_size
        except OSError as error:
            raise FileRefused(f"{self.path}: {error.strerror}.", file=str(self.path)) from error
        with raw:
            if start != GZIP:
                yield from self.read(raw)
                return
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield from self.read(unpacked)


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line as it stands; `too_long` when it has more than MAX_LINE characters, and then its text is not kept."""

    number: int
    text: str
    too_long: bool = False

    TOO_LONG: ClassVar[Text] = format_lazy(_("is longer than {most} characters"), most=MAX_LINE)


def raw_lines(content: Content) -> Iterator[RawLine]:
    """Each line, numbered as an editor does; bytes that are no UTF-8 come as lone surrogates (surrogateescape).

    Raises FileRefused for a file that is empty or breaks off, with the line at which that showed.
    """
    text = io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape")
    number = 0
    try:
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
            yield RawLine(number, "" if too_long else line, too_long)
    finally:
        text.detach()
    if not number:
        raise FileRefused(_("The file is empty."), line=1)


def chunks(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    """Full chunks and a rest. A file that breaks off gives what it had, and then its FileRefused."""
    chunk: list[Line] = []
    try:
        for line in lines:
            chunk.append(line)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except FileRefused:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk
