"""Running what a runbook asks: in a transaction that can only read, for five seconds at most, 200 rows at most.

The statement that is run is the one that is shown, with its values in it as literals, so that whoever must paste it
somewhere else in a bad hour pastes the very same question.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import islice
from typing import Any, Final

import structlog
from django.db import DatabaseError, DataError, InterfaceError, OperationalError, connection, transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from psycopg import ClientCursor
from psycopg.errors import QueryCanceled

from opsconsole.core.actors import Actor
from opsconsole.core.texts import Text
from opsconsole.runbooks.actions import ActionLink
from opsconsole.runbooks.checks import Check
from opsconsole.runbooks.diagnostics import Diagnostic, Values
from opsconsole.runbooks.errors import DiagnosticRefused, DiagnosticTooSlow, ParametersInvalid
from opsconsole.runbooks.parameters import Parameter, ParameterForm, filled_in

log = structlog.get_logger(__name__)

PATIENCE: Final = timedelta(seconds=5)
MOST_ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a diagnostic found; `more` says that there are further rows, `sql` is what was run."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool
    milliseconds: int
    sql: str


class Standing(StrEnum):
    """How an item of a checklist stands."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check came to, with its figures by name; none where there is nothing with these parameters."""

    standing: Standing
    figures: Mapping[str, Any]


def values_of(
    parameters: Sequence[Parameter], typed: Mapping[str, str], presets: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What was typed as values; raises ParametersInvalid with what is wrong with which."""
    form = ParameterForm(parameters, filled_in(parameters, typed, presets), part="values")
    if not form.is_valid():
        raise ParametersInvalid(_("This cannot be asked with what was typed."), errors=form.problems)
    return dict(form.cleaned_data)


def run(diagnostic: Diagnostic, values: Values, *, actor: Actor, patience: timedelta = PATIENCE) -> Outcome:
    """Ask; raises Denied, DiagnosticTooSlow or DiagnosticRefused. Nothing is written, whatever the question says."""
    actor.require(diagnostic.permission)
    began = time.monotonic()
    outcome = "failed"
    try:
        with reading(diagnostic.label, patience):
            columns, rows, sql = _answer(diagnostic, values)
        outcome = "answered"
    finally:
        took = int((time.monotonic() - began) * 1000)
        log.info("runbooks.diagnostic", name=diagnostic.name, actor=actor.id, outcome=outcome, milliseconds=took)
    return Outcome(columns, rows[:MOST_ROWS], len(rows) > MOST_ROWS, took, sql)


def judge(check: Check, values: Values, *, actor: Actor, patience: timedelta = PATIENCE) -> Finding:
    """What an item of a checklist comes to now; raises as `run` does."""
    actor.require(check.permission)
    with reading(check.label, patience):
        columns, rows = _fetched(literally(*check.statement(values)), 1)
    if not rows:
        return Finding(Standing.OPEN, {})
    figures = dict(zip(columns, rows[0], strict=True))
    in_order = figures.pop("in_order")
    if in_order is None:
        return Finding(Standing.OPEN, figures)
    return Finding(Standing.GOOD if in_order else Standing.BAD, figures)


def row_of(link: ActionLink, values: Values) -> object | None:
    """The key of the row on which an action stands, None where there is no such row; raises as `run` does."""
    if not callable(link.row):
        return values[link.row] if link.row else None
    with reading(link.label, PATIENCE):
        return link.row(values)


@contextmanager
def reading(what: Text, patience: timedelta) -> Iterator[None]:
    """A transaction that changes nothing, in which no statement lasts longer than this."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("set transaction read only")
                cursor.execute(f"set local statement_timeout = {max(int(patience.total_seconds() * 1000), 1)}")
            yield
            transaction.set_rollback(True)  # also gives back the limits, where this is part of a transaction
    except DatabaseError as error:
        raise _told(what, patience, error) from error


def literally(statement: str, values: Values | Sequence[Any]) -> str:
    """The statement with its values in it, quoted by the database's own rules."""
    connection.ensure_connection()
    return ClientCursor(connection.connection).mogrify(statement, values)


def _answer(diagnostic: Diagnostic, values: Values) -> tuple[tuple[str, ...], list[tuple[Any, ...]], str]:
    named = tuple(column.name for column in diagnostic.columns)
    if diagnostic.rows is not None:
        return named, [tuple(row) for row in islice(diagnostic.rows(values), MOST_ROWS + 1)], ""
    sql = literally(*diagnostic.statement(values))
    columns, rows = _fetched(sql, MOST_ROWS + 1)
    if columns != named:
        raise ValueError(f"{diagnostic.name} declares the columns {named} and answers with {columns}")
    return columns, rows, sql


def _fetched(sql: str, most: int) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """So many rows at most: a cursor leaves the rest where they are, however many that may be."""
    with connection.cursor() as cursor:
        cursor.execute(f"declare ops_runbook no scroll cursor for {sql}")
        cursor.execute(f"fetch forward {most} from ops_runbook")
        columns = tuple(column.name for column in cursor.description or ())
        rows = list(cursor.fetchall())
        cursor.execute("close ops_runbook")
    return columns, rows


def _told(what: Text, patience: timedelta, error: DatabaseError) -> Exception:
    """What a refusal of the database is to the reader; itself where the database is not there at all."""
    if isinstance(error.__cause__, QueryCanceled):
        seconds = f"{patience.total_seconds():g}"
        said = _("“{what}” had no answer after {seconds} seconds and was stopped. Narrow it, or look again later.")
        return DiagnosticTooSlow(format_lazy(said, what=what, seconds=seconds))
    if isinstance(error, DataError):
        said = _("“{what}” cannot be computed with these values: {error}")
        return ParametersInvalid(format_lazy(said, what=what, error=_sentence(error)))
    if isinstance(error, OperationalError | InterfaceError) and not connection.is_usable():
        return error
    said = _("The database refuses “{what}”: {error}")
    return DiagnosticRefused(format_lazy(said, what=what, error=_sentence(error)))


def _sentence(error: DatabaseError) -> str:
    return str(error).partition("\n")[0]
