"""Kinds of events: how much one matters, who may know, what is said, where it leads.

`catalogue` has those that there are; apps may add theirs with `register`. An event that no kind knows is told by its
topic, to those who may read the outbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from opsconsole.notifications.states import Severity

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    Text = str | StrPromise
else:
    Text = str

OUTBOX = "core.view_outboxevent"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of the events whose topic fits `pattern`.

    Who is told must hold `permission`. `title` has named places for facts of the event. `page` is the name of the
    admin's page that it leads to, with the fact `key` as its row. With `deciders` a person is told only of what they
    may decide themselves.
    """

    pattern: str
    severity: Severity
    permission: str
    title: Text
    page: str = ""
    key: str = "subject_id"
    deciders: bool = False


_kinds: dict[str, Kind] = {}


def register(*kinds: Kind) -> None:
    """Have events of these kinds told in their own words."""
    for kind in kinds:
        _kinds[kind.pattern] = kind


def registered() -> list[Kind]:
    """All kinds, by pattern."""
    return [_kinds[pattern] for pattern in sorted(_kinds)]


def kind_of(topic: str) -> Kind:
    """The kind of a topic: its own, else that of the longest pattern it fits, else one made for it."""
    if topic in _kinds:
        return _kinds[topic]
    fitting = [kind for pattern, kind in _kinds.items() if fnmatchcase(topic, pattern)]
    if fitting:
        return max(fitting, key=lambda kind: len(kind.pattern))
    return Kind(topic, _guessed_severity(topic), OUTBOX, _("%(topic)s: %(subject_kind)s %(subject_id)s"))


def is_known(pattern: str) -> bool:
    """Whether any event could ever fit the pattern."""
    return any(fnmatchcase(known, pattern) for known in _kinds)


def severity_of(kind: Kind, data: Mapping[str, Any]) -> Severity:
    """How much this event matters: what it says of itself, else what its kind does."""
    said = data.get("severity")
    return Severity(said) if said in Severity.values else kind.severity


def _guessed_severity(topic: str) -> Severity:
    alarming = ("failed", "broken", "dead", "lost", "partial", "unknown", "stuck")
    return Severity.WARNING if any(word in topic for word in alarming) else Severity.INFO
