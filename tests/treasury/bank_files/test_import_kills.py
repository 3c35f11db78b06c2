"""An import of a bank's file that is killed: a second import or the job completes it, and nothing is booked twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry
from opsconsole.plans.models import Plan
from opsconsole.treasury import jobs, ledger
from opsconsole.treasury.models import BankFile, BankLine, Instruction, Transfer
from opsconsole.treasury.selectors import files_left_behind
from opsconsole.treasury.services.bank_files import CHUNK, import_bank_file
from tests.conftest import dsn_as
from tests.sandbox_bank.process import ROOT
from tests.treasury.bank_files.conftest import balances, entry, statement
from tests.world import World, counts

pytestmark = pytest.mark.fault

EARLY, LATE = 25, 15  # payments that end by a line of the first chunk, and of the second
LINES = CHUNK + LATE


@pytest.fixture
def file(sent: Plan, tmp_path: Path) -> Path:
    """Two chunks: every payment on its way again and again, then booked."""
    made = [(one.end_to_end_id, f"{one.amount}") for one in Instruction.objects.order_by("ordinal")]
    assert len(made) == EARLY + LATE
    booked = [entry(reference, amount) for reference, amount in made]
    waiting = [entry(*made[number % len(made)], status="PDNG") for number in range(CHUNK - EARLY)]
    path = tmp_path / "statement.xml"
    path.write_bytes(statement(*waiting, *booked))
    return path


@pytest.fixture
def command(person: Callable[..., Actor], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `manage.py import_bank_file` as a process of its own, on the test's database and storage."""
    user = person("finance_ops").user
    assert user is not None
    environment = os.environ | {
        "OPS_VAR": str(tmp_path),
        "SECRET_KEY": settings.SECRET_KEY,
        "FIELD_ENCRYPTION_KEYS": ",".join(settings.FIELD_ENCRYPTION_KEYS),
        "JOURNAL_SIGNING_KEY": settings.JOURNAL_SIGNING_KEY,
        "DATABASE_URL": dsn_as("ops_app"),
        "DATABASE_OWNER_URL": dsn_as("ops_owner"),
        "REDIS_URL": "redis://127.0.0.1:1/0",  # nobody: an import needs none
        "OPSCONSOLE_TOKEN": create_token(user),
    }

    def run(path: Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / "manage.py", "import_bank_file", path, "--as", "finance_ops"],
            check=False,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.mark.parametrize(
    ("point", "committed", "completes"),
    [
        ("treasury.bank_file.in_chunk:1", 0, "command"),
        ("treasury.bank_file.after_chunk:1", CHUNK, "job and import"),
        ("treasury.bank_file.in_chunk:2", CHUNK, "job"),
        ("treasury.bank_file.after_chunk:2", LINES, "job"),
    ],
)
def test_killed_on_either_side_of_a_commit_it_is_completed(
    world: World,
    command: Callable[..., subprocess.CompletedProcess[str]],
    person: Callable[..., Actor],
    file: Path,
    tmp_path: Path,
    point: str,
    committed: int,
    completes: str,
) -> None:
    before, proof = balances(world), tmp_path / "crashed"
    killed = command(file, OPS_CRASH_AT=point, OPS_CRASH_LOG=str(proof))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert proof.read_text().startswith(point.partition(":")[0]), "the fault never fired"
    left = BankFile.objects.get()
    assert (left.status, left.lines_read, BankLine.objects.count()) == ("reading", committed, committed)
    booked = max(0, EARLY + committed - CHUNK)
    assert Transfer.objects.filter(kind="settled").count() == booked
    assert files_left_behind(0) == [left.pk]

    def job() -> None:
        jobs.take_in_bank_file(str(left.pk))
        jobs.take_in_bank_file(str(left.pk))

    def again() -> None:
        with file.open("rb") as stream:
            import_bank_file(stream=stream, name=file.name, actor=actor)

    actor = person("finance_ops")
    match completes:
        case "command":
            done = command(file)
            assert done.returncode == 0, done.stderr
            assert f"{LINES:,} lines: {EARLY + LATE} settled" in done.stdout
            assert "It was imported before" in command(file).stdout
        case "job":
            job()
        case _:
            _side_by_side(job, again)

    left.refresh_from_db()
    assert (left.status, left.lines_read, left.settled, left.breaks) == ("imported", LINES, EARLY + LATE, 0)
    assert left.pending == CHUNK - EARLY
    assert list(BankLine.objects.order_by("number").values_list("number", flat=True)) == list(range(1, LINES + 1))
    assert counts("treasury_payouts") == counts("treasury_instructions") == {"settled": EARLY + LATE}
    assert Transfer.objects.filter(kind="settled").count() == EARLY + LATE
    assert before["in_transit"] > 0
    assert balances(world) == before | {"in_transit": Decimal(0), "paid_out": before["in_transit"]}
    assert ledger.prove() == []
    chunks = [
        told.content["after"]["lines"] for told in Entry.objects.filter(verb="bank_file.taken_in").order_by("seq")
    ]
    assert chunks == [[1, CHUNK], [CHUNK + 1, LINES]]
    assert Entry.objects.filter(verb__in=("bank_file.received", "bank_file.imported")).count() == 2


def _side_by_side(*acts: Callable[[], None]) -> None:
    failed: list[BaseException] = []

    def run(act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised again where the test sees it
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
