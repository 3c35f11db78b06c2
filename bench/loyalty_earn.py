"""An earn over HTTP on granian, as a till sends it, by as many callers at once as two cores take, beside a bare Django
view that does one UPDATE and one INSERT in one transaction: same server, same workers and threads, same PostgreSQL,
same callers.

Ours has a token to look up, permissions to ask for, a body to check, a key under which it happens once, and a ledger
with its rules; the peer has none of that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import psycopg
from django.conf import settings

from bench.callers import Answers, Calls, answers
from bench.figures import Figure
from bench.members import a_program, enrol, person
from bench.processes import ROOT, free_port, process, wait_for

DATABASE = "bench_earning"
MEMBERS = 10_000
CALLERS = 4  # twice the processors: more would only wait longer
WORKERS = 2
THREADS = 4  # and connections, for each worker
ROUNDS = 3
SECONDS = 6.0

BODY = '{"userId": "user-{m}", "%s, "originTxnId": "order-{n}", "ipAddress": "203.0.113.7"}'
BODIES = {"of so many points": BODY % 'points": 60', "for a purchase": BODY % 'spent": "59.90"'}
PEERS = {"by cursor": "/cursor", "by ORM": "/orm"}
AT_LEAST = {"by cursor": 0.25, "by ORM": 0.45}
RATE, P99 = 800.0, 25.0  # a second, milliseconds


def run(*, scale: float) -> list[Figure]:
    """The rate and the latencies, in turn with the peer's."""
    from opsconsole.core.tokens import create_token

    seconds, rounds = max(0.5, SECONDS * scale), ROUNDS if scale >= 1 else 1
    with a_program("bench earn") as program, _ours() as ours, _peer() as peer:
        enrol(program, MEMBERS)
        headers = {"Authorization": f"Bearer {create_token(person('ops_marketing').user)}", "Idempotency-Key": "k-{n}"}
        doors = {
            name: Calls(ours, f"/api/programs/{program.pk}/earn", body, headers, callers=CALLERS, members=MEMBERS)
            for name, body in BODIES.items()
        } | {
            name: Calls(peer, path, BODIES["of so many points"], callers=CALLERS, members=MEMBERS)
            for name, path in PEERS.items()
        }
        found: dict[str, list[Answers]] = {name: [] for name in doors}
        number = 0
        for _ in range(rounds):  # in turn, so that all meet the same machine
            for name, calls in doors.items():
                found[name].append(answers(replace(calls, seconds=seconds, first=number)))
                number = found[name][-1].last
    return _figures({name: _middle(rounds_of) for name, rounds_of in found.items()})


def _figures(found: dict[str, Answers]) -> list[Figure]:
    again = "make bench ARGS=loyalty_earn"
    figures = []
    for name in BODIES:
        ours, what = found[name], f"earn {name}, {CALLERS} callers"
        for peer, least in AT_LEAST.items():
            beside = f"a bare view, one UPDATE and one INSERT {peer}"
            figures.append(Figure(what, ours.rate, found[peer].rate, "/s", beside, least, again, target=RATE))
        bare = found["by ORM"]
        for label, value, floor, target in (("p50", ours.p50, bare.p50, None), ("p99", ours.p99, bare.p99, P99)):
            figures.append(
                Figure(
                    f"{what}, {label}", value, floor, "ms", "the same view by ORM", AT_LEAST["by ORM"], again,
                    lower_is_better=True, target=target,
                )
            )  # fmt: skip
    return figures


def _middle(found: list[Answers]) -> Answers:
    return Answers(
        median(one.rate for one in found), median(one.p50 for one in found), median(one.p99 for one in found), 0
    )


@contextmanager
def _ours() -> Iterator[int]:
    measured = settings.VAR / "metrics"
    measured.mkdir(parents=True, exist_ok=True)
    with _granian("opsconsole.wsgi:application", PROMETHEUS_MULTIPROC_DIR=str(measured), OPS_DB_POOL="1") as port:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        yield port


@contextmanager
def _peer() -> Iterator[int]:
    from opsconsole import embedded

    superuser = embedded.urls(Path(os.environ["OPS_VAR"])).superuser
    url = superuser.replace("/postgres?", f"/{DATABASE}?")
    environment = {
        "DJANGO_SETTINGS_MODULE": "bench.peers.earning.settings",
        "BENCH_PEERS_URL": url.replace("postgresql://", "postgres://"),
    }
    with psycopg.connect(superuser, autocommit=True) as db:
        db.execute(f"drop database if exists {DATABASE} with (force)")
        db.execute(f"create database {DATABASE}")
        try:
            subprocess.run(
                [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity=0"],
                cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True,
            )  # fmt: skip
            with psycopg.connect(url, autocommit=True) as peer:
                peer.execute("alter table earning_member set (fillfactor = 70)")  # as ours has
                peer.execute(
                    "insert into earning_member (user_id, points) select 'user-' || n, 0 from generate_series(0, %s) n",
                    [MEMBERS - 1],
                )
                peer.execute("vacuum analyze earning_member")
            with _granian("django.core.wsgi:get_wsgi_application", "--factory", **environment) as port:
                wait_for(f"http://127.0.0.1:{port}/healthz")
                yield port
        finally:
            db.execute(f"drop database if exists {DATABASE} with (force)")


@contextmanager
def _granian(application: str, *options: str, **environment: str) -> Iterator[int]:
    port = free_port()
    command = (
        "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--no-ws",
        "--workers", str(WORKERS), "--blocking-threads", str(THREADS), "--log-level", "error", *options, application,
    )  # fmt: skip
    with process(*command, OPS_DB_POOL_SIZE=str(THREADS), **environment):
        yield port
