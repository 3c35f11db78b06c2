"""Files of entries for people to take away: at most so many as MOST says, whole before the first byte leaves.

A file is written to disk first, with memory that does not grow, so that how many entries it holds and what it hashes to
stand in the journal before anybody has it. A stretch of time comes as the export that proves itself; one narrowed
further says at its end what it was narrowed by, since what it leaves out cannot be proven cheaply.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, Literal

from django.db import connection
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.storage import artifacts
from opsconsole.journal import services
from opsconsole.journal.errors import FileGone, TooManyEntries
from opsconsole.journal.exports import COLUMNS, Export, csv_line, readable, spreadsheet_safe, stamp
from opsconsole.journal.narrowing import Narrowing
from opsconsole.journal.proofs import newest_checkpoint
from opsconsole.journal.selectors import snapshot, stream

Form = Literal["csv", "jsonl", "xlsx"]

MOST: Final[dict[str, int]] = {"csv": 200_000, "jsonl": 200_000, "xlsx": 100_000}  # seconds to write, not minutes
IN_MEMORY: Final = 8 * 1024 * 1024
CHUNK: Final = 1 << 16
CONTENT_TYPES: Final[dict[str, str]] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
NARROWED: Final = "narrowed"


@dataclass(slots=True)
class Written:
    """A file as it was written, at its beginning: how many entries it holds, and what it hashes to."""

    file: IO[bytes]
    name: str
    content_type: str
    entries: int
    unsealed: int
    sha256: str


def write(narrowed: Narrowing, form: Form) -> Written:
    """Write the sealed entries that are meant; raises TooManyEntries, NoCheckpoint before anything is sealed."""
    _refuse_too_many(narrowed, MOST[form])
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the caller sends it and closes it
    try:
        if form == "xlsx":
            entries, unsealed = _workbook(narrowed, file)
        else:
            entries, unsealed = _text(narrowed, form, file)
    except BaseException:
        file.close()
        raise
    name = f"journal-{timezone.now():%Y%m%d-%H%M%S}.{form}"
    return Written(file, name, CONTENT_TYPES[form], entries, unsealed, _digest(file))


def take_away(narrowed: Narrowing, form: Form, *, actor: Actor) -> Written:
    """Write the file and tell the journal who has it, before its first byte leaves; raises as `write`, and Denied."""
    written = write(narrowed, form)
    try:
        services.record_export(
            since=narrowed.since,
            until=narrowed.until,
            form=form,
            entries=written.entries,
            sha256=written.sha256,
            narrowed=narrowed.facts(),
            actor=actor,
        )
    except BaseException:
        written.file.close()
        raise
    return written


def stored_file(name: str, sha256: str) -> IO[bytes]:
    """A file of an earlier export, to be sent; raises FileGone where it is no longer there or no longer the same."""
    storage = artifacts()
    if not storage.exists(name):
        raise FileGone(_("The file is no longer in the storage."), file=name)
    copy = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - as above
    with storage.open(name) as stored:
        for chunk in stored.chunks(CHUNK):
            copy.write(chunk)
    if _digest(copy) != sha256:
        copy.close()
        raise FileGone(_("The stored file is not the one that was exported: it was changed."), file=name)
    return copy


def _refuse_too_many(narrowed: Narrowing, most: int) -> None:
    condition, parameters = narrowed.condition()
    with connection.cursor() as cursor:
        cursor.execute(
            f"select count(*) from (select 1 from journal_entries e where {condition} limit %s) counted",
            [*parameters, most + 1],
        )
        if cursor.fetchone()[0] > most:
            raise TooManyEntries(
                format_lazy(
                    _(
                        "These are more than {most} entries: choose a shorter stretch of time, or use `manage.py"
                        " journal export`, which has no limit."
                    ),
                    most=most,
                )
            )


def _text(narrowed: Narrowing, form: Literal["csv", "jsonl"], file: IO[bytes]) -> tuple[int, int]:
    if narrowed.is_stretch:
        export = Export(narrowed.since, narrowed.until, form)
        for line in export:
            file.write(line.encode())
        return export.entries, export.unsealed
    entries = 0
    with snapshot():
        note = newest_checkpoint().note
        if form == "csv":
            file.write(csv_line(COLUMNS).encode())
        for index, body in _sealed(narrowed):
            entries += 1
            if form == "jsonl":
                line = json.dumps({"leaf_index": index, "body": body}, ensure_ascii=False) + "\n"
            else:
                line = csv_line(map(spreadsheet_safe, [index, *readable(json.loads(body)), body]))
            file.write(line.encode())
        unsealed = _unsealed(narrowed)
    about = {**_about(narrowed, entries, unsealed), "checkpoint": note}
    if form == "jsonl":
        file.write((json.dumps({NARROWED: about}, ensure_ascii=False) + "\n").encode())
    else:
        file.write(csv_line([NARROWED, *[""] * (len(COLUMNS) - 2), json.dumps(about, ensure_ascii=False)]).encode())
    return entries, unsealed


def _workbook(narrowed: Narrowing, file: IO[bytes]) -> tuple[int, int]:
    from opsconsole.journal import spreadsheets  # noqa: PLC0415 - its library is slow to load, and rarely needed

    with snapshot():
        note = newest_checkpoint().note
        book = spreadsheets.Workbook()
        for index, body in _sealed(narrowed):
            book.add(index, body)
        unsealed = _unsealed(narrowed)
    book.save(file, {**_about(narrowed, book.entries, unsealed), "cut cells": book.cut, "checkpoint": note})
    return book.entries, unsealed


def _sealed(narrowed: Narrowing) -> Iterator[tuple[int, str]]:
    """Leaf index and body of each entry that is meant, in the order of the tree; only inside `snapshot`."""
    condition, parameters = narrowed.condition()
    query = f"""
        select l.index, e.body from journal_entries e join journal_leaves l on l.seq = e.seq
        where {condition} order by l.index
    """
    for rows in stream(query, parameters):
        yield from rows


def _unsealed(narrowed: Narrowing) -> int:
    condition, parameters = narrowed.condition()
    query = f"select count(*) from journal_pending p join journal_entries e on e.seq = p.seq where {condition}"
    return int(next(rows[0][0] for rows in stream(query, parameters)))


def _about(narrowed: Narrowing, entries: int, unsealed: int) -> dict[str, Any]:
    return {
        "since": narrowed.since and stamp(narrowed.since),
        "until": narrowed.until and stamp(narrowed.until),
        **narrowed.facts(),
        "entries": entries,
        "unsealed": unsealed,
    }


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    running = hashlib.sha256()
    while chunk := file.read(CHUNK):
        running.update(chunk)
    file.seek(0)
    return running.hexdigest()
