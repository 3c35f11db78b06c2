"""What is old goes, what may still be asked for stays."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from opsconsole.core import jobs
from opsconsole.core.heartbeats import beat
from opsconsole.core.idempotency import Answer, RequestKey, remember
from opsconsole.core.models import IdempotencyKey, OutboxDelivery, OutboxEvent, WorkerHeartbeat

pytestmark = pytest.mark.django_db(transaction=True)


def test_tidying(superuser: psycopg.Connection[Any]) -> None:
    for name in ("old", "new"):
        remember(RequestKey("somebody", name, b"x"), Answer(200, {}))
        beat(name, kind="worker")
    for age, status in ((100, "delivered"), (100, "due"), (1, "delivered")):
        superuser.execute(
            "with event as (insert into core_outbox_events (topic, subject_kind, subject_id, data, created_at)"
            " values ('t', 'test', '1', '{}', now() - make_interval(days => %s)) returning id)"
            " insert into core_outbox_deliveries (event_id, listener, status, attempts, error)"
            " select id, 'somebody', %s, 0, '' from event",
            [age, status],
        )
    superuser.execute("update core_idempotency_keys set created_at = now() - interval '8 days' where key = 'old'")
    superuser.execute("update core_worker_heartbeats set beat_at = now() - interval '2 days' where name = 'old'")
    jobs.tidy()
    assert [key.key for key in IdempotencyKey.objects.all()] == ["new"]
    assert [heart.name for heart in WorkerHeartbeat.objects.all()] == ["new"]
    assert sorted(OutboxDelivery.objects.values_list("status", flat=True)) == ["delivered", "due"]
    assert OutboxEvent.objects.count() == 2
