"""Diagnostics: named questions to the database that change nothing, run while the reader waits.

One is a statement with named parameters, `%(program_id)s`; a function that composes such a statement; or, for what is
not in the database, a function that returns rows. Its columns say how each value is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from textwrap import dedent
from typing import Any

from opsconsole.core.texts import Text
from opsconsole.runbooks.parameters import Parameter

Values = Mapping[str, Any]
Statement = tuple[str, Values | Sequence[Any]]
Compose = Callable[[Values], Statement]
Rows = Callable[[Values], Iterable[Sequence[Any]]]


class Shown(Enum):
    """How the values of a column are shown."""

    TEXT = auto()
    NUMBER = auto()  # whole
    AMOUNT = auto()  # with two decimals
    FIGURE = auto()  # whole where it is
    MOMENT = auto()
    DAY = auto()
    SPAN = auto()
    FLAG = auto()
    STATE = auto()  # in its colour
    CODE = auto()  # an id, or a statement
    JSON = auto()

    @property
    def is_number(self) -> bool:
        """Whether it stands to the right."""
        return self in (Shown.NUMBER, Shown.AMOUNT, Shown.FIGURE)


@dataclass(frozen=True, slots=True)
class Column:
    """A column by the name that the statement gives it.

    `words` are what people call the values of a state; `of` is the model whose key this is, `loyalty.Campaign`: the
    cell then leads to the row's page. `tell` says in words what a value means that people cannot read.
    """

    name: str
    label: Text
    shown: Shown = Shown.TEXT
    words: Mapping[str, Text] = field(default_factory=dict)
    of: str = ""
    tell: Callable[[Any], Text] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One question; exactly one of `sql`, `compose` and `rows` answers it."""

    name: str
    label: Text
    permission: str
    columns: Sequence[Column]
    parameters: Sequence[Parameter] = ()
    sql: str = ""
    compose: Compose | None = None
    rows: Rows | None = None
    empty: Text = ""  # what it means that there is no row

    def statement(self, values: Values) -> Statement:
        """The statement and its parameters; raises TypeError for one that is no statement."""
        if self.rows is not None:
            raise TypeError(f"{self.name} asks no database")
        text, given = self.compose(values) if self.compose is not None else (self.sql, values)
        return dedent(text).strip(), given
