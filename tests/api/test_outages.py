"""The database goes away, or Redis: what the API says then, and that it is itself again afterwards."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rest_framework.test import APIClient

from opsconsole.core.actors import Actor
from opsconsole.core.tokens import create_token
from opsconsole.plans.models import Run
from tests.api.servers import Command, Line, Web, environment, wait_for
from tests.conftest import dsn_as

PLANS = "/api/ops/plans"
SOON = 8.0  # seconds: a load balancer's patience


@pytest.fixture
def line(transactional_db: None) -> Iterator[Line]:
    """A line to PostgreSQL, in a folder whose name is short enough for a socket."""
    parts = conninfo_to_dict(dsn_as(settings.DB_APP_ROLE))
    folder = Path(tempfile.mkdtemp(prefix="ops"))
    made = Line(folder, host=str(parts["host"]), port=int(parts.get("port") or 5432))
    made.mend()
    yield made
    made.cut()
    shutil.rmtree(folder)


def through(line: Line) -> str:
    """How the application reaches the test's database over the line."""
    return make_conninfo(dsn_as(settings.DB_APP_ROLE), host=str(line.folder), port=5432)


@pytest.mark.parametrize("pool", ["1", "0"], ids=["with a pool", "without"])
def test_the_database_goes_and_returns(
    line: Line, person: Callable[..., Actor], console_environment: dict[str, str], tmp_path: Path, pool: str
) -> None:
    user = person("ops").user
    assert user is not None
    token = create_token(user)
    env = environment(database=through(line), redis=console_environment["REDIS_URL"], OPS_DB_POOL=pool)
    with Web(tmp_path, env) as web:
        assert web.ask("GET", PLANS, token=token).status == 200
        line.cut()
        for _ in range(2):  # the first may still hold a connection, the second must ask for one
            began = time.monotonic()
            answer = web.ask("GET", PLANS, token=token, headers={"Request-Id": "outage-1"})
            body = json.loads(answer.data)
            assert (answer.status, body["code"], body["request_id"]) == (503, "unavailable", "outage-1")
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert int(answer.headers["Retry-After"]) > 0
            assert time.monotonic() - began < SOON
        assert web.ask("GET", PLANS).status == 401  # who names no token needs no database to be refused
        assert web.ask("GET", "/api/nothing").status == 404
        assert web.ask("GET", "/healthz", headers={"Cookie": "sessionid=abc"}).status == 200
        began = time.monotonic()
        ready = web.ask("GET", "/readyz")
        assert (ready.status, json.loads(ready.data)["checks"]["database"]) == (503, "no answer")
        assert time.monotonic() - began < SOON
        line.mend()
        wait_for("the API", lambda: web.ask("GET", PLANS, token=token).status == 200)
        assert json.loads(web.ask("GET", "/readyz").data)["checks"]["database"] == "ok"


def test_readiness_names_what_is_missing(web: Web, console_environment: dict[str, str], tmp_path: Path) -> None:
    checks = json.loads(web.ask("GET", "/readyz").data)["checks"]
    assert checks == {"database": "ok", "redis": "ok", "worker": "silent", "scheduler": "silent"}
    with Command(tmp_path, console_environment, "worker"), Command(tmp_path, console_environment, "scheduler"):
        wait_for("readiness", lambda: web.ask("GET", "/readyz").status == 200)


def test_a_plan_is_executed_although_redis_is_down(
    api: Callable[..., APIClient],
    approved: Callable[..., dict[str, Any]],
    console_environment: dict[str, str],
    transactional_db: None,
    tmp_path: Path,
) -> None:
    plan = approved()
    token = api("finance_ops")._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    dead = console_environment | {"REDIS_URL": f"unix://{tmp_path}/nobody.sock"}
    with Web(tmp_path, dead) as web:
        began = time.monotonic()
        answer = web.ask(
            "POST", f"{PLANS}/{plan['id']}/execute", token=token, headers={"Idempotency-Key": "without-redis"}
        )
        assert answer.status == 202, answer.data
        assert time.monotonic() - began < SOON
        ready = web.ask("GET", "/readyz")
        assert (ready.status, json.loads(ready.data)["checks"]["redis"]) == (503, "no answer")
        assert web.ask("GET", "/healthz").status == 200
        assert web.ask("GET", "/metrics").status == 200
    run = Run.objects.get()
    assert (str(run.pk), run.status) == (json.loads(answer.data)["run_id"], "queued")
    # Redis is back: the sweeper finds the run that nobody was woken for.
    with (
        Command(tmp_path, console_environment, "scheduler"),
        Command(tmp_path, console_environment, "worker", "plans"),
    ):
        wait_for("a worker", lambda: Run.objects.get().lease_epoch > 0)
