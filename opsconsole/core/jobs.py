"""The floor's jobs: delivering events, and tidying what has grown old."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import structlog

from opsconsole.core import outbox
from opsconsole.core.actors import SYSTEM
from opsconsole.core.models import OutboxEvent
from opsconsole.core.schedule import periodic
from opsconsole.core.upkeep import drop_old

log = structlog.get_logger(__name__)


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
