"""Backups as rows: asked for, taken by somebody, ended. The work itself is in `taking`; each service is one commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.backups import access
from opsconsole.backups.checking import scratch_name
from opsconsole.backups.dumping import Dump
from opsconsole.backups.errors import BackupUnderWay
from opsconsole.backups.models import Backup
from opsconsole.backups.states import LIVE, UNDER_WAY, BackupState
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.queue import after_commit
from opsconsole.journal.record import record

TAKE: Final = "opsconsole.backups.jobs.take_backup"
QUEUE: Final = "backups"
LEASE: Final = timedelta(seconds=60)
MAX_REASON: Final = 2_000
NAME: Final = "molam_loyalty_backup_{stamp:%Y%m%d_%H%M%S}.dump"  # as the runbook has it
NOBODY_CAME: Final = "no worker took it in time: is there one for the queue `backups`?"
OVERDUE: Final = "it took longer than a backup may"
LOST: Final = "whoever made it is gone"


@dataclass(frozen=True, slots=True)
class Maker:
    """Who works on a backup, and where its file goes."""

    holder: str
    host: str
    directory: str


@operation
def ask_for_backup(*, reason: str, actor: Actor) -> Backup:
    """Have a worker make a backup; raises Denied, or BackupUnderWay while another one is not over."""
    actor.require(access.MAKE)
    backup = _asked_for(reason, actor)
    after_commit(TAKE, backup.pk, queue=QUEUE)
    return backup


@operation
def begin_backup_here(*, reason: str, maker: Maker, actor: Actor) -> Backup:
    """Ask for a backup that the caller makes; raises as `ask_for_backup` does."""
    actor.require(access.MAKE)
    return _begun(_asked_for(reason, actor), maker, actor)


@operation
def begin_backup(*, backup_id: UUID, maker: Maker, actor: Actor) -> Backup | None:
    """Take a backup that waits; None when it does not, or its time is over."""
    backup = access.backup_to_end(actor, backup_id)
    if backup.status != BackupState.QUEUED or backup.deadline_at <= timezone.now():
        return None
    return _begun(backup, maker, actor)


@operation
def keep_backup(*, backup_id: UUID, holder: str, done: int, total: int, actor: Actor) -> None:
    """Say that the backup is still worked on, and how far it is; raises BackupLost."""
    backup = access.backup_held(actor, backup_id, holder)
    backup.lease_until, backup.steps_done, backup.steps_total = timezone.now() + LEASE, done, total
    backup.save(update_fields=["lease_until", "steps_done", "steps_total"])


@operation
def note_dump(*, backup_id: UUID, holder: str, dump: Dump, actor: Actor) -> Backup:
    """The file is written; what is in it was counted, and the scratch database is made next. Raises BackupLost."""
    backup = access.backup_held(actor, backup_id, holder)
    backup.move_to(BackupState.CHECKING)
    backup.size_bytes, backup.sha256, backup.server_version = dump.size, dump.sha256, dump.server_version
    backup.counts, backup.figures = dump.census.counts, dump.census.figures
    backup.lease_until, backup.steps_done, backup.scratch = timezone.now() + LEASE, 0, scratch_name(backup.pk)
    backup.save(
        update_fields=[
            *("status", "size_bytes", "sha256", "server_version", "counts", "figures"),
            *("lease_until", "steps_done", "scratch"),
        ]
    )
    return backup


@operation
def finish_backup(*, backup_id: UUID, holder: str, scratch_gone: bool, actor: Actor) -> Backup:
    """The restored copy is what was there: it is a backup. Raises BackupLost."""
    backup = access.backup_held(actor, backup_id, holder)
    _end(backup, BackupState.VERIFIED, scratch_gone=scratch_gone)
    record(actor, "backup.verified", backup, before={"status": "checking"}, after=_facts(backup))
    emit(
        "backup.verified",
        kind="backup",
        id=backup.pk,
        data={"name": backup.file_name, "asked_by": backup.asked_by, "size_bytes": backup.size_bytes},
    )
    return backup


@operation
def fail_backup(*, backup_id: UUID, holder: str, code: str, why: str, scratch_gone: bool, actor: Actor) -> Backup:
    """It is no backup, and this is why. Raises BackupLost."""
    return _failed(access.backup_held(actor, backup_id, holder), code, why, actor, scratch_gone=scratch_gone)


@operation
def hand_back_backup(*, backup_id: UUID, holder: str, scratch_gone: bool, actor: Actor) -> Backup:
    """Its worker was told to end: another one begins anew. Raises BackupLost."""
    backup = access.backup_held(actor, backup_id, holder)
    was = backup.status
    backup.move_to(BackupState.QUEUED)
    backup.holder, backup.lease_until = "", None
    if scratch_gone:
        backup.scratch = ""
    backup.save(update_fields=["status", "holder", "lease_until", "scratch"])
    record(actor, "backup.handed_back", backup, before={"status": was}, after={"status": backup.status})
    after_commit(TAKE, backup.pk, queue=QUEUE)
    return backup


@operation
def fail_lost_backup(*, backup_id: UUID, actor: Actor) -> Backup | None:
    """End a backup that nobody works on any more, or whose time is over; None where that is not so."""
    backup = access.backup_to_end(actor, backup_id)
    now = timezone.now()
    if backup.status in UNDER_WAY and (backup.lease_until is None or backup.lease_until <= now):
        return _failed(backup, "backup_lost", LOST, actor, scratch_gone=False)
    if backup.status in LIVE and backup.deadline_at <= now:
        why = NOBODY_CAME if backup.status == BackupState.QUEUED else OVERDUE
        return _failed(backup, "backup_deadline_passed", why, actor, scratch_gone=False)
    return None


@operation
def note_scratch_gone(*, backup_id: UUID, actor: Actor) -> None:
    """The scratch database of a backup that is over was dropped."""
    backup = access.backup_to_end(actor, backup_id)
    if backup.status not in LIVE:
        backup.scratch = ""
        backup.save(update_fields=["scratch"])


def waiting_backups() -> Iterable[UUID]:
    """Those that a worker could take now."""
    return Backup.objects.filter(status=BackupState.QUEUED).values_list("pk", flat=True)


def overdue_backups() -> Iterable[UUID]:
    """Those that nobody works on any more, or whose time is over."""
    now = timezone.now()
    late = Backup.objects.filter(status__in=LIVE, deadline_at__lte=now)
    return (late | Backup.objects.filter(status__in=UNDER_WAY, lease_until__lte=now)).values_list("pk", flat=True)


def left_over_scratch() -> Iterable[tuple[UUID, str]]:
    """The scratch databases that ended backups have left behind, or may have."""
    return Backup.objects.exclude(scratch="").exclude(status__in=LIVE).values_list("pk", "scratch")


def _asked_for(reason: str, actor: Actor) -> Backup:
    try:
        with transaction.atomic():
            backup = Backup.objects.create(
                asked_by=actor.name,
                reason=reason.strip()[:MAX_REASON],
                deadline_at=timezone.now() + timedelta(seconds=settings.BACKUP_DEADLINE_SECONDS),
            )
    except IntegrityError as error:
        if "one_live_backup" not in str(error):
            raise
        other = Backup.objects.filter(status__in=LIVE).first()
        said = _("A backup is under way already, asked for by {who}.")
        raise BackupUnderWay(
            format_lazy(said, who=other.asked_by if other else "?"), backup=str(other.pk) if other else None
        ) from error
    backup.refresh_from_db()
    record(actor, "backup.asked_for", backup, after={"status": backup.status}, reason=backup.reason)
    return backup


def _begun(backup: Backup, maker: Maker, actor: Actor) -> Backup:
    now = timezone.now()
    backup.move_to(BackupState.DUMPING)
    backup.holder, backup.host, backup.directory = maker.holder, maker.host, maker.directory
    backup.started_at, backup.lease_until = now, now + LEASE
    backup.steps_done = backup.steps_total = 0
    backup.file_name = NAME.format(stamp=now)
    backup.save(
        update_fields=[
            *("status", "holder", "host", "directory", "started_at", "lease_until", "steps_done", "steps_total"),
            "file_name",
        ]
    )
    after = {"status": backup.status, "host": backup.host, "file": f"{backup.directory}/{backup.file_name}"}
    record(actor, "backup.begun", backup, before={"status": "queued"}, after=after)
    return backup


def _end(backup: Backup, state: BackupState, *, scratch_gone: bool) -> None:
    backup.move_to(state)
    backup.ended_at, backup.lease_until = timezone.now(), None
    if scratch_gone:
        backup.scratch = ""
    backup.save(update_fields=["status", "ended_at", "lease_until", "scratch", "error_code", "error"])


def _failed(backup: Backup, code: str, why: str, actor: Actor, *, scratch_gone: bool) -> Backup:
    was = backup.status
    backup.error_code, backup.error = code, why
    _end(backup, BackupState.FAILED, scratch_gone=scratch_gone)
    after = {"status": backup.status, "code": code, "asked_by": backup.asked_by}
    record(actor, "backup.failed", backup, before={"status": was}, after=after, reason=why)
    data = {"name": backup.file_name or str(backup.pk), "asked_by": backup.asked_by, "why": why}
    emit("backup.failed", kind="backup", id=backup.pk, data=data)
    return backup


def _facts(backup: Backup) -> dict[str, object]:
    """What the journal keeps of a good one."""
    assert backup.duration is not None
    return {
        "status": backup.status,
        "asked_by": backup.asked_by,
        "host": backup.host,
        "file": f"{backup.directory}/{backup.file_name}",
        "size_bytes": backup.size_bytes,
        "sha256": backup.sha256,
        "server_version": backup.server_version,
        "tables": backup.tables,
        "rows": backup.rows,
        "counts": backup.counts,
        "figures": backup.figures,
        "milliseconds": backup.duration // timedelta(milliseconds=1),
    }
