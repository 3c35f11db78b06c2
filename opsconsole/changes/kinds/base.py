"""A kind of change is one class, registered by the app that owns the record it changes.

Its `fields` say what can be asked for, once for the API, the admin's form and the documentation. The rest is four
methods: `find` the record and whether this actor may ask, `lock` it, `describe` what would change, `apply` it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from rest_framework import serializers

from opsconsole.changes.errors import UnknownKind
from opsconsole.core.actors import Actor
from opsconsole.core.canonical import to_plain
from opsconsole.core.errors import Invalid
from opsconsole.core.fields import Secret
from opsconsole.core.models import User
from opsconsole.core.texts import Text

FINGERPRINT_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Described:
    """What a change would do to a record as it is now; `before` and `after` have the same keys.

    `concerned` are the ids of the users whom the change is about: they never approve it. `subject_kind` is the
    record's table, `name` what people call it.
    """

    subject_kind: str
    name: str
    title: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    concerned: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Granted:
    """An approved change on its way into the record: its id, why it was asked for, and by whom."""

    change: str
    reason: str
    requested_by: User

    @property
    def trace(self) -> dict[str, str]:
        """What the journal's entry about the record says of where it came from."""
        return {"change": self.change, "requested_by": self.requested_by.username}


class Kind(ABC):
    """One kind of change. `edits` says that the record is there already and any of the fields may be given."""

    name: ClassVar[str]
    label: ClassVar[Text]
    summary: ClassVar[Text]
    permission: ClassVar[str]
    fields: ClassVar[type[serializers.Serializer[Any]]]
    subject_help: ClassVar[Text]
    example_subject: ClassVar[str]
    example: ClassVar[dict[str, Any]]
    edits: ClassVar[bool] = False
    secret_fields: ClassVar[tuple[str, ...]] = ()
    # What comes of it is for the person it is about alone, who takes it when all have agreed.
    collected: ClassVar[bool] = False
    # What approvers do before they agree, besides reading it.
    advice: ClassVar[Text] = ""

    @property
    def action(self) -> str:
        """The action whose policy says who must agree."""
        return f"change.{self.name}"

    @property
    def withdrawal(self) -> str:
        """The permission by which others than whoever asked take it back."""
        return self.permission

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The checked fields as plain JSON values, secrets as such; raises Invalid naming each field that is wrong."""
        reader = self.fields(data=dict(given), partial=self.edits)
        known = {name for name, one in reader.fields.items() if not one.read_only}
        if unknown := sorted(str(name) for name in given.keys() - known):
            problems: Any = {name: [_("This kind of change has no such field.")] for name in unknown}
            raise Invalid(_("The change is not valid."), errors=problems)
        if not reader.is_valid():
            raise Invalid(_("The change is not valid."), errors=reader.errors)
        found = dict(reader.validated_data)
        secrets = {name: Secret(found.pop(name)) for name in self.secret_fields if found.get(name)}
        found = {name: value for name, value in found.items() if name not in self.secret_fields}
        return {**to_plain(found), **secrets}

    def prove(self, values: Mapping[str, Any], *, actor: Actor) -> dict[str, Any]:  # noqa: ARG002 - for those that do
        """The values as they are kept: a kind that takes a proof checks it here, and keeps what it proves instead."""
        return dict(values)

    @abstractmethod
    def find(self, subject: str, values: Mapping[str, Any], *, actor: Actor) -> str:
        """The key of the record; raises NotFound for one that the actor may not see, Denied where they may not ask."""

    def lock(self, subject_id: str) -> None:
        """Lock what `describe` reads; a record that is new has nothing to lock."""

    @abstractmethod
    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """What would change, of the record as it is now; raises DomainError where it cannot be."""

    @abstractmethod
    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Write it, and journal it on the record, in the caller's operation; the record is locked.

        Returns what the person concerned may see once, for a kind that is collected; nothing otherwise.
        """

    def current(self, _subject_id: str) -> dict[str, Any]:
        """The fields as they are now, which is what a form begins with; secrets left out. A new record has none."""
        return {}


_kinds: dict[str, Kind] = {}


def register(*kinds: Kind) -> None:
    """Let changes of these kinds be asked for."""
    for kind in kinds:
        _kinds[kind.name] = kind


def registered() -> list[Kind]:
    """All kinds, by name."""
    return [_kinds[name] for name in sorted(_kinds)]


def kind_named(name: str) -> Kind:
    """The kind; raises UnknownKind."""
    if name not in _kinds:
        raise UnknownKind(
            format_lazy(_("There is no kind of change {name}."), name=repr(name)),
            errors={"kind": [pgettext_lazy("a kind of change", "unknown")]},
            known=sorted(_kinds),
        )
    return _kinds[name]


def fingerprint(secret: str) -> str:
    """The beginning of a secret's SHA-256, by which two people can tell on the telephone that they mean the same."""
    if not secret:
        return ""
    plain = secret.reveal() if isinstance(secret, Secret) else secret
    return f"sha256:{hashlib.sha256(plain.encode()).hexdigest()[:FINGERPRINT_SHOWN]}"
