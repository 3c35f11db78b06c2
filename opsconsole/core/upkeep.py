"""What the floor throws away: bookkeeping that nobody will ask for again, never business."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation

KEYS_LIVE = timedelta(days=7)
EVENTS_LIVE = timedelta(days=90)
HEARTBEATS_LIVE = timedelta(days=1)


@operation
def drop_old(*, actor: Actor) -> None:
    """Delete stored answers, delivered events and heartbeats that are past their life."""
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
