"""Files of purchases: columns of customer, date, number of items and what was paid, with blanks between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.lines import BadLine, Content, FileRefused, LineFile, RawLine, raw_lines
from opsconsole.core.texts import Text

COLUMNS: Final = ("customer_id", "date", "number_of_cds", "dollar_value")
MAX_CUSTOMER: Final = 100
HEAD: Final = 1_000  # lines: what a file is known by again under another name

_DATE = re.compile(r"[0-9]{8}", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_AMOUNT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,2})?", re.ASCII)
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class GoodLine:
    """A line that describes a purchase."""

    number: int
    customer: str
    at: datetime
    paid: Decimal


PurchaseLine = GoodLine | BadLine


class PurchaseFile(LineFile[PurchaseLine]):
    """The lines of a file on disk after its header. None of them is later than `until`."""

    def __init__(self, path: Path, until: datetime) -> None:
        super().__init__(path)
        self._until = until

    @property
    def source(self) -> str:
        """What the file is called without its endings: packed or not, it is the same."""
        return self.path.name.removesuffix(".gz").removesuffix(".txt")

    def read(self, content: Content) -> Iterator[PurchaseLine]:
        """The lines of the unpacked content."""
        return read_purchases(content, self._until)

    def head(self) -> str:
        """A digest over the first HEAD lines; raises FileRefused as reading does, and for a pipe."""
        if self.path.is_fifo():
            raise FileRefused(f"{self.path} is a pipe: save it as a file, since it is read twice.", file=str(self.path))
        seen = sha256()
        for line in _Head(self.path):
            seen.update(line.text.encode("utf-8", "surrogateescape"))
        return seen.hexdigest()


class _Head(LineFile[RawLine]):
    def read(self, content: Content) -> Iterator[RawLine]:
        for line in raw_lines(content):
            yield line
            if line.number > HEAD:
                return


def read_purchases(content: Content, until: datetime) -> Iterator[PurchaseLine]:
    """Each line after the header, good or bad; empty lines are nothing.

    Raises FileRefused for a file without the header, or one that breaks off: with the line at which that showed.
    """
    headed = False
    for line in raw_lines(content):
        if not headed:
            if tuple(line.text.split()) != COLUMNS:
                wanted = format_lazy(_("The first line must name the columns {names}."), names=" ".join(COLUMNS))
                raise FileRefused(wanted, line=line.number)
            headed = True
        elif line.too_long:
            yield BadLine(line.number, (("", RawLine.TOO_LONG),))
        elif values := line.text.split():
            yield _line(line.number, values, until)


def _line(number: int, values: list[str], until: datetime) -> PurchaseLine:
    if len(values) != len(COLUMNS):
        counted = format_lazy(_("has {count} columns instead of {wanted}"), count=len(values), wanted=len(COLUMNS))
        return BadLine(number, (("", counted),))
    customer, date, items, paid = values
    at = _day(date)
    if (
        at is not None
        and _EARLIEST <= at <= until
        and len(customer) <= MAX_CUSTOMER
        and customer.isprintable()
        and _COUNT.fullmatch(items)
        and _AMOUNT.fullmatch(paid)
    ):
        return GoodLine(number, customer, at, Decimal(paid))
    return BadLine(number, tuple(_problems(customer, at, items, paid, until)))


def _problems(customer: str, at: datetime | None, items: str, paid: str, until: datetime) -> Iterator[tuple[str, Text]]:
    if len(customer) > MAX_CUSTOMER:
        yield "customer_id", format_lazy(_("is longer than {most} characters"), most=MAX_CUSTOMER)
    elif not customer.isprintable():
        yield "customer_id", _("holds bytes that are not UTF-8, or a control character")
    if at is None:
        yield "date", _("is no day written as YYYYMMDD")
    elif at > until:
        yield "date", _("is in the future")
    elif at < _EARLIEST:
        yield "date", _("is before 1970")
    if not _COUNT.fullmatch(items):
        yield "number_of_cds", _("is no number of items")
    if not _AMOUNT.fullmatch(paid):
        yield "dollar_value", _("is no amount of at most 12 digits with two decimals, 0 or more")


@lru_cache(maxsize=4_096)  # a file has many lines of few days
def _day(text: str) -> datetime | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
