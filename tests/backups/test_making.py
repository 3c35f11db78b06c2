"""A backup from the button to the file, and everything that can come in between."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from loyalty.models import Balance
from opsconsole.backups import checking, jobs, taking
from opsconsole.backups.checking import scratch_name
from opsconsole.backups.errors import (
    BackupHandedBack,
    BackupLost,
    BackupUnderWay,
    DeadlinePassed,
    DumpFailed,
    PlaceRefused,
    RestoreDiffers,
    RestoreFailed,
    RightsMissing,
    ToolsMissing,
)
from opsconsole.backups.models import Backup
from opsconsole.backups.programs import fitting
from opsconsole.backups.services import backups
from opsconsole.backups.states import BackupState
from opsconsole.backups.taking import Work
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied, DomainError
from opsconsole.core.metrics import registered
from opsconsole.core.models import OutboxEvent
from opsconsole.journal.models import Entry
from tests.backups.world import DUMP
from tests.conftest import superuser_dsn
from tests.loyalty.conftest import marketing, member, program

__all__ = ["marketing", "member", "program"]

pytestmark = pytest.mark.django_db(transaction=True)

NAME = re.compile(r"molam_loyalty_backup_[0-9]{8}_[0-9]{6}\.dump")
SWEEPER = SYSTEM("sweeper")

Failed = Callable[[Work, type[DomainError]], Backup]


@pytest.fixture
def ops(person: Callable[..., Actor]) -> Actor:
    return person("ops")


@pytest.fixture
def begun(ops: Actor, place: Path) -> Callable[..., Work]:
    """A backup in our own hands."""
    return lambda **more: Work(backups.begin_backup_here(reason="", maker=taking.maker(), actor=ops), ops, **more)


@pytest.fixture
def failed(settings: Any, databases: Callable[[], set[str]]) -> Failed:
    """Make a backup that fails for this reason, and leaves nothing behind but what it says."""

    def make(work: Work, error: type[DomainError]) -> Backup:
        with pytest.raises(error) as refused:
            taking.make(work)
        backup = Backup.objects.get(pk=work.backup.pk)
        assert (backup.status, backup.error_code) == ("failed", error.code)
        assert backup.error == refused.value.message
        assert (backup.scratch, scratch_name(backup.pk) in databases()) == ("", False)
        assert [path.name for path in settings.BACKUP_DIRECTORY.glob("*.dump")] == []
        assert list(settings.BACKUP_DIRECTORY.glob(".*")) == []
        assert entries(backup)[-1]["verb"] == "backup.failed"
        assert entries(backup)[-1]["reason"] == backup.error
        assert OutboxEvent.objects.filter(topic="backup.failed", subject_id=str(backup.pk)).exists()
        return backup

    return make


def entries(backup: Backup) -> list[dict[str, Any]]:
    """What the journal has of it, the newest last."""
    found = Entry.objects.filter(subject_kind="ops_backups", subject_id=str(backup.pk)).order_by("seq")
    return [json.loads(entry.body) for entry in found]


def metric(name: str) -> dict[tuple[str, ...], Any]:
    [fact] = [fact for fact in registered() if fact.name == name]
    return dict(fact.samples())


def test_a_backup_is_written_restored_and_compared(
    ops: Actor, readable: None, place: Path, member: Callable[..., Balance], databases: Callable[[], set[str]]
) -> None:
    member("alice", 500)
    member("bob", 41)
    assert metric("ops_backup_age_seconds")[()] == float("inf")
    asked = backups.ask_for_backup(reason="before the upgrade", actor=ops)
    assert (asked.status, asked.asked_by) == ("queued", "ops")
    jobs.take_backup(str(asked.pk))
    jobs.take_backup(str(asked.pk))  # a second wake-up finds nothing to do

    backup = Backup.objects.get()
    assert (backup.status, backup.error) == ("verified", "")
    file = place / backup.file_name
    assert NAME.fullmatch(backup.file_name)
    assert [path.name for path in place.iterdir()] == [file.name]
    assert file.stat().st_mode & 0o777 == 0o600
    assert backup.size_bytes == file.stat().st_size
    assert backup.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert backup.host == socket.gethostname()
    assert (backup.counts["loyalty_balances"], backup.counts["loyalty_transactions"]) == (2, 2)
    assert (backup.figures["loyalty_points_held"], backup.figures["loyalty_points_booked"]) == ("541", "541")
    assert int(backup.figures["triggers"]) > 100
    assert databases() & {scratch_name(backup.pk)} == set()

    told = entries(backup)
    assert [entry["verb"] for entry in told] == ["backup.asked_for", "backup.begun", "backup.verified"]
    assert (told[0]["actor"]["name"], told[0]["reason"]) == ("ops", "before the upgrade")
    facts = told[-1]["after"]
    assert (facts["asked_by"], facts["file"]) == ("ops", str(file))
    assert (facts["size_bytes"], facts["sha256"], facts["tables"]) == (
        backup.size_bytes,
        backup.sha256,
        len(backup.counts),
    )
    assert facts["counts"]["loyalty_balances"] == 2
    assert facts["milliseconds"] > 0
    assert metric("ops_backups")[("verified",)] == 1
    assert metric("ops_backup_age_seconds")[()] < 60

    server = int(backup.server_version.split(".")[0])
    listed = subprocess.run(
        [fitting(server).restore, "--list", file], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert "Format: CUSTOM" in listed
    assert "TABLE DATA public loyalty_transactions" in listed


def test_only_who_may_has_one_made(person: Callable[..., Actor], place: Path) -> None:
    for name in ("finance_ops", "pay_admin", "auditor", "dev", "ops_marketing"):
        with pytest.raises(Denied):
            backups.ask_for_backup(reason="", actor=person(name))
        with pytest.raises(Denied):
            backups.begin_backup_here(reason="", maker=taking.maker(), actor=person(name))
    assert not Backup.objects.exists()
    assert not Entry.objects.filter(verb__startswith="backup.").exists()


def test_one_at_a_time(ops: Actor, person: Callable[..., Actor]) -> None:
    first = backups.ask_for_backup(reason="", actor=ops)
    with pytest.raises(BackupUnderWay) as refused:
        backups.ask_for_backup(reason="", actor=person("admin"))
    assert refused.value.fields["backup"] == str(first.pk)
    assert "asked for by ops" in refused.value.message
    assert Backup.objects.count() == 1


def test_a_small_one_is_good(
    small: psycopg.Connection[Any], begun: Callable[..., Work], place: Path, databases: Callable[[], set[str]]
) -> None:
    seen: list[tuple[str, int, int]] = []
    made = taking.make(begun(follow=lambda stage, done, total: seen.append((stage.value, done, total))))
    assert (made.status, made.counts, made.figures) == ("verified", {"notes": 2000, "sums": 100}, {"total": "5050"})
    assert seen == [
        ("dumping", 1, 2), ("dumping", 2, 2), ("checking", 0, 2), ("checking", 1, 2), ("checking", 2, 2),
    ]  # fmt: skip
    assert scratch_name(made.pk) not in databases()


def test_what_is_written_meanwhile_is_not_missed(
    small: psycopg.Connection[Any], begun: Callable[..., Work], wrapped: Callable[..., Path]
) -> None:
    """Counted is the snapshot that is dumped, not what the tables have a moment later."""
    dsn = superuser_dsn(small.info.dbname)
    wrapped(pg_dump=f'{fitting_psql()} -qXc "insert into sums values (101, 1)" "{dsn}" && exec "$REAL" "$@"')
    made = taking.make(begun())
    assert made.counts["sums"] == 100
    assert small.execute("select count(*) from sums").fetchone() == (101,)


def fitting_psql() -> Path:
    from opsconsole.embedded.places import Binaries

    return Binaries.installed().postgres("psql")


def test_a_corrupted_dump_is_found_out(
    small: psycopg.Connection[Any],
    begun: Callable[..., Work],
    wrapped: Callable[..., Path],
    place: Path,
    failed: Failed,
) -> None:
    """Bytes in the middle that a bad disk has changed: the file stays to be looked at, under another name."""
    wrapped(
        pg_dump='"$REAL" "$@" || exit; for one; do case $one in --file=*) file=${one#--file=};; esac; done\n'
        'size=$(stat -c %s "$file")\n'
        'dd if=/dev/zero of="$file" bs=1 seek=$((size / 2)) count=400 conv=notrunc status=none'
    )
    backup = failed(begun(), RestoreFailed)
    assert [path.name for path in place.iterdir()] == [f"{backup.file_name}.unverified"]


def test_a_dump_that_lacks_rows_is_found_out(
    small: psycopg.Connection[Any], begun: Callable[..., Work], wrapped: Callable[..., Path], failed: Failed
) -> None:
    wrapped(pg_dump='exec "$REAL" "$@" --exclude-table-data=public.sums')
    backup = failed(begun(), RestoreDiffers)
    assert "sums has 0 rows instead of 100" in backup.error
    assert "total is None instead of 5050" in backup.error


def test_a_dump_that_lacks_a_table_is_found_out(
    small: psycopg.Connection[Any], begun: Callable[..., Work], wrapped: Callable[..., Path], failed: Failed
) -> None:
    wrapped(pg_dump='exec "$REAL" "$@" --exclude-table=public.notes')
    backup = failed(begun(), RestoreDiffers)
    assert "the table notes is missing" in backup.error


def test_a_full_disk(
    small: psycopg.Connection[Any],
    begun: Callable[..., Work],
    wrapped: Callable[..., Path],
    place: Path,
    failed: Failed,
) -> None:
    wrapped(pg_dump='trap \'\' XFSZ; ulimit -f 2; exec "$REAL" "$@"')
    backup = failed(begun(), DumpFailed)
    assert "File too large" in backup.error
    assert list(place.iterdir()) == []


def test_a_place_that_cannot_be_written(settings: Any, ops: Actor, tmp_path: Path, failed: Failed) -> None:
    (tmp_path / "file").write_text("no folder")
    settings.BACKUP_DIRECTORY = tmp_path / "file" / "backups"
    work = Work(backups.begin_backup_here(reason="", maker=taking.maker(), actor=ops), ops)
    backup = failed(work, PlaceRefused)
    assert "Not a directory" in backup.error


def test_a_role_that_cannot_read_everything(
    small: psycopg.Connection[Any], begun: Callable[..., Work], failed: Failed
) -> None:
    """Nothing is written: half of the rows, or of the tables, would be no backup."""
    small.execute("create table secret (id int)")
    small.execute("alter table sums force row level security")
    small.execute("alter table sums enable row level security")
    backup = failed(begun(), RightsMissing)
    assert "cannot read everything: public.secret, public.sums" in backup.error


def test_a_role_that_makes_no_databases(
    small: psycopg.Connection[Any], settings: Any, begun: Callable[..., Work], failed: Failed
) -> None:
    settings.BACKUP_SCRATCH = django_settings.DATABASE_APPLICATION
    backup = failed(begun(), RightsMissing)
    assert "ALTER ROLE ops_app CREATEDB" in backup.error


@pytest.mark.parametrize(("version", "said"), [("14.2", "pg_dump here is of version 14"), ("", "There is no pg_dump")])
def test_programs_that_do_not_fit(
    version: str,
    said: str,
    small: psycopg.Connection[Any],
    settings: Any,
    tmp_path: Path,
    begun: Callable[..., Work],
    failed: Failed,
) -> None:
    settings.BACKUP_PG_BIN = str(tmp_path)
    for name in ("pg_dump", "pg_restore") if version else ():
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (tmp_path / name).chmod(0o755)
    backup = failed(begun(), ToolsMissing)
    assert said in backup.error


def test_programs_that_are_newer_may_set_what_the_server_does_not_know(
    small: psycopg.Connection[Any], begun: Callable[..., Work], wrapped: Callable[..., Path]
) -> None:
    newer = '[ "$1" = --version ] && echo "(PostgreSQL) 99.0" && exit\n'
    folder = wrapped(
        pg_restore='echo "pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter'
        ' \\"later_timeout\\"" >&2; "$REAL" "$@"; exit 1'
    )
    for name in ("pg_dump", "pg_restore"):
        head, _, rest = (folder / name).read_text().partition("\n")
        (folder / name).write_text(f"{head}\n{newer}{rest}")
    assert taking.make(begun()).status == "verified"


def test_a_worker_that_is_told_to_end_hands_it_back(
    small: psycopg.Connection[Any],
    begun: Callable[..., Work],
    wrapped: Callable[..., Path],
    place: Path,
    databases: Callable[[], set[str]],
) -> None:
    wrapped(pg_dump="sleep 60")
    asked = iter([False] * 5)
    work = begun(told_to_end=lambda: next(asked, True))
    with pytest.raises(BackupHandedBack):
        taking.make(work)
    backup = Backup.objects.get()
    assert (backup.status, backup.holder, backup.lease_until) == ("queued", "", None)
    assert list(place.iterdir()) == []
    assert entries(backup)[-1]["verb"] == "backup.handed_back"


def test_a_deadline_ends_it(
    small: psycopg.Connection[Any], begun: Callable[..., Work], wrapped: Callable[..., Path], failed: Failed
) -> None:
    wrapped(pg_dump="sleep 60")
    work = begun()
    work.backup.deadline_at = timezone.now() + timedelta(seconds=1)
    failed(work, DeadlinePassed)


def test_what_is_left_by_whoever_was_killed_is_cleaned_up(
    begun: Callable[..., Work], place: Path, databases: Callable[[], set[str]]
) -> None:
    work = begun()
    place.mkdir()
    work.partial.write_bytes(b"half")
    work.backup = backups.note_dump(backup_id=work.backup.pk, holder=work.backup.holder, dump=DUMP, actor=work.actor)
    checking.make_scratch(work.backup.scratch)
    jobs.sweep_backups()
    assert Backup.objects.get().status == BackupState.CHECKING  # its lease holds: somebody may be at it
    assert work.backup.scratch in databases()

    Backup.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert metric("ops_backup_overdue")[()] == 1
    jobs.sweep_backups()
    backup = Backup.objects.get()
    assert (backup.status, backup.error_code, backup.scratch) == ("failed", "backup_lost", "")
    assert work.backup.scratch not in databases()
    assert list(place.iterdir()) == []
    assert entries(backup)[-1]["verb"] == "backup.failed"
    with pytest.raises(BackupLost):  # who was only slow stops, and writes nothing more
        backups.finish_backup(backup_id=backup.pk, holder=work.backup.holder, scratch_gone=True, actor=work.actor)
    assert Backup.objects.get().status == "failed"


def test_one_that_was_killed_after_its_check_keeps_no_name_of_a_backup(begun: Callable[..., Work], place: Path) -> None:
    work = begun()
    place.mkdir()
    work.file.write_bytes(b"whole, and nobody has said so")
    Backup.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    jobs.sweep_backups()
    assert Backup.objects.get().status == "failed"
    assert [path.name for path in place.iterdir()] == [f"{work.file.name}.unverified"]


def test_one_that_nobody_takes_fails_in_the_end(ops: Actor) -> None:
    backup = backups.ask_for_backup(reason="", actor=ops)
    jobs.sweep_backups()
    assert Backup.objects.get().status == "queued"
    Backup.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    jobs.take_backup(str(backup.pk))
    assert Backup.objects.get().status == "queued"  # its time is over, so nobody begins
    jobs.sweep_backups()
    failed = Backup.objects.get()
    assert (failed.status, failed.error_code) == ("failed", "backup_deadline_passed")
    assert "queue `backups`" in failed.error
    backups.ask_for_backup(reason="", actor=ops)
