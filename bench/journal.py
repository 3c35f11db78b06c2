"""The journal: appends by eight writers beside the same bytes in a bare table, and verify beside bare hashing."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, connections

from bench.figures import Figure

WRITERS = 8
APPENDS = 2_000  # per writer
ENTRIES = 200_000  # for verify
BODY = {
    "actor": {"kind": "user", "id": "0198c0de-0000-7000-8000-000000000000", "name": "finance_ops"},
    "verb": "bench.appended",
    "subject": {"kind": "ops_plans", "id": "0198c0de-0000-7000-8000-000000000001"},
    "before": {"status": "staged"},
    "after": {"status": "approved", "digest": "6b1f0c0f6d0b4a1c8f4c0b7a6b1f0c0f6d0b4a1c8f4c0b7a6b1f0c0f6d0b4a1c"},
    "reason": "",
}
TEXT = json.dumps(BODY, sort_keys=True, separators=(",", ":"))


def run(*, scale: float) -> list[Figure]:
    """Appends and verify."""
    return [_appends(int(APPENDS * scale)), _verify(int(ENTRIES * scale))]


def _appends(count: int) -> Figure:
    with psycopg.connect(settings.DATABASE_OWNER_URL, autocommit=True) as owner:
        owner.execute(
            "create table bench_bare (seq bigint generated always as identity primary key, body text not null)"
        )
        owner.execute(f"grant insert on bench_bare to {settings.DB_APP_ROLE}")
    try:
        rates: dict[str, list[float]] = {"journal_entries": [], "bench_bare": []}
        for _ in range(3):  # in turn, so that both meet the same machine
            for table, found in rates.items():
                found.append(_written(table, count))
    finally:
        with psycopg.connect(settings.DATABASE_OWNER_URL, autocommit=True) as owner:
            owner.execute("drop table bench_bare")
    return Figure(
        name=f"journal appends, {WRITERS} writers, a commit each",
        value=sorted(rates["journal_entries"])[1],
        floor=sorted(rates["bench_bare"])[1],
        unit="/s",
        floor_name="the same bytes into a table of one text column",
        at_least=0.3,
        again="make bench ARGS=journal",
    )


def _written(table: str, count: int) -> float:
    connections.close_all()
    gate = multiprocessing.get_context("spawn").Barrier(WRITERS + 1)
    writers = [
        multiprocessing.get_context("spawn").Process(target=_write, args=(settings.DATABASE_URL, table, count, gate))
        for _ in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    gate.wait()
    started = time.perf_counter()
    for writer in writers:
        writer.join()
    taken = time.perf_counter() - started
    if any(writer.exitcode for writer in writers):
        raise RuntimeError("a writer failed")
    return WRITERS * count / taken


def _write(url: str, table: str, count: int, gate: Any) -> None:
    with psycopg.connect(url, autocommit=True) as writer:
        gate.wait()
        for _ in range(count):
            writer.execute(f"insert into {table} (body) values (%s)", [TEXT])


def _verify(count: int) -> Figure:
    from opsconsole.core.actors import SYSTEM
    from opsconsole.journal import services, verify

    with connection.cursor() as cursor:
        cursor.execute("insert into journal_entries (body) select %s from generate_series(1, %s)", [TEXT, count])
    while services.seal(actor=SYSTEM("bench")):
        pass
    taken, bare, entries = [], [], 0
    for _ in range(3):
        started = time.perf_counter()
        outcome = verify.verify()
        taken.append(time.perf_counter() - started)
        if not outcome.sound:
            raise RuntimeError(f"the journal does not verify: {outcome}")
        entries = outcome.sealed
        bare.append(_bare_hashing())
    return Figure(
        name="journal verify",
        value=entries / sorted(taken)[1],
        floor=sorted(bare)[1],
        unit="entries/s",
        floor_name="read every body and hash it once, nothing compared",
        at_least=0.12,
        again="make bench ARGS=journal",
    )


def _bare_hashing() -> float:
    started, number = time.perf_counter(), 0
    with psycopg.connect(settings.DATABASE_URL) as reader, reader.cursor(name="bare") as cursor:
        cursor.itersize = 10_000
        cursor.execute("select body from journal_entries order by seq")
        for (body,) in cursor:
            hashlib.sha256(b"\0" + body.encode()).digest()
            number += 1
    return number / (time.perf_counter() - started)
