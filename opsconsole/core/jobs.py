"""The floor's jobs: delivering events, and tidying what has grown old."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import structlog
from django.db import connection

from opsconsole.core import outbox
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import OutboxEvent
from opsconsole.core.operations import operation
from opsconsole.core.schedule import periodic

log = structlog.get_logger(__name__)

KEYS_LIVE = timedelta(days=7)
EVENTS_LIVE = timedelta(days=90)
HEARTBEATS_LIVE = timedelta(days=1)


def deliver(delivery_id: str) -> None:
    """Try one delivery of an event to one listener."""
    actor = SYSTEM("outbox")
    delivery = outbox.claim_delivery(delivery_id=UUID(delivery_id), actor=actor)
    if delivery is None:
        return
    error = ""
    try:
        outbox.listener_named(delivery.listener)(delivery.event)
    except Exception as failure:  # noqa: BLE001 - a listener may fail in any way; the delivery row keeps it
        log.warning("outbox.delivery_failed", listener=delivery.listener, error=str(failure), exc_info=True)
        error = f"{type(failure).__name__}: {failure}"
    outbox.finish_delivery(delivery_id=delivery.pk, error=error, actor=actor)


@periodic(every=timedelta(seconds=5))
def sweep_outbox() -> None:
    """Deliver what is due and whose wake-up was lost."""
    for delivery_id in outbox.due_deliveries():
        deliver(str(delivery_id))


def log_event(event: OutboxEvent) -> None:
    """Write the event into the log, where alerting on logs finds it."""
    log.info("event", topic=event.topic, subject=f"{event.subject_kind}:{event.subject_id}", data=event.data)


@periodic(every=timedelta(hours=1))
def tidy() -> None:
    """Drop stored answers, delivered events and heartbeats that nobody will ask for again."""
    drop_old(actor=SYSTEM("tidy"))


@operation
def drop_old(*, actor: Actor) -> None:  # noqa: ARG001 - the author is kept by the operation
    """Delete rows of the floor that are past their life: bookkeeping, never business."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from core_idempotency_keys where created_at < now() - make_interval(secs => %s)",
            [KEYS_LIVE.total_seconds()],
        )
        cursor.execute(
            "delete from core_worker_heartbeats where beat_at < now() - make_interval(secs => %s)",
            [HEARTBEATS_LIVE.total_seconds()],
        )
        cursor.execute(
            """
            delete from core_outbox_deliveries d using core_outbox_events e
            where e.id = d.event_id and e.created_at < now() - make_interval(secs => %s) and d.status = 'delivered'
            """,
            [EVENTS_LIVE.total_seconds()],
        )
        cursor.execute(
            """
            delete from core_outbox_events e where e.created_at < now() - make_interval(secs => %s)
              and not exists (select from core_outbox_deliveries d where d.event_id = e.id)
            """,
            [EVENTS_LIVE.total_seconds()],
        )
