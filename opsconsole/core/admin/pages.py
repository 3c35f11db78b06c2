"""What a page of the admin is made of: sections of facts and tables, notices, fragments with their own template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.db.models import Model

from opsconsole.core.admin import display
from opsconsole.core.texts import Text


@dataclass(frozen=True, slots=True)
class Link:
    """Where a section leads on to."""

    url: str
    text: Text


@dataclass(frozen=True, slots=True)
class Crumb:
    """A row as unfold's path to it names it: by the heading of its page."""

    row: Model
    heading: Text

    @property
    def _meta(self) -> Any:
        return self.row._meta

    @property
    def pk(self) -> Any:
        """Its key."""
        return self.row.pk

    def __str__(self) -> str:
        return str(self.heading)


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    template: ClassVar[str] = "console/sections/facts.html"
    title: Text
    rows: Sequence[tuple[Text, Any]]
    more: Link | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """A few numbers that matter most, each with its name and, where there is a list behind it, a link."""

    template: ClassVar[str] = "console/sections/figures.html"
    title: Text
    figures: Sequence[tuple[Text, Any, str]]
    more: Link | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; numbers stand to the right."""

    title: Text
    right: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; `empty` is said where there are none."""

    template: ClassVar[str] = "console/sections/table.html"
    title: Text
    columns: Sequence[Column | Text]
    rows: Iterable[Sequence[Any]]
    empty: Text = ""
    note: Text = ""
    more: Link | None = None

    @property
    def heads(self) -> list[Column]:
        """The columns, all of them as such."""
        return [column if isinstance(column, Column) else Column(column) for column in self.columns]

    @property
    def lines(self) -> list[list[tuple[Column, Any]]]:
        """The rows, each cell with its column."""
        heads = self.heads
        return [list(zip(heads, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that must not be overlooked; `original` is what it translates, where that is what counts."""

    template: ClassVar[str] = "console/sections/notice.html"
    text: Text
    tone: str = "info"
    title: Text = ""
    original: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Anything else: a template with what it needs."""

    template: str
    title: Text = ""
    context: dict[str, Any] = field(default_factory=dict)
    more: Link | None = None


Section = Facts | Figures | Table | Notice | Fragment


def table_of(title: Text, objects: Sequence[Mapping[str, Any]]) -> Table:
    """JSON objects as a table, a line each: without what none of them says, the currency beside the money."""
    keys = display.ordered(key for one in objects for key, value in one.items() if value not in (None, "", [], {}))
    moved = [key for key in keys if key in display.AMOUNTS]
    if moved and all(one.get("currency") for one in objects):
        keys.remove("currency")
    else:
        moved = []
    return Table(
        title,
        [Column(display.word(key), right=key in display.RIGHT) for key in keys],
        [[_cell(key, one, money=key in moved) for key in keys] for one in objects],
    )


def _cell(key: str, one: Mapping[str, Any], *, money: bool) -> Any:
    value = one.get(key)
    return display.money(value, one["currency"]) if money and value else display.member(key, value)
