"""Files that banks send: read once to see that they can be, kept under their digest, then taken in chunk by chunk.

A chunk is an operation, so what an interrupted import has taken in stays; importing the same file again goes on where
it stopped, and adds nothing once it is done. Payments end by `treasury.endings`, as where a bank is asked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final
from uuid import UUID

from django.core.files.base import File
from django.db import connection
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.faults import crashpoint
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.storage import artifacts
from opsconsole.journal.record import record
from opsconsole.treasury import ledger
from opsconsole.treasury.gateways.base import Known
from opsconsole.treasury.gateways.iso_messages import (
    MAX_BYTES,
    BankFileInvalid,
    Closing,
    Header,
    Line,
    read_bank_file,
)
from opsconsole.treasury.models import BankFile, BankLine, Break, StatedBalance, path_of
from opsconsole.treasury.settlement import endings
from opsconsole.treasury.settlement import matching as bank_matching
from opsconsole.treasury.settlement.matching import Verdict
from opsconsole.treasury.states import BankFileState, LineVerdict

PERMISSION: Final = "treasury.import_bank_files"
CHUNK: Final = 1_000
MAX_NAME: Final = 200
_COUNTED: Final = {
    LineVerdict.SETTLED: "settled",
    LineVerdict.FAILED: "failed",
    LineVerdict.RETURNED: "returned",
    LineVerdict.ALREADY: "already",
    LineVerdict.PENDING: "pending",
    LineVerdict.BREAK: "breaks",
}

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file is."""

    digest: str
    size: int
    name: str
    header: Header
    lines: int


def import_bank_file(
    *, stream: BinaryIO, name: str, actor: Actor, on_progress: OnProgress = lambda _done, _all: None
) -> tuple[BankFile, bool]:
    """Take a file in; the record of it, and whether it was new. `on_progress` is told the lines done and all lines.

    No operation itself: each chunk is one. Raises Denied before it reads anything, and BankFileInvalid before it
    writes anything.
    """
    actor.require(PERMISSION)
    facts, closings = inspect_file(stream=stream, name=name)
    known = BankFile.objects.filter(digest=facts.digest, status=BankFileState.IMPORTED).first()
    if known is not None:
        return known, False
    _keep(stream, facts.digest)
    file_id, lines_read = receive_file(facts=facts, actor=actor)
    on_progress(lines_read, facts.lines)
    for chunk in _chunks(_lines(stream), after=lines_read):
        take_in_chunk(file_id=file_id, lines=chunk, actor=actor)
        crashpoint("treasury.bank_file.after_chunk")
        on_progress(chunk[-1].number, facts.lines)
    return finish_file(file_id=file_id, lines=facts.lines, closings=closings, actor=actor), True


