"""Reading the journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model, Q, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.errors import NotFound
from opsconsole.journal.models import Checkpoint, Entry, Leaf
from opsconsole.journal.outcomes import BROKEN, EXPORTED, VERIFIED
from opsconsole.journal.record import Subject

NEWEST_FIRST = ("-at", "-seq")


def entries(*, actor: Actor) -> QuerySet[Entry]:
    """All entries, newest first; raises Denied without journal.view_entry."""
    actor.require("journal.view_entry")
    return Entry.objects.order_by(*NEWEST_FIRST)


def entry(*, entry_id: UUID, actor: Actor) -> Entry:
    """One entry; raises NotFound."""
    found = entries(actor=actor).filter(pk=entry_id).first()
    if found is None:
        raise NotFound(format_lazy(_("There is no journal entry {id}."), id=str(entry_id)))
    return found


def exports(*, actor: Actor) -> QuerySet[Entry]:
    """The entries that tell of exports, newest first; raises Denied without journal.view_entry."""
    return entries(actor=actor).filter(verb=EXPORTED)


def entries_of(*subjects: Model | Subject) -> QuerySet[Entry]:
    """What happened to these subjects, direct SQL included, newest first. The caller has checked that they may see it.

    A plan's history is that of the plan, its runs and its steps: `entries_of(plan, *runs)`.
    """
    by_kind: dict[str, list[str]] = {}
    for subject in subjects:
        about = subject if isinstance(subject, Subject) else Subject.of(subject)
        by_kind.setdefault(about.kind, []).append(about.id)
    wanted = Q(pk__in=[])
    for kind, ids in by_kind.items():
        wanted |= Q(subject_kind=kind, subject_id__in=ids)
    return Entry.objects.filter(wanted).order_by(*NEWEST_FIRST)


def leaf_index(entry_seq: int) -> int | None:
    """The entry's place in the tree; None while it is not sealed."""
    return Leaf.objects.filter(seq=entry_seq).values_list("index", flat=True).first()


def last_checkpoint() -> Checkpoint | None:
    """The newest signed checkpoint."""
    return Checkpoint.objects.order_by("-size").first()


def notes_newest_first() -> Iterator[tuple[int, str]]:
    """Every checkpoint's size and note, from the newest back; the walker mostly stops at the first or second."""
    older = Checkpoint.objects.order_by("-size").values_list("size", "note")
    page = list(older[:2])
    while page:
        yield from page
        page = list(older.filter(size__lt=page[-1][0])[:200])


@dataclass(frozen=True, slots=True)
class LastCheck:
    """The last verification: when, how it ended, and the tree size it covered."""

    at: datetime
    sound: bool
    size: int
    facts: dict[str, Any]


def last_check(*, sound_only: bool = False) -> LastCheck | None:
    """The last verification, or the last that found nothing: what it covered is the last verified checkpoint."""
    verbs = [VERIFIED] if sound_only else [VERIFIED, BROKEN]
    found = Entry.objects.filter(verb__in=verbs).order_by(*NEWEST_FIRST).first()
    if found is None:
        return None
    facts = found.content["after"]
    return LastCheck(found.at, found.verb == VERIFIED, facts["size"], facts)


@contextmanager
def snapshot() -> Iterator[None]:
    """One unchanging view of the journal while the block runs: repeatable read, read only.

    Joins go by index: statistics of tables that only grow are out of date, and a wrong guess costs minutes.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
            for choice in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
                cursor.execute(f"set local {choice} = off")
            cursor.execute("set local cursor_tuple_fraction = 1")
        yield


def stream(query: str, parameters: Iterable[Any] = (), *, chunk: int = 2_000) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a query in chunks, by a server-side cursor; only inside `snapshot`.

    While the caller works on one chunk, a thread waits for the next: the database and Python each use a core.
    """
    with connection.chunked_cursor() as cursor, ThreadPoolExecutor(max_workers=1) as ahead:
        cursor.execute(query, list(parameters))
        coming = ahead.submit(cursor.fetchmany, chunk)
        while rows := coming.result():
            coming = ahead.submit(cursor.fetchmany, chunk)
            yield rows
