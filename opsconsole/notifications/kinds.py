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
TEST = "notification.test"


@dataclass(frozen=True, slots=True)
class Cause:
    """What an event of a kind says when this is why it happened."""

    name: str
    severity: Severity
    title: Text


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of the events whose topic fits `pattern`.

    Who is told must hold `permission`. `title` has named places for facts of the event. `page` is the name of the
    admin's page that it leads to, with the fact `key` as its row. With `deciders` a person is told only of what they
    may decide themselves. Where the event names one of `causes` as its `cause`, it matters and reads as that one says.
    """

    pattern: str
    severity: Severity
    permission: str
    title: Text
    page: str = ""
    key: str = "subject_id"
    deciders: bool = False
    causes: tuple[Cause, ...] = ()

    def cause_in(self, data: Mapping[str, Any]) -> Cause | None:
        """The cause that the event names, where it makes a difference."""
        return next((cause for cause in self.causes if cause.name == data.get("cause")), None)

    def title_for(self, data: Mapping[str, Any]) -> Text:
        """The sentence for an event with these facts, its places still open."""
        cause = self.cause_in(data)
        return self.title if cause is None else cause.title

    @property
    def single(self) -> bool:
        """Whether each is told by itself even in a burst: what asks for a decision, and what somebody waits for."""
        return self.deciders or self.pattern == TEST

    @property
    def titles(self) -> tuple[Text, ...]:
        """Every sentence that such an event may read as."""
        return (self.title, *(cause.title for cause in self.causes))


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
    """How much this event matters: what it says of itself, else what its cause or its kind does."""
    said = data.get("severity")
    cause = kind.cause_in(data)
    return Severity(said) if said in Severity.values else kind.severity if cause is None else cause.severity


def _guessed_severity(topic: str) -> Severity:
    alarming = ("failed", "broken", "dead", "lost", "partial", "unknown", "stuck")
    return Severity.WARNING if any(word in topic for word in alarming) else Severity.INFO
