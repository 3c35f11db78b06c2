"""The API over HTTP on granian: reads and writes, p50 and p99, beside a Django view that does nothing."""

from __future__ import annotations

import json
import os
import time
from itertools import count

import urllib3

from bench.figures import Figure
from bench.processes import free_port, process, sandbox_bank, seed, tokens, wait_for

CALLS = 1_500
WARM_UP = 100


def run(*, scale: float) -> list[Figure]:
    """The latency of one caller at a time."""
    port = free_port()
    calls = int(CALLS * scale)
    with sandbox_bank() as url:
        seed(url)
        web = (
            "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--log-level", "error", "opsconsole.wsgi:application",
        )  # fmt: skip
        with process(*web, OPS_DB_POOL="1", PORT=str(port)):
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/healthz")
            return _measure(address, calls)


def _measure(address: str, calls: int) -> list[Figure]:
    pool = urllib3.PoolManager(retries=False)
    headers = {"Authorization": f"Bearer {tokens()['ops']}", "Content-Type": "application/json"}
    numbers = count()

    def empty() -> int:
        return int(pool.request("GET", f"{address}/healthz").status)

    def read() -> int:
        return int(pool.request("GET", f"{address}/api/ops/plans/{plan}", headers=headers).status)

    def write() -> int:
        body = {
            "external_id": f"bench-{os.getpid()}-{next(numbers)}",
            "name": "Bench",
            "plan_type": "payout_batch",
            "payload": {"currency": "EUR", "cutoff_date": "2025-08-01", "total_amount": 250000},
        }
        answer = pool.request("POST", f"{address}/api/ops/plans", headers=headers, body=json.dumps(body).encode())
        written.append(json.loads(answer.data)["id"])
        return int(answer.status)

    written: list[str] = []
    write()
    plan = written[0]
    found: dict[str, list[float]] = {"empty": [], "read": [], "write": []}
    doors = {"empty": (empty, 200), "read": (read, 200), "write": (write, 201)}
    for number in range(calls + WARM_UP):  # in turn, so that all three meet the same machine
        for name, (call, expected) in doors.items():
            started = time.perf_counter()
            status = call()
            taken = time.perf_counter() - started
            if status != expected:
                raise RuntimeError(f"{name} answered {status}")
            if number >= WARM_UP:
                found[name].append(taken * 1000)
    return [
        Figure(
            f"API {name} ({what}), {label}", _at(found[name], point), _at(found["empty"], point), "ms",
            "an empty Django view on the same server", least, "make bench ARGS=api", lower_is_better=True,
        )
        for name, what, limits in (
            ("read", "GET a plan", (0.07, 0.05)),
            ("write", "POST a plan", (0.04, 0.03)),
        )
        for (label, point), least in zip((("p50", 0.5), ("p99", 0.99)), limits, strict=True)
    ]  # fmt: skip


def _at(values: list[float], point: float) -> float:
    return sorted(values)[min(int(len(values) * point), len(values) - 1)]
