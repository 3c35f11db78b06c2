"""Bringing purchases in by the file: a chunk is an operation, so what a killed import has loaded stays loaded.

Running the same file again goes on where it stopped: a line is known by the file's name and its number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.earning import rates_of_days_past
from loyalty.errors import BudgetExhausted, ImportRefused, ProgramSuspended
from loyalty.importing import rows
from loyalty.importing.files import GoodLine, PurchaseLine
from loyalty.ledger import MOST_POINTS
from loyalty.models import Program
from loyalty.selectors import imported_as
from loyalty.states import ProgramState
from opsconsole.core.actors import Actor
from opsconsole.core.faults import crashpoint
from opsconsole.core.lines import BadLine, chunks
from opsconsole.core.operations import operation
from opsconsole.core.texts import Text
from opsconsole.journal.record import record

CHUNK: Final = 10_000
PERMISSION: Final = "loyalty.import_purchases"
MAX_SOURCE: Final = 150

OnBad = Callable[[BadLine], None]
OnProgress = Callable[["Totals"], None]

_REFUSED: Final[dict[str, tuple[str, Text]]] = {
    rows.DIFFERS: ("", _("was loaded before with another customer, date or amount")),
    rows.FROZEN: ("customer_id", _("is a frozen member: nothing is earned")),
}
_TOO_MUCH: Final[Text] = format_lazy(_("comes to more than {most} points"), most=MOST_POINTS)


@dataclass(frozen=True, slots=True)
class Source:
    """Where purchases come from: `name` and a line's number make its key; `head` knows the file under another name."""

    name: str
    file: str
    head: str


