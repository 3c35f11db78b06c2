"""Channels: where data leaves the house. Each change is journalled, and told to whoever subscribed to such changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Invalid
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import record
from opsconsole.notifications import access
from opsconsole.notifications.errors import BadSecret, BadTarget, ChannelIsOff, NameTaken
from opsconsole.notifications.gateways import addresses, signing
from opsconsole.notifications.models import Channel, Delivery, Notice
from opsconsole.notifications.services.fanout import TEST, deliver_to
from opsconsole.notifications.states import ChannelKind, NotificationState, Severity

MAX_NAME = 100
LONGEST_OVERLAP = timedelta(days=30)
USUAL_OVERLAP = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel to be; a signed webhook has a secret, the others none."""

    name: str
    kind: str
    target: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class ChannelChange:
    """What shall be otherwise; None stays as it is."""

    name: str | None = None
    target: str | None = None
    active: bool | None = None


@operation
def add_channel(*, channel: NewChannel, reason: str, actor: Actor) -> Channel:
    """Add a channel; raises BadTarget, BadSecret, NameTaken."""
    actor.require(access.MANAGE)
    target = _checked_target(channel.kind, channel.target)
    _check_secret(channel.kind, channel.secret)
    name = _checked_name(channel.name)
    try:
        with transaction.atomic():
            row = Channel.objects.create(name=name, kind=channel.kind, target=target, secret=channel.secret)
    except IntegrityError as error:
        raise _taken(error, name) from error
    row.refresh_from_db()
    _tell(actor, "added", row, before=None, after=_facts(row), reason=reason)
    return row


@operation
def change_channel(*, channel_id: UUID, change: ChannelChange, reason: str, actor: Actor) -> Channel:
    """Rename a channel, lead it elsewhere, switch it off or on; raises BadTarget, NameTaken, ChannelNotFound."""
    row = access.channel_to_manage(actor, channel_id)
    before = _facts(row)
    if change.name is not None:
        row.name = _checked_name(change.name)
    if change.target is not None:
        row.target = _checked_target(row.kind, change.target)
    if change.active is not None:
        row.active = change.active
    try:
        with transaction.atomic():
            row.save(update_fields=["name", "target", "active"])
    except IntegrityError as error:
        raise _taken(error, row.name) from error
    row.refresh_from_db()
    after = _facts(row)
    changed = {name for name in after if after[name] != before[name]}
    if changed:
        if "target_sha256" in changed:
            _forgive(row)
        _tell(
            actor,
            "changed",
            row,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
            reason=reason,
        )
    return row


@operation
def change_secret(*, channel_id: UUID, secret: str, overlap: timedelta, reason: str, actor: Actor) -> Channel:
    """Give a signed webhook another secret; the old one signs as well for the overlap. Raises BadSecret."""
    row = access.channel_to_manage(actor, channel_id)
    _check_secret(row.kind, secret)
    if row.kind != ChannelKind.WEBHOOK:
        raise BadSecret("Only a signed webhook has a secret.", errors={"secret": ["this channel has none"]})
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise BadSecret(f"Both secrets sign for at most {LONGEST_OVERLAP.days} days.")
    if str.__str__(row.secret) == secret:
        raise BadSecret("This is the secret that it has.", errors={"secret": ["is the one in use"]})
    row.old_secret = row.secret.reveal() if overlap else ""
    row.old_secret_until = timezone.now() + overlap if overlap else None
    row.secret = secret
    row.save(update_fields=["secret", "old_secret", "old_secret_until"])
    row.refresh_from_db()
    after = {"secret": row.secret, "old_secret_until": row.old_secret_until}
    _tell(actor, "changed", row, before=None, after=after, reason=reason)
    return row


@operation
def remove_channel(*, channel_id: UUID, reason: str, actor: Actor) -> Channel:
    """Remove a channel with its subscriptions; what waits for it is dropped, target and secrets are forgotten."""
    row = access.channel_to_manage(actor, channel_id)
    before = {**_facts(row), "subscriptions": row.subscriptions.count()}
    row.subscriptions.all().delete()
    Delivery.objects.filter(channel=row, status=NotificationState.DUE).update(
        status=NotificationState.DROPPED, error="the channel was removed", ended_at=timezone.now()
    )
    row.active, row.removed_at, row.old_secret_until = False, timezone.now(), None
    row.target = row.secret = row.old_secret = ""
    row.save(update_fields=["active", "removed_at", "target", "secret", "old_secret", "old_secret_until"])
    _tell(actor, "removed", row, before=before, after=None, reason=reason)
    return row


@operation
def make_test_message(*, channel_id: UUID, actor: Actor) -> Delivery:
    """Make a test message for a channel, to be sent at once by the caller, and once only; raises ChannelIsOff."""
    row = access.channel_to_manage(actor, channel_id)
    if not row.active:
        raise ChannelIsOff(f"{row.name} is switched off.", channel=str(row.pk))
    notice = Notice.objects.create(
        topic=TEST,
        severity=Severity.INFO,
        subject_kind="notifications_channels",
        subject_id=str(row.pk),
        data={"actor": actor.name, "channel": row.name},
    )
    notice.refresh_from_db()
    record(actor, "notification.channel_tested", row, after={"name": row.name, "target": row.shown_target})
    return deliver_to(notice, channel=row)


def _forgive(row: Channel) -> None:
    """Close the circuit of a channel that leads elsewhere now."""
    if row.kind == ChannelKind.EMAIL:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "update notifications_lanes set failures = 0, open_until = null, error = '' where name = %s", [row.lane]
        )


def _tell(
    actor: Actor, what: str, row: Channel, *, before: dict[str, Any] | None, after: dict[str, Any] | None, reason: str
) -> None:
    record(actor, f"notification.channel_{what}", row, before=before, after=after, reason=reason)
    facts = {"name": row.name, "kind": row.kind, "target": row.shown_target, "reason": reason}
    emit(f"notification.channel_{what}", kind="notifications_channels", id=row.pk, data=facts)


def _facts(row: Channel) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "target": row.shown_target,
        "target_sha256": row.target_sha256,
        "active": row.active,
    }


def _checked_name(name: str) -> str:
    text = " ".join(name.split())
    if not 0 < len(text) <= MAX_NAME:
        raise Invalid(f"A name has 1 to {MAX_NAME} characters.", errors={"name": ["must have 1 to 100 characters"]})
    return text


def _checked_target(kind: str, target: str) -> str:
    try:
        if kind == ChannelKind.EMAIL:
            return ", ".join(addresses.parse_mailboxes(target))
        addresses.parse(target.strip())
    except addresses.Forbidden as error:
        raise BadTarget(str(error), errors={"target": [str(error)]}) from error
    return target.strip()


def _check_secret(kind: str, secret: str) -> None:
    if kind != ChannelKind.WEBHOOK:
        if secret:
            raise BadSecret("Only a signed webhook has a secret.", errors={"secret": ["this kind of channel has none"]})
        return
    try:
        signing.key_of(secret)
    except ValueError as error:
        raise BadSecret(f"This is no secret to sign with: {error}.", errors={"secret": [str(error)]}) from error


def _taken(error: IntegrityError, name: str) -> Exception:
    diagnosis = getattr(error.__cause__, "diag", None)
    if diagnosis is not None and diagnosis.constraint_name == "channel_name_once":
        return NameTaken(f"There is a channel {name} already.", errors={"name": ["is taken"]})
    return error
