"""An import that is killed in the middle: what was committed stays, the same command goes on, nothing comes twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry
from opsconsole.treasury.models import Payout
from opsconsole.treasury.selectors import payout_tallies
from opsconsole.treasury.services.imports import CHUNK
from tests.conftest import dsn_as
from tests.treasury.conftest import HEADER, line

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

ROOT = Path(__file__).resolve().parents[2]
ROWS = 3 * CHUNK - 17


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three chunks of payouts."""
    path = tmp_path / "payouts.csv"
    path.write_text("\n".join([HEADER, *(line(number) for number in range(ROWS))]) + "\n")
    return path


@pytest.fixture
def command(person: Callable[..., Actor], tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start `manage.py import_payouts` as a process of its own, on the test database."""
    user = person("finance_ops").user
    assert user is not None
    environment = os.environ | {
        "DATABASE_URL": dsn_as("ops_app"),
        "DATABASE_OWNER_URL": dsn_as("ops_owner"),
        "REDIS_URL": "redis://127.0.0.1:1/0",  # nobody: an import needs none
        "OPSCONSOLE_TOKEN": create_token(user),
    }

    def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, ROOT / "manage.py", "import_payouts", *arguments, "--as", "finance_ops"],
            env=environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out


def whole_and_once() -> None:
    assert Payout.objects.count() == ROWS
    assert [(tallied.status, tallied.count) for tallied in payout_tallies()] == [("payable", ROWS)]
    assert sum(entry.content["after"]["loaded"] for entry in Entry.objects.filter(verb="payouts.imported")) == ROWS


@pytest.mark.parametrize(
    ("point", "committed"), [("treasury.import.in_chunk:2", CHUNK), ("treasury.import.after_chunk:2", 2 * CHUNK)]
)
def test_killed_on_either_side_of_a_commit_it_goes_on(
    command: Callable[..., subprocess.Popen[str]], file: Path, tmp_path: Path, point: str, committed: int
) -> None:
    proof = tmp_path / "crashed"
    code, _ = finish(command(str(file), OPS_CRASH_AT=point, OPS_CRASH_LOG=str(proof)))
    assert code == -signal.SIGKILL
    assert proof.exists(), "the fault never fired"
    assert Payout.objects.count() == committed
    code, out = finish(command(str(file)))
    assert code == 0
    assert out.startswith(f"{ROWS - committed:,} loaded")
    assert f"{committed:,} already there" in out
    whole_and_once()


def test_killed_in_the_middle_of_a_whole_import_nothing_is_there(
    command: Callable[..., subprocess.Popen[str]], file: Path, tmp_path: Path
) -> None:
    proof = tmp_path / "crashed"
    process = command("--atomic", str(file), OPS_CRASH_AT="treasury.import.in_chunk:3", OPS_CRASH_LOG=str(proof))
    code, _ = finish(process)
    assert (code, proof.exists()) == (-signal.SIGKILL, True)
    assert not Payout.objects.exists()
    assert not Entry.objects.filter(verb="payouts.imported").exists()
    assert finish(command("--atomic", str(file)))[0] == 0
    whole_and_once()


def test_killed_at_any_moment_it_goes_on(command: Callable[..., subprocess.Popen[str]], file: Path) -> None:
    process = command(str(file))
    deadline = time.monotonic() + 60
    while not Payout.objects.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was over before it was killed"
    connection.close()
    assert 0 < Payout.objects.count() < ROWS
    assert finish(command(str(file)))[0] == 0
    whole_and_once()