@dataclass(slots=True)
class Totals:
    """What became of the lines so far: loaded now, there before, without points, refused; and sums of what is new."""

    loaded: int = 0
    known: int = 0
    skipped: int = 0
    refused: int = 0
    points: int = 0
    paid: Decimal = Decimal(0)
    first_line: int = 0
    last_line: int = 0

    @property
    def lines(self) -> int:
        """Every line that was looked at."""
        return self.loaded + self.known + self.skipped + self.refused

    def add(self, other: Totals) -> None:
        """Count another chunk in."""
        for name in ("loaded", "known", "skipped", "refused", "points", "paid"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first_line = self.first_line or other.first_line
        self.last_line = other.last_line or self.last_line

    def as_json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        counted = {name: getattr(self, name) for name in ("loaded", "known", "skipped", "refused", "points", "paid")}
        return {**counted, "lines": [self.first_line, self.last_line]}


def import_purchases(
    *,
    program_id: UUID,
    lines: Iterable[PurchaseLine],
    source: Source,
    on_bad: OnBad,
    on_progress: OnProgress,
    actor: Actor,
) -> Totals:
    """Load the good lines, chunk by chunk, and tell `on_bad` of every other; raises Denied before reading any.

    No operation itself: each chunk is one, with a journal entry of its own. Raises BudgetExhausted at the chunk that
    the budget does not cover; what was loaded before it stays, and the same import goes on with more budget.
    """
    _require_loadable(program_id=program_id, source=source, actor=actor)
    totals = Totals()
    for chunk in chunks(lines, CHUNK):
        counted, refused = load_chunk(program_id=program_id, lines=chunk, source=source, actor=actor)
        crashpoint("loyalty.import.after_chunk")
        for bad in refused:
            on_bad(bad)
        totals.add(counted)
        on_progress(totals)
    if totals.loaded:
        rows.refresh_statistics()
    return totals


def _require_loadable(*, program_id: UUID, source: Source, actor: Actor) -> Program:
    """The program, if this source may be loaded into it now; raises Denied, ProgramSuspended and ImportRefused."""
    program = access.program_to_use(actor, program_id, PERMISSION)
    if program.status != ProgramState.ACTIVE:
        raise ProgramSuspended(_("Program is suspended"), program=str(program.pk))
    if not 0 < len(source.name) <= MAX_SOURCE:
        raise ImportRefused(
            format_lazy(_("The name that lines are known by takes 1 to {most} characters."), most=MAX_SOURCE)
        )
    before = imported_as(program, source.head)
    if before not in (None, source.name):
        raise ImportRefused(
            format_lazy(
                _("This file was loaded as {before} before: as {name} every purchase would count twice."),
                before=before,
                name=source.name,
            ),
            source=before,
        )
    return program


@operation
def load_chunk(
    *, program_id: UUID, lines: Sequence[PurchaseLine], source: Source, actor: Actor
) -> tuple[Totals, list[BadLine]]:
    """Load the good lines of a chunk; the counts, and every line that was refused with its reasons, in order."""
    program = access.program_to_use(actor, program_id, PERMISSION)
    rows.begin(program.pk, source.name)
    counted, refused = _stage(program, lines, source)
    crashpoint("loyalty.import.in_chunk")
    refused = _post(program, counted, refused, source, actor, _("What was loaded before them stays."))
    return counted, refused


@operation
def import_purchases_whole(
    *,
    program_id: UUID,
    lines: Iterable[PurchaseLine],
    source: Source,
    on_bad: OnBad,
    on_progress: OnProgress,
    actor: Actor,
) -> Totals:
    """Load the whole file or nothing of it; raises ImportRefused, after the last line, when any was refused."""
    program = _require_loadable(program_id=program_id, source=source, actor=actor)
    rows.begin(program.pk, source.name)
    totals = Totals()
    for chunk in chunks(lines, CHUNK):
        counted, refused = _stage(program, chunk, source)
        for bad in refused:
            on_bad(bad)
        totals.add(counted)
        on_progress(totals)
        crashpoint("loyalty.import.in_chunk")
    for bad in _sort(program, totals):
        on_bad(bad)
    if totals.refused:
        raise ImportRefused(
            format_lazy(
                _("{count} of {all} lines are refused, so nothing was loaded."), count=totals.refused, all=totals.lines
            ),
            refused=totals.refused,
            lines=totals.lines,
        )
    _write(program, totals, source, actor, _("Nothing was loaded."))
    if totals.loaded:
        rows.refresh_statistics()
    return totals


def _stage(program: Program, lines: Sequence[PurchaseLine], source: Source) -> tuple[Totals, list[BadLine]]:
    """Stage what earns points. `loaded` is what is staged, until it is known what of it is new."""
    counted = Totals(first_line=lines[0].number, last_line=lines[-1].number)
    rate = rates_of_days_past(program)
    staged: list[rows.Staged] = []
    refused: list[BadLine] = []
    for line in lines:
        if not isinstance(line, GoodLine):
            refused.append(line)
            continue
        points = int(line.paid * rate(line.at))
        if points == 0:
            counted.skipped += 1
        elif points > MOST_POINTS:
            refused.append(BadLine(line.number, (("dollar_value", _TOO_MUCH),)))
        else:
            staged.append((line.number, f"{source.name}:{line.number}", line.customer, line.at, line.paid, points))
    rows.stage(staged)
    counted.loaded, counted.refused = len(staged), len(refused)
    return counted, refused


def _post(
    program: Program, counted: Totals, refused: list[BadLine], source: Source, actor: Actor, otherwise: Text
) -> list[BadLine]:
    found = _sort(program, counted)
    _write(program, counted, source, actor, otherwise)
    return sorted([*refused, *found], key=lambda bad: bad.number)


def _sort(program: Program, counted: Totals) -> list[BadLine]:
    """Find out what of it is new; the lines that are refused now."""
    found = rows.sort(program.pk)
    counted.loaded, counted.known = found.new, found.known
    counted.points, counted.paid = found.points, found.paid
    counted.refused += len(found.refused)
    return [BadLine(number, (_REFUSED[state],)) for number, state in found.refused]


def _write(program: Program, counted: Totals, source: Source, actor: Actor, otherwise: Text) -> None:
    """Journal what is new, then write it into the ledger; nothing of a file that is there already."""
    if not counted.loaded:
        return
    about = {"file": source.file, "source": source.name, "head": source.head}
    record(actor, "purchases.imported", program, after={**about, **counted.as_json()})
    try:
        rows.post()
    except BudgetExhausted as error:
        raise BudgetExhausted(
            format_lazy(
                _("Program budget exhausted: lines {first} to {last} come to {points} points. {otherwise}"),
                first=counted.first_line,
                last=counted.last_line,
                points=counted.points,
                otherwise=otherwise,
            ),
            **error.fields,
            lines=[counted.first_line, counted.last_line],
        ) from error
