"""Events: written in the operation they tell of, delivered to each listener afterwards, at least once.

A listener is a function named by its dotted path that takes the event. It is called outside any transaction; when it
raises, the delivery is tried again with growing pauses, and after MAX_ATTEMPTS it is dead and counted as such.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

import structlog
from django.db import connection
from django.utils.module_loading import import_string

from opsconsole.core.actors import Actor
from opsconsole.core.models import DeliveryState, OutboxDelivery, OutboxEvent
from opsconsole.core.operations import assert_in_operation, current_actor, operation
from opsconsole.core.queue import after_commit

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 12
LONGEST_PAUSE = timedelta(minutes=30)
LEASE = timedelta(minutes=2)

_listeners: dict[str, str] = {}


def subscribe(listener: str, topic: str) -> None:
    """Have the function at the dotted path `listener` called for every topic that matches the pattern."""
    _listeners[listener] = topic


def emit(topic: str, *, kind: str, id: object, data: dict[str, Any] | None = None) -> None:
    """Write an event and what is due to each listener, in the caller's operation, whose actor it names."""
    assert_in_operation()
    facts = {"actor": current_actor().name, **(data or {})}
    event = OutboxEvent.objects.create(topic=topic, subject_kind=kind, subject_id=str(id), data=facts)
    for listener, pattern in _listeners.items():
        if fnmatchcase(topic, pattern):
            # One by one: a bulk insert does not bring back keys that the database made.
            delivery = OutboxDelivery.objects.create(event=event, listener=listener)
            after_commit("opsconsole.core.jobs.deliver", delivery.pk)


def due_deliveries(*, limit: int = 100) -> list[UUID]:
    """Deliveries whose time has come, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select id from core_outbox_deliveries where status = 'due' and next_attempt_at <= now()"
            " order by next_attempt_at limit %s",
            [limit],
        )
        return [row[0] for row in cursor.fetchall()]


@operation
def claim_delivery(*, delivery_id: UUID, actor: Actor) -> OutboxDelivery | None:
    """Take a delivery for the length of a lease; None when it is done, or another worker has it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update core_outbox_deliveries set attempts = attempts + 1,"
            " next_attempt_at = now() + make_interval(secs => %s)"
            " where id = %s and status = 'due' and next_attempt_at <= now()",
            [LEASE.total_seconds(), delivery_id],
        )
        if not cursor.rowcount:
            return None
    return OutboxDelivery.objects.select_related("event").get(pk=delivery_id)


@operation
def finish_delivery(*, delivery_id: UUID, error: str, actor: Actor) -> None:
    """Note how a delivery went: delivered without an error, due again after a pause with one, dead at the last."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update core_outbox_deliveries set
              status = case when %(error)s = '' then 'delivered' when attempts >= %(most)s then 'dead' else 'due' end,
              next_attempt_at = now() + make_interval(secs => least(%(longest)s, 2 * power(2, attempts))),
              error = %(error)s
            where id = %(id)s and status = 'due'
            """,
            {"error": error[:2000], "most": MAX_ATTEMPTS, "longest": LONGEST_PAUSE.total_seconds(), "id": delivery_id},
        )


def listener_named(name: str) -> Callable[[OutboxEvent], object]:
    """The listener's function; raises LookupError when nothing of that name is subscribed."""
    if name not in _listeners:
        raise LookupError(f"{name} no longer listens")
    return import_string(name)  # type: ignore[no-any-return] # a dotted path says no type


def count_dead() -> int:
    """Deliveries that were given up."""
    return OutboxDelivery.objects.filter(status=DeliveryState.DEAD).count()
