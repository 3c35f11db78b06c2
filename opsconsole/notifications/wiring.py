"""Channels as they are written: checked, written, journalled and told, in the caller's operation.

What leads somewhere (a new channel, another target, another secret) is written by a change that others agreed to; the
services switch channels and take them away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Invalid
from opsconsole.core.operations import assert_in_operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import record
from opsconsole.notifications.errors import BadSecret, BadTarget, NameTaken
from opsconsole.notifications.gateways import addresses, signing
from opsconsole.notifications.models import Channel
from opsconsole.notifications.states import ChannelKind

MAX_NAME: Final = 100
MAX_TARGET: Final = 6000
MAX_SECRET: Final = 200
LONGEST_OVERLAP: Final = timedelta(days=30)
USUAL_OVERLAP: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel to be, its parts checked; a signed webhook has a secret, the others none."""

    name: str
    kind: str
    target: str
    secret: str = ""

    @classmethod
    def checked(cls, *, name: str, kind: str, target: str, secret: str = "") -> NewChannel:
        """The channel that these name; raises Invalid, BadTarget, BadSecret, NameTaken."""
        check_secret(kind, secret)
        found = cls(checked_name(name), kind, checked_target(kind, target), str.__str__(secret))
        require_free(found.name)
        return found


@dataclass(frozen=True, slots=True)
class ChannelEdit:
    """What shall be otherwise, its parts checked; None stays as it is. The old secret signs on for the overlap."""

    name: str | None = None
    target: str | None = None
    secret: str | None = None
    overlap: timedelta = USUAL_OVERLAP

    @classmethod
    def checked(
        cls,
        row: Channel,
        *,
        name: str | None = None,
        target: str | None = None,
        secret: str | None = None,
        overlap: timedelta = USUAL_OVERLAP,
    ) -> ChannelEdit:
        """What of this differs from the channel as it is; raises Invalid, BadTarget, BadSecret, NameTaken."""
        name = None if name is None else checked_name(name)
        target = None if target is None else checked_target(row.kind, target)
        if name is not None and name != row.name:
            require_free(name)
        if secret is not None:
            _check_other_secret(row, secret, overlap)
        return cls(
            name=None if name == row.name else name,
            target=None if target == str.__str__(row.target) else target,
            secret=None if secret is None else str.__str__(secret),
            overlap=overlap,
        )


def set_up(channel: NewChannel, *, reason: str, trace: Mapping[str, str], actor: Actor) -> Channel:
    """Write a new channel, which is on; `trace` goes into the journal. Raises NameTaken."""
    assert_in_operation()
    row = Channel(name=channel.name, kind=channel.kind, target=channel.target, secret=channel.secret)
    _save(row)
    row.refresh_from_db()
    tell(actor, "added", row, before=None, after={**facts(row), **trace}, reason=reason)
    return row


def edit(row: Channel, wanted: ChannelEdit, *, reason: str, trace: Mapping[str, str], actor: Actor) -> None:
    """Write what shall be otherwise of a channel that is locked; `trace` goes into the journal. Raises NameTaken."""
    assert_in_operation()
    before = facts(row)
    row.name = row.name if wanted.name is None else wanted.name
    row.target = row.target if wanted.target is None else wanted.target
    if wanted.secret is not None:
        row.old_secret = row.secret.reveal() if wanted.overlap else ""
        row.old_secret_until = timezone.now() + wanted.overlap if wanted.overlap else None
        row.secret = wanted.secret
    _save(row, "name", "target", "secret", "old_secret", "old_secret_until")
    row.refresh_from_db()
    after = facts(row)
    changed = [name for name in after if after[name] != before[name]]
    said: dict[str, Any] = {name: after[name] for name in changed}
    if wanted.secret is not None:
        said |= {"secret": row.secret, "old_secret_until": row.old_secret_until}
    if wanted.target is not None:
        _forgive(row)
    tell(actor, "changed", row, before={name: before[name] for name in changed}, after={**said, **trace}, reason=reason)


def tell(
    actor: Actor, what: str, row: Channel, *, before: dict[str, Any] | None, after: dict[str, Any] | None, reason: str
) -> None:
    """Journal what became of a channel, and emit it to whoever subscribed to such news."""
    record(actor, f"notification.channel_{what}", row, before=before, after=after, reason=reason)
    news = {"name": row.name, "kind": row.kind, "target": row.shown_target, "reason": reason}
    emit(f"notification.channel_{what}", kind="notifications_channels", id=row.pk, data=news)


def facts(row: Channel) -> dict[str, Any]:
    """The channel as the journal has it, without what is secret."""
    return {
        "name": row.name,
        "kind": row.kind,
        "target": row.shown_target,
        "target_sha256": row.target_sha256,
        "active": row.active,
    }


def checked_name(name: str) -> str:
    """The name, its blanks made one; raises Invalid."""
    text = " ".join(name.split())
    if not 0 < len(text) <= MAX_NAME:
        raise Invalid(
            format_lazy(_("A name has 1 to {most} characters."), most=MAX_NAME),
            errors={"name": [format_lazy(_("must have 1 to {most} characters"), most=MAX_NAME)]},
        )
    return text


def checked_target(kind: str, target: str) -> str:
    """The target as it is stored; raises BadTarget for what such a channel cannot send to."""
    text = str.__str__(target).strip()
    try:
        if kind == ChannelKind.EMAIL:
            return ", ".join(addresses.parse_mailboxes(text))
        addresses.parse(text)
    except addresses.Forbidden as error:
        raise BadTarget(error.told, errors={"target": [error.told]}) from error
    return text


def check_secret(kind: str, secret: str) -> None:
    """Raise BadSecret unless a signed webhook has a secret to sign with, and any other channel none."""
    if kind != ChannelKind.WEBHOOK:
        if secret:
            raise BadSecret(
                _("Only a signed webhook has a secret."), errors={"secret": [_("this kind of channel has none")]}
            )
        return
    try:
        signing.key_of(str.__str__(secret))
    except signing.NotASecret as error:
        said = format_lazy(_("This is no secret to sign with: {why}."), why=error.told)
        raise BadSecret(said, errors={"secret": [error.told]}) from error


def require_free(name: str) -> None:
    """Raise NameTaken where a channel that is there has this name."""
    if Channel.objects.filter(name=name, removed_at=None).exists():
        raise _taken(name)


def _check_other_secret(row: Channel, secret: str, overlap: timedelta) -> None:
    check_secret(row.kind, secret)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise BadSecret(format_lazy(_("Both secrets sign for at most {most} days."), most=LONGEST_OVERLAP.days))
    if str.__str__(row.secret) == str.__str__(secret):
        raise BadSecret(_("This is the secret that it has."), errors={"secret": [_("is the one in use")]})


def _save(row: Channel, *columns: str) -> None:
    try:
        with transaction.atomic():
            row.save(update_fields=columns or None, force_insert=not columns)
    except IntegrityError as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        if diagnosis is not None and diagnosis.constraint_name == "channel_name_once":
            raise _taken(row.name) from error
        raise


def _taken(name: str) -> NameTaken:
    return NameTaken(format_lazy(_("There is a channel {name} already."), name=name), errors={"name": [_("is taken")]})


def _forgive(row: Channel) -> None:
    """Close the circuit of a channel that leads elsewhere now."""
    if row.kind == ChannelKind.EMAIL:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "update notifications_lanes set failures = 0, open_until = null, error = '' where name = %s", [row.lane]
        )
