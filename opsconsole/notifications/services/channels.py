"""Channels: where data leaves the house. Whoever manages them switches, tests and removes them at once.

What leads somewhere is a change that others agree to (`opsconsole.notifications.changes`). All of it is journalled, and
told to whoever subscribed to such news.
"""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.notifications import access
from opsconsole.notifications.errors import ChannelIsOff
from opsconsole.notifications.kinds import TEST
from opsconsole.notifications.models import Channel, Delivery, Notice
from opsconsole.notifications.services.fanout import deliver_to
from opsconsole.notifications.states import NotificationState, Severity
from opsconsole.notifications.wiring import facts, tell


@operation
def switch_channel(*, channel_id: UUID, on: bool, reason: str, actor: Actor) -> Channel:
    """Tell a channel nothing more, or again what happens from now on; where it leads stays as others agreed to."""
    row = access.channel_to_manage(actor, channel_id)
    before = row.active
    if before is not on:
        row.active = on
        row.save(update_fields=["active"])
        tell(actor, "changed", row, before={"active": before}, after={"active": on}, reason=reason)
    return row


@operation
def remove_channel(*, channel_id: UUID, reason: str, actor: Actor) -> Channel:
    """Remove a channel with its subscriptions; what waits for it is dropped, target and secrets are forgotten."""
    row = access.channel_to_manage(actor, channel_id)
    before = {**facts(row), "subscriptions": row.subscriptions.count()}
    row.subscriptions.all().delete()
    due = Delivery.objects.filter(channel=row, status=NotificationState.DUE)
    for rows in (due.filter(told_with=None), due):  # leaders first, as whoever sends them locks them
        rows.update(status=NotificationState.DROPPED, error="the channel was removed", ended_at=timezone.now())
    row.active, row.removed_at, row.old_secret_until = False, timezone.now(), None
    row.target = row.secret = row.old_secret = ""
    row.save(update_fields=["active", "removed_at", "target", "secret", "old_secret", "old_secret_until"])
    tell(actor, "removed", row, before=before, after=None, reason=reason)
    return row


@operation
def make_test_message(*, channel_id: UUID, actor: Actor) -> Delivery:
    """Make a test message for a channel, to be sent at once by the caller, and once only; raises ChannelIsOff."""
    row = access.channel_to_manage(actor, channel_id)
    if not row.active:
        raise ChannelIsOff(format_lazy(_("{channel} is switched off."), channel=row.name), channel=str(row.pk))
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
