"""Which entries are meant: by time, actor, verb and subject; each condition has an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django.apps import apps
from django.db.models import QuerySet

from opsconsole.core.models import User
from opsconsole.journal.models import Entry

# Kinds of subjects that are no table's rows.
OTHER_KINDS: Final = ("journal", "auth_group", "payout_import", "settings")


@lru_cache(maxsize=1)
def subject_kinds() -> tuple[str, ...]:
    """Every kind of subject there is: with all of them named, an id alone is found by the index of kind and id."""
    return (*sorted(model._meta.db_table for model in apps.get_models()), *OTHER_KINDS)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Entries from `since` on and before `until`, by an actor (id, or name of a user), with a verb, about a subject."""

    since: datetime | None = None
    until: datetime | None = None
    actor: str = ""
    verb: str = ""
    subject_kind: str = ""
    subject_id: str = ""

    @property
    def is_stretch(self) -> bool:
        """Whether it names nothing but a stretch of time."""
        return not (self.actor or self.verb or self.subject_kind or self.subject_id)

    def of(self, entries: QuerySet[Entry]) -> QuerySet[Entry]:
        """Those of these entries."""
        if self.since:
            entries = entries.filter(at__gte=self.since)
        if self.until:
            entries = entries.filter(at__lt=self.until)
        if self.actor:
            entries = entries.filter(actor_id__in=self._actors())
        if self.verb:
            entries = entries.filter(verb=self.verb)
        if kinds := self._kinds():
            entries = entries.filter(subject_kind__in=kinds)
        if self.subject_id:
            entries = entries.filter(subject_id=self.subject_id)
        return entries

    def condition(self) -> tuple[str, list[Any]]:
        """The same as SQL over the entry `e`, with its parameters."""
        wanted: list[tuple[str, Any]] = []
        if self.since:
            wanted.append(("e.at >= %s", self.since))
        if self.until:
            wanted.append(("e.at < %s", self.until))
        if self.actor:
            wanted.append(("e.actor_id = any(%s)", self._actors()))
        if self.verb:
            wanted.append(("e.verb = %s", self.verb))
        if kinds := self._kinds():
            wanted.append(("e.subject_kind = any(%s)", list(kinds)))
        if self.subject_id:
            wanted.append(("e.subject_id = %s", self.subject_id))
        return " and ".join(["true", *(text for text, _value in wanted)]), [value for _text, value in wanted]

    def facts(self) -> dict[str, Any]:
        """What it names besides the time."""
        return {name: value for name, value in asdict(self).items() if value and name not in ("since", "until")}

    def _actors(self) -> list[str]:
        known = User.objects.filter(username=self.actor).values_list("pk", flat=True)
        return [self.actor, *(str(pk) for pk in known)]

    def _kinds(self) -> Sequence[str]:
        if self.subject_kind:
            return (self.subject_kind,)
        return subject_kinds() if self.subject_id else ()
