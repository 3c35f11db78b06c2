"""From an event to what is due to each of its receivers, once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.core.models import OutboxEvent, User
from opsconsole.core.operations import assert_in_operation, operation
from opsconsole.core.outbox import emit
from opsconsole.core.queue import after_commit
from opsconsole.notifications import selectors
from opsconsole.notifications.kinds import kind_of, severity_of
from opsconsole.notifications.models import MAIL_LANE, Channel, Delivery, Notice
from opsconsole.notifications.states import ChannelKind

DEAD = "notification.dead"
LIFE = timedelta(hours=24)
QUEUE = "notifications"
PUMP = "opsconsole.notifications.jobs.send_due"


@operation
def fan_out(*, event_id: UUID, actor: Actor) -> int:
    """Write what is due to each receiver of an event and wake a worker; returns how many. Again, it does nothing."""
    event = OutboxEvent.objects.get(pk=event_id)
    kind = kind_of(event.topic)
    receivers = selectors.receivers_of(event.topic, kind, event.data)
    # News that a delivery was given up does not go where that one could not go.
    channels = [channel for channel in receivers.channels if str(channel.pk) != event.data.get("channel")]
    if not channels and not receivers.people:
        return 0
    known = selectors.known_of(event.topic, event.subject_kind, event.subject_id, event.data)
    notice = _notice_of(event, {**known, **event.data}, severity_of(kind, event.data))
    if notice is None:
        return 0
    for channel in channels:
        deliver_to(notice, channel=channel)
    for person in receivers.people:
        deliver_to(notice, user=person)
    after_commit(PUMP, queue=QUEUE)
    return len(channels) + len(receivers.people)


def deliver_to(notice: Notice, *, channel: Channel | None = None, user: User | None = None) -> Delivery:
    """Make the notice due to a channel or a person, in the caller's operation."""
    assert_in_operation()
    kind, lane = (ChannelKind.EMAIL.value, MAIL_LANE) if channel is None else (channel.kind, channel.lane)
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into notifications_lanes (name, failures, error) values (%s, 0, '') on conflict do nothing", [lane]
        )
    delivery = Delivery.objects.create(
        notice=notice, channel=channel, user=user, kind=kind, lane=lane, deadline_at=timezone.now() + LIFE
    )
    delivery.refresh_from_db()
    return delivery


@operation
def remind(*, request_id: UUID, actor: Actor) -> bool:
    """Emit `approval.expiring` for a request that ends soon, once; whether this was the time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into notifications_reminders (request_id) values (%s) on conflict do nothing", [request_id]
        )
        if not cursor.rowcount:
            return False
    request = Request.objects.get(pk=request_id)
    emit(
        "approval.expiring",
        kind=request.subject_kind,
        id=request.subject_id,
        data={"request": str(request.pk), "action": request.action, "title": request.title, "status": request.status},
    )
    return True


def _notice_of(event: OutboxEvent, data: dict[str, Any], severity: str) -> Notice | None:
    """The event's notice, made now; None when there is one already."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into notifications_notices"
            " (event_id, topic, severity, subject_kind, subject_id, data, happened_at)"
            " values (%s, %s, %s, %s, %s, %s::jsonb, %s) on conflict (event_id) do nothing returning id",
            [
                event.pk,
                event.topic,
                severity,
                event.subject_kind,
                event.subject_id,
                json.dumps(data),
                event.created_at,
            ],
        )
        made = cursor.fetchone()
    return Notice.objects.get(pk=made[0]) if made else None
