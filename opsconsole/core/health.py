"""What probes ask: is this process alive, can it work, and the metrics."""

from __future__ import annotations

import hmac
import os
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess

from opsconsole.core import queue
from opsconsole.core.heartbeats import KINDS
from opsconsole.core.metrics import FactCollector

SILENT_AFTER = "30 seconds"


@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when the database and Redis answer and a worker and the scheduler are alive; else 503 and which."""
    checks: dict[str, str] = {"database": "ok", "redis": "ok" if queue.ping() else "no answer"}
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "select kind, count(*) from core_worker_heartbeats where beat_at > now() - %s::interval group by kind",
                [SILENT_AFTER],
            )
            alive: dict[str, Any] = dict(cursor.fetchall())
    except Error:
        checks["database"] = "no answer"
        alive = {}
    checks.update({kind: "ok" if alive.get(kind) else "silent" for kind in KINDS})
    ready = all(value == "ok" for value in checks.values())
    return JsonResponse({"status": "ok" if ready else "unavailable", "checks": checks}, status=200 if ready else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The facts read now, and the latencies every web process has measured."""
    wanted = settings.METRICS_TOKEN
    if wanted and not hmac.compare_digest(request.headers.get("Authorization", ""), f"Bearer {wanted}"):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry()
    registry.register(FactCollector())
    body = generate_latest(registry)
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        shared = CollectorRegistry()
        multiprocess.MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        body += generate_latest(shared)
    else:
        body += generate_latest(REGISTRY)
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)