def inspect_file(*, stream: BinaryIO, name: str) -> tuple[Facts, list[Closing]]:
    """What the file is, and the balances it states; raises BankFileInvalid for one that cannot be read to its end."""
    stream.seek(0)
    running, size = hashlib.sha256(), 0
    while block := stream.read(1 << 20):
        running.update(block)
        size += len(block)
        if size > MAX_BYTES:
            raise BankFileInvalid(format_lazy(_("The file is larger than {most} MB."), most=MAX_BYTES // 1024**2))
    stream.seek(0)
    header, lines, closings = Header("", ""), 0, []
    for item in read_bank_file(stream):
        match item:
            case Header():
                header = item
            case Line():
                lines = item.number
            case Closing():
                closings.append(item)
    shown = name.strip()[:MAX_NAME] or header.message_id or "file"
    return Facts(running.hexdigest(), size, shown, header, lines), closings


@operation
def receive_file(*, facts: Facts, actor: Actor) -> tuple[UUID, int]:
    """Note that the file is here; its id, and how many of its lines are taken in already."""
    actor.require(PERMISSION)
    file, new = BankFile.objects.get_or_create(
        digest=facts.digest,
        defaults={
            "name": facts.name,
            "schema": facts.header.schema,
            "message_id": facts.header.message_id,
            "size": facts.size,
            "imported_by": actor.name,
        },
    )
    if new:
        record(
            actor,
            "bank_file.received",
            file,
            after={"name": file.name, "schema": file.schema, "digest": file.digest, "size": file.size},
        )
    return file.pk, file.lines_read


@operation
def take_in_chunk(*, file_id: UUID, lines: Sequence[Line], actor: Actor) -> dict[str, int]:
    """Take in the next lines of a file and end the payments that they end; how many of each kind.

    Nothing, where another import of the same file has taken them in meanwhile.
    """
    actor.require(PERMISSION)
    file = BankFile.objects.select_for_update(no_key=True).get(pk=file_id)
    lines = [line for line in lines if line.number > file.lines_read]
    if file.status != BankFileState.READING or not lines:
        return {}
    verdicts, movements = _decide(lines, actor)
    counted = Counter(_COUNTED[verdict.verdict] for verdict in verdicts)
    breaks = _write_lines(file, lines, verdicts)
    file.lines_read = lines[-1].number
    for name, count in counted.items():
        setattr(file, name, getattr(file, name) + count)
    file.save(update_fields=["lines_read", *counted])
    record(
        actor,
        "bank_file.taken_in",
        file,
        after={"lines": [lines[0].number, lines[-1].number], **counted, "break_ids": [one.pk for one in breaks]},
    )
    for one in breaks:
        emit("bank_file.break", kind="break", id=one.pk, data={"reason": one.reason, "file": file.name})
    crashpoint("treasury.bank_file.in_chunk")
    ledger.book(movements)
    return dict(counted)


@operation
def finish_file(*, file_id: UUID, lines: int, closings: Sequence[Closing], actor: Actor) -> BankFile:
    """The file is taken in: hold the balances that it states against the ledger."""
    actor.require(PERMISSION)
    file = BankFile.objects.select_for_update(no_key=True).get(pk=file_id)
    if file.status == BankFileState.IMPORTED:
        return file
    if file.lines_read != lines:
        raise BankFileInvalid(
            format_lazy(
                _("{count} of {all} lines are taken in; import the file again."), count=file.lines_read, all=lines
            )
        )
    balances = _state_balances(file, closings)
    file.move_to(BankFileState.IMPORTED)
    file.finished_at = Now()
    file.save(update_fields=["status", "finished_at"])
    record(
        actor,
        "bank_file.imported",
        file,
        before={"status": BankFileState.READING.value},
        after={
            "status": file.status,
            "lines": file.lines_read,
            **{name: getattr(file, name) for name in _COUNTED.values()},
            "balances": balances,
        },
    )
    file.refresh_from_db()
    return file


def _keep(stream: BinaryIO, digest: str) -> None:
    """Store the bytes under their digest, unless they are there."""
    path, storage = path_of(digest), artifacts()
    if storage.exists(path):
        return
    stream.seek(0)
    saved = storage.save(path, File(stream))
    if saved != path:  # somebody stored the same bytes at the same moment
        storage.delete(saved)


def _lines(stream: BinaryIO) -> Iterator[Line]:
    stream.seek(0)
    return (item for item in read_bank_file(stream) if isinstance(item, Line))


def _chunks(lines: Iterable[Line], *, after: int) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    for line in lines:
        if line.number > after:
            chunk.append(line)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


# Deciding


def _decide(lines: Sequence[Line], actor: Actor) -> tuple[list[Verdict], list[ledger.Movement]]:
    """The verdict of every line, in order, and what is to be booked.

    Several lines may speak of one payment, booked and given back again: each is judged by what the ones before it
    made of the payment. So lines are taken in rounds, in each of which a payment ends once; it can end twice.
    """
    verdicts: dict[int, Verdict] = {}
    movements: list[ledger.Movement] = []
    rest = list(lines)
    while rest:
        found = bank_matching.find(rest)
        busy: set[UUID] = set()
        answers: dict[UUID, Known] = {}
        ending: list[tuple[Line, Verdict]] = []
        later: list[Line] = []
        for line in rest:
            verdict = bank_matching.judge(line, found)
            about = {paid.id for paid in verdict.paid}
            if about & busy:
                later.append(line)
                continue
            verdicts[line.number] = verdict
            if verdict.known is not None:
                busy |= about
                answers.update(dict.fromkeys(about, verdict.known))
                ending.append((line, verdict))
        ended = endings.end(answers, bank_id=None, actor=actor)
        movements += ended.movements
        for line, verdict in ending:
            if not any(paid.id in ended.words for paid in verdict.paid):
                # Somebody has moved it since it was looked up, or its own rollback is just taking it back.
                verdicts[line.number] = Verdict(
                    LineVerdict.ALREADY, verdict.paid, detail="it was ended by somebody else at the same moment"
                )
        rest = later
    return [verdicts[line.number] for line in lines], movements


def _write_lines(file: BankFile, lines: Sequence[Line], verdicts: Sequence[Verdict]) -> list[Break]:
    BankLine.objects.bulk_create(
        BankLine(
            file=file,
            number=line.number,
            account=line.account[:34],
            reference=line.reference or line.message,
            amount=line.amount,
            currency=line.currency,
            direction=line.direction,
            said=line.said,
            reason=line.reason,
            verdict=verdict.verdict,
            detail=verdict.detail or (f"{len(verdict.paid)} payments" if len(verdict.paid) > 1 else ""),
            **_about(verdict),
        )
        for line, verdict in zip(lines, verdicts, strict=True)
    )
    odd = {line.number: verdict for line, verdict in zip(lines, verdicts, strict=True) if verdict.reason is not None}
    Break.objects.bulk_create(
        Break(line_id=pk, file=file, reason=str(odd[number].reason), detail=odd[number].detail)
        for pk, number in BankLine.objects.filter(file=file, number__in=odd).values_list("pk", "number")
    )
    return list(Break.objects.filter(file=file, line__number__in=odd).order_by("line__number"))


def _about(verdict: Verdict) -> dict[str, Any]:
    if len(verdict.paid) != 1:
        return {}
    (paid,) = verdict.paid
    return {"sweep_id" if paid.is_sweep else "instruction_id": paid.id}


# Balances


def _state_balances(file: BankFile, closings: Sequence[Closing]) -> list[dict[str, Any]]:
    """Note the stated balance of each account of ours beside what the ledger expects, in one statement each."""
    stated: list[dict[str, Any]] = []
    for closing in closings:
        with connection.cursor() as cursor:
            # What has left our account and the bank has not executed yet is still on it.
            cursor.execute(
                """
                select a.id, a.ledger_balance
                  + (select coalesce(sum(i.amount), 0) from treasury_instructions i
                     where i.account_id = a.id and i.status in ('sending', 'sent'))
                  + (select coalesce(sum(w.amount), 0) from treasury_sweeps w
                     where w.account_id = a.id and w.status in ('sending', 'sent'))
                from treasury_accounts a where a.kind = 'settlement' and a.iban = %s and a.currency = %s
                """,
                [closing.account, closing.currency],
            )
            row = cursor.fetchone()
        if row is None:
            continue
        as_of: datetime = closing.as_of
        StatedBalance.objects.bulk_create(
            [
                StatedBalance(
                    file=file,
                    account_id=row[0],
                    statement=closing.statement,
                    as_of=as_of,
                    stated=closing.amount,
                    expected=row[1],
                )
            ],
            ignore_conflicts=True,  # a statement that comes twice in one file
        )
        stated.append({"account": closing.account, "stated": closing.amount, "expected": row[1], "as_of": as_of})
    return stated
