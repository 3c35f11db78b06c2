"""What is due: the last time that something was done to a program, or to the books, is what the journal says."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, Subquery, TextField
from django.db.models.functions import Cast, Now

from loyalty.books.digests import LEDGER
from loyalty.models import Program
from loyalty.states import ProgramState
from opsconsole.journal.models import Entry


def programs_not_since(verb: str, every: timedelta, wanted: Q) -> list[UUID]:
    """The active programs of these that the journal has had no such entry about for so long, by id."""
    lately = Entry.objects.filter(
        subject_kind=Program._meta.db_table,
        subject_id=Cast(OuterRef("pk"), TextField()),
        verb=verb,
        at__gt=Now() - every,
    )
    active = Program.objects.filter(wanted, ~Exists(lately), status=ProgramState.ACTIVE)
    return list(active.order_by("pk").values_list("pk", flat=True).distinct())


def programs_asked_for(asked: str, done: str) -> list[UUID]:
    """The programs for which something was asked and has not been done since, by id."""
    about = Entry.objects.filter(subject_kind=Program._meta.db_table, subject_id=Cast(OuterRef("pk"), TextField()))
    last = about.filter(verb=asked).order_by("-seq").values("seq")[:1]
    since = about.filter(verb=done, seq__gt=OuterRef("asked"))
    waiting = Program.objects.annotate(asked=Subquery(last)).filter(~Exists(since), asked__isnull=False)
    return list(waiting.order_by("pk").values_list("pk", flat=True))


def books_not_since(verbs: list[str], every: timedelta) -> bool:
    """Whether the journal has had no entry of these about the books for so long."""
    lately = Entry.objects.filter(subject_kind=LEDGER.kind, subject_id=LEDGER.id, verb__in=verbs, at__gt=Now() - every)
    return not lately.exists()
