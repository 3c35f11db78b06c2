"""`manage.py backup` as a process: what it says, and what is left when it is interrupted or killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from opsconsole.backups import jobs
from opsconsole.backups.checking import scratch_name
from opsconsole.backups.models import Backup
from opsconsole.journal.models import Entry
from tests.api.servers import ROOT, environment, wait_for
from tests.conftest import dsn_as

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(readable: None, place: Path) -> Callable[..., subprocess.Popen[str]]:
    """`manage.py backup` at a shell, on the test's database."""

    def run(*arguments: str, **more: str) -> subprocess.Popen[str]:
        env = environment(database=dsn_as(django_settings.DB_APP_ROLE, direct=True), redis=django_settings.REDIS_URL)
        env |= {
            "DATABASE_OWNER_URL": dsn_as(django_settings.DB_OWNER_ROLE, direct=True),
            "BACKUP_DIRECTORY": str(place),
            **more,
        }
        env.pop("OPSCONSOLE_TOKEN", None)
        # What runs in the background of a script does not hear Ctrl-C, and neither would its children.
        return subprocess.Popen(
            ["env", "--default-signal=INT", sys.executable, ROOT / "manage.py", "backup", *arguments],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    return run


def test_it_says_what_it_made(start: Callable[..., Any], place: Path) -> None:
    process = start("--reason", "before the upgrade")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    backup = Backup.objects.get()
    assert (backup.status, backup.reason) == ("verified", "before the upgrade")
    assert backup.asked_by.startswith("shell:")
    counted, digest, path = out.strip().splitlines()
    assert counted.startswith(f"{backup.tables:,} tables with {backup.rows:,} rows restored as they were dumped; ")
    assert digest == f"sha256 {backup.sha256}"
    assert Path(path) == place / backup.file_name
    assert Path(path).stat().st_size == backup.size_bytes
    assert re.search(r"backup\.verified", " ".join(Entry.objects.values_list("verb", flat=True)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_nothing(
    number: signal.Signals, start: Callable[..., Any], wrapped: Callable[..., Path], place: Path
) -> None:
    folder = wrapped(pg_dump='for one; do case $one in --file=*) echo half > "${one#--file=}";; esac; done; sleep 300')
    process = start(BACKUP_PG_BIN=str(folder))
    wait_for("half a file", lambda: place.is_dir() and [path for path in place.iterdir() if path.stat().st_size == 5])
    os.killpg(process.pid, number)
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Interrupted" in err
    backup = Backup.objects.get()
    assert (backup.status, backup.error_code) == ("failed", "backup_interrupted")
    assert list(place.iterdir()) == []


def test_a_kill_in_the_middle_is_swept_up(
    start: Callable[..., Any], place: Path, databases: Callable[[], set[str]]
) -> None:
    """Killed with the file written and the scratch database made: neither is there once its lease is over."""
    process = start(OPS_CRASH_AT="backups.scratch_made")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    backup = Backup.objects.get()
    assert backup.status == "checking"
    assert [path.name for path in place.iterdir()] == [f".{backup.file_name}.partial"]
    assert scratch_name(backup.pk) in databases()
    Backup.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    jobs.sweep_backups()
    backup.refresh_from_db()
    assert (backup.status, backup.error_code, backup.scratch) == ("failed", "backup_lost", "")
    assert list(place.iterdir()) == []
    assert scratch_name(backup.pk) not in databases()


def test_whoever_is_named_must_be_allowed(start: Callable[..., Any]) -> None:
    process = start("--as", "nobody")
    _out, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1].split(":")[0]) == (1, "denied")
    assert not Backup.objects.exists()
