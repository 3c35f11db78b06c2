"""A change of a row with its record, a commit each, by eight writers: the journal beside django-auditlog and
django-pghistory on the same PostgreSQL.

Each writer changes rows of its own by the ORM: load, set two columns, save, commit. The console does it as an operation
with one entry in the journal; the peers by their signals and triggers. `python -m bench.audited WHO COUNT` is a writer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from bench.figures import Figure

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "bench_peers"
WRITERS = 8
CHANGES = 400  # per writer
ROWS = 50  # per writer
WARM_UP = 10
STATES = ("staged", "approved")

Change = Callable[[int, str, str], None]  # place, status, digest


def run(*, scale: float) -> list[Figure]:
    """Changes a second, ours beside each peer."""
    from opsconsole import embedded

    superuser = embedded.urls(Path(os.environ["OPS_VAR"])).superuser
    url = superuser.replace("/postgres?", f"/{DATABASE}?")
    with psycopg.connect(superuser, autocommit=True) as db:
        db.execute(f"drop database if exists {DATABASE} with (force)")
        db.execute(f"create database {DATABASE}")
    peers = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "bench.peers.settings",
        "BENCH_PEERS_URL": url.replace("postgresql://", "postgres://"),
    }
    count = int(CHANGES * scale)
    try:
        _prepare(peers)
        rates: dict[str, list[float]] = {"journal": [], "logged": [], "tracked": [], "bare": []}
        for _ in range(3):  # in turn, so that all meet the same machine
            for who, found in rates.items():
                found.append(_changes(who, count, dict(os.environ) if who == "journal" else peers))
    finally:
        with psycopg.connect(superuser, autocommit=True) as db:
            db.execute(f"drop database if exists {DATABASE} with (force)")
    median = {who: sorted(found)[1] for who, found in rates.items()}
    again = "make bench ARGS=audited"
    name = f"change and its journal entry, {WRITERS} writers"
    return [
        Figure(name, median["journal"], median["logged"], "/s", "the same change with django-auditlog", 1.0, again),
        Figure(name, median["journal"], median["tracked"], "/s", "the same change with django-pghistory", 0.5, again),
        Figure(name, median["journal"], median["bare"], "/s", "the same change, written down by nobody", 0.4, again),
    ]


def _prepare(environment: dict[str, str]) -> None:
    for command in (["migrate", "--run-syncdb", "--verbosity=0"], ["pgtrigger", "install"]):
        subprocess.run(
            [sys.executable, "-m", "django", *command], cwd=ROOT, env=environment, check=True, capture_output=True
        )
    from django.db import connection

    from opsconsole.core.database import as_owner

    with as_owner(), connection.cursor() as cursor:
        cursor.execute(
            "create table if not exists bench_rows (id bigint generated always as identity primary key,"
            " name text not null, status text not null, digest text not null)"
        )
        cursor.execute("grant select, insert, update on bench_rows to ops_app")


def _changes(who: str, count: int, environment: dict[str, str]) -> float:
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.audited", who, str(count)],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(WRITERS)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        if writer.stdout.readline() != "ready\n":
            raise RuntimeError(f"a writer of {who} did not start")
    started = time.perf_counter()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    codes = [writer.wait() for writer in writers]
    taken = time.perf_counter() - started
    if any(codes):
        raise RuntimeError(f"a writer of {who} failed")
    return WRITERS * count / taken


def main() -> None:
    """One writer: make rows, say that it is ready, wait for the word, change them."""
    import django

    django.setup()
    who, count = sys.argv[1], int(sys.argv[2])
    change = _ours() if who == "journal" else _theirs(who)
    for number in range(WARM_UP):
        change(number, STATES[0], "")
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        change(number % ROWS, STATES[number // ROWS % 2], f"{number:064x}")


def _theirs(who: str) -> Change:
    from django.db import transaction

    from bench.peers import models

    model = {"logged": models.Logged, "tracked": models.Tracked, "bare": models.Bare}[who]
    keys = [model.objects.create(name="Payouts", status="draft", digest="").pk for _ in range(ROWS)]

    def change(place: int, status: str, digest: str) -> None:
        with transaction.atomic(durable=True):
            row = model.objects.select_for_update().get(pk=keys[place])
            row.status, row.digest = status, digest
            row.save(update_fields=["status", "digest"])

    return change


def _ours() -> Change:
    from django.db import models

    from opsconsole.core.actors import SYSTEM, Actor
    from opsconsole.core.operations import operation
    from opsconsole.journal.record import record

    class BenchRow(models.Model):
        """The same row in the console's database."""

        name = models.TextField()
        status = models.TextField()
        digest = models.TextField()

        class Meta:
            app_label = "core"
            managed = False
            db_table = "bench_rows"

    keys = [BenchRow.objects.create(name="Payouts", status="draft", digest="").pk for _ in range(ROWS)]
    actor = SYSTEM("bench")

    @operation
    def move(*, key: int, status: str, digest: str, actor: Actor) -> None:
        row = BenchRow.objects.select_for_update().get(pk=key)
        before = {"status": row.status, "digest": row.digest}
        row.status, row.digest = status, digest
        row.save(update_fields=["status", "digest"])
        record(actor, "bench.moved", row, before=before, after={"status": status, "digest": digest})

    return lambda place, status, digest: move(key=keys[place], status=status, digest=digest, actor=actor)


if __name__ == "__main__":
    main()
