"""The import of payouts, as the command runs it, beside a bare COPY of the same rows into a table without rules."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from django.conf import settings
from django.core.management import call_command

from bench.figures import Figure
from bench.payouts import ROWS, write
from bench.processes import ROOT


def run(*, scale: float) -> list[Figure]:
    """Rows a second, the start of the command included."""
    call_command("seed_demo", verbosity=0)
    rows = int(ROWS * scale)
    path = write(settings.VAR / "import.csv", rows=rows, prefix="IMPORT")
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "manage.py", "import_payouts", str(path)],
        cwd=ROOT, env=os.environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    taken = time.perf_counter() - started
    return [
        Figure(
            name=f"import_payouts, {rows:,} rows, process start included",
            value=rows / taken,
            floor=_bare_copy(path, rows),
            unit="rows/s",
            floor_name="COPY of the same rows into a table without rules",
            at_least=0.005,
            again="make bench ARGS=imports",
        )
    ]


def _bare_copy(path: Path, rows: int) -> float:
    with psycopg.connect(settings.DATABASE_OWNER_URL, autocommit=True) as owner:
        owner.execute(
            "create table bench_copy (external_id text, name text, iban text, bic text, amount numeric, currency text,"
            " due_date date, remittance text)"
        )
        try:
            started = time.perf_counter()
            with path.open(newline="") as file, owner.cursor() as cursor:
                reader = csv.reader(file)
                next(reader)
                with cursor.copy("copy bench_copy from stdin") as copy:
                    for row in reader:
                        copy.write_row(row)
            return rows / (time.perf_counter() - started)
        finally:
            owner.execute("drop table bench_copy")
