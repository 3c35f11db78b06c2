"""Bringing payouts in by the file: a chunk is an operation, so what a killed import has loaded stays loaded.

Running the same file again goes on where it stopped: a payout that is there with the same content is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.faults import crashpoint
from opsconsole.core.lines import BadLine, chunks
from opsconsole.core.operations import operation
from opsconsole.core.texts import Text
from opsconsole.journal.record import Subject, record
from opsconsole.treasury.errors import ImportRefused
from opsconsole.treasury.payouts.facts import COLUMNS, PayoutFacts
from opsconsole.treasury.payouts.files import GoodLine
from opsconsole.treasury.payouts.rows import insert_new
from opsconsole.treasury.selectors import payouts_by_external_id

CHUNK: Final = 4_000
PERMISSION: Final = "treasury.import_payouts"

OnBad = Callable[[BadLine], None]
OnProgress = Callable[["Totals"], None]


@dataclass(slots=True)
class Totals:
    """What became of the lines so far: loaded now, there before, refused; and the sums of what was loaded."""

    loaded: int = 0
    known: int = 0
    refused: int = 0
    sums: dict[str, Decimal] = field(default_factory=dict)
    first_line: int = 0
    last_line: int = 0

    @property
    def lines(self) -> int:
        """Every line that was looked at."""
        return self.loaded + self.known + self.refused

    def add(self, other: Totals) -> None:
        """Count another chunk in."""
        self.loaded += other.loaded
        self.known += other.known
        self.refused += other.refused
        for currency, amount in other.sums.items():
            self.sums[currency] = self.sums.get(currency, Decimal(0)) + amount
        self.first_line = self.first_line or other.first_line
        self.last_line = other.last_line or self.last_line

    def as_json(self) -> dict[str, Any]:
        """As the journal keeps it, amounts as strings."""
        return {
            "loaded": self.loaded,
            "known": self.known,
            "refused": self.refused,
            "sums": {currency: f"{amount:f}" for currency, amount in sorted(self.sums.items())},
            "lines": [self.first_line, self.last_line],
        }


def import_payouts(
    *,
    lines: Iterable[GoodLine | BadLine],
    file_name: str,
    on_bad: OnBad,
    on_progress: OnProgress,
    actor: Actor,
) -> Totals:
    """Load the good lines, chunk by chunk, and tell `on_bad` of every other; raises Denied before reading any.

    No operation itself: each chunk is one, with a journal entry of its own.
    """
    actor.require(PERMISSION)
    import_id = str(uuid4())
    totals = Totals()
    for chunk in chunks(lines, CHUNK):
        counted, refused = load_chunk(lines=chunk, file_name=file_name, import_id=import_id, actor=actor)
        crashpoint("treasury.import.after_chunk")
        for bad in refused:
            on_bad(bad)
        totals.add(counted)
        on_progress(totals)
    return totals


@operation
def load_chunk(
    *, lines: Sequence[GoodLine | BadLine], file_name: str, import_id: str, actor: Actor
) -> tuple[Totals, list[BadLine]]:
    """Load the good lines of a chunk; the counts, and every line that was refused with its reasons, in order."""
    actor.require(PERMISSION)
    counted, refused = _load(lines)
    if counted.loaded:
        _journal(counted, file_name=file_name, import_id=import_id, actor=actor)
    crashpoint("treasury.import.in_chunk")
    return counted, refused


@operation
def import_payouts_whole(
    *,
    lines: Iterable[GoodLine | BadLine],
    file_name: str,
    on_bad: OnBad,
    on_progress: OnProgress,
    actor: Actor,
) -> Totals:
    """Load the whole file or nothing of it; raises ImportRefused, after the last line, when any was refused."""
    actor.require(PERMISSION)
    totals = Totals()
    for chunk in chunks(lines, CHUNK):
        counted, refused = _load(chunk)
        for bad in refused:
            on_bad(bad)
        totals.add(counted)
        on_progress(totals)
        crashpoint("treasury.import.in_chunk")
    if totals.refused:
        raise ImportRefused(
            format_lazy(
                _("{count} of {all} lines are refused, so nothing was loaded."),
                count=totals.refused,
                all=totals.lines,
            ),
            refused=totals.refused,
            lines=totals.lines,
        )
    if totals.loaded:
        _journal(totals, file_name=file_name, import_id=str(uuid4()), actor=actor)
    return totals


def _load(lines: Sequence[GoodLine | BadLine]) -> tuple[Totals, list[BadLine]]:
    good = [line for line in lines if isinstance(line, GoodLine)]
    bad = [line for line in lines if isinstance(line, BadLine)]
    unloaded = insert_new([line.facts for line in good])
    counted = Totals(first_line=lines[0].number, last_line=lines[-1].number)
    repeated: list[GoodLine] = []
    for line in good:
        facts = line.facts
        if facts.external_id in unloaded:
            unloaded.remove(facts.external_id)  # the first line with this id is the one that was loaded
            counted.loaded += 1
            counted.sums[facts.currency] = counted.sums.get(facts.currency, Decimal(0)) + facts.amount
        else:
            repeated.append(line)
    standing = payouts_by_external_id({line.facts.external_id for line in repeated}) if repeated else {}
    for line in repeated:
        reason = _differs(line.facts, standing.get(line.facts.external_id))
        if reason:
            bad.append(BadLine(line.number, (("external_id", reason),)))
        else:
            counted.known += 1
    counted.refused = len(bad)
    return counted, sorted(bad, key=lambda line: line.number)


def _differs(facts: PayoutFacts, standing: tuple[object, ...] | None) -> Text:
    if standing is None:
        return _("was just removed by somebody else; import the file again")
    differing = [name for name, ours, theirs in zip(COLUMNS, facts.row, standing, strict=True) if ours != theirs]
    if not differing:
        return ""
    return format_lazy(_("is there already with another {columns}"), columns=", ".join(differing))


def _journal(counted: Totals, *, file_name: str, import_id: str, actor: Actor) -> None:
    record(
        actor,
        "payouts.imported",
        Subject("payout_import", import_id),
        after={"file": file_name, **counted.as_json()},
    )
