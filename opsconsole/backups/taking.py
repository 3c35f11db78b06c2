"""Making a backup from beginning to end: by a worker's job, or by whoever sits at the server.

The file has its final name only once a trial restore of it came out right. Whatever comes in between, the half file
and the scratch database go; what is killed before it can do that is cleaned up by the sweeper.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
import structlog
from django.conf import settings
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.backups import checking, dumping
from opsconsole.backups.dumping import PARTIAL, UNVERIFIED, Dump
from opsconsole.backups.errors import BackupHandedBack, BackupLost, DeadlinePassed, RestoreDiffers, RestoreFailed
from opsconsole.backups.models import Backup
from opsconsole.backups.services import backups
from opsconsole.backups.services.backups import Maker
from opsconsole.backups.states import BackupState
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import DomainError, Unavailable
from opsconsole.core.faults import crashpoint
from opsconsole.core.outages import outlast

log = structlog.get_logger(__name__)

BEAT: Final = 5.0  # seconds between two renewals of the lease
INTERRUPTED: Final = "it was interrupted"


class DatabaseAway(Unavailable):
    """PostgreSQL does not let us in, or went away in the middle."""

    code = "backup_database_away"


def maker() -> Maker:
    """This process, as who makes a backup here."""
    host = socket.gethostname()
    return Maker(f"{host}:{os.getpid()}:{secrets.token_hex(4)}", host, str(settings.BACKUP_DIRECTORY))


@dataclass(slots=True)
class Work:
    """One backup in somebody's hands: its lease, its deadline, how far it is, and who follows."""

    backup: Backup
    actor: Actor
    follow: Callable[[BackupState, int, int], None] = lambda _stage, _done, _total: None
    told_to_end: Callable[[], bool] = lambda: False
    stage: BackupState = BackupState.DUMPING
    done: int = 0
    total: int = 0
    kept: float = field(default_factory=time.monotonic)
    named: bool = False  # the file has its final name

    @property
    def folder(self) -> Path:
        """Where the file goes."""
        return Path(self.backup.directory)

    @property
    def file(self) -> Path:
        """Its final name."""
        return self.folder / self.backup.file_name

    @property
    def partial(self) -> Path:
        """Its name until it is proven."""
        return self.folder / f".{self.backup.file_name}{PARTIAL}"

    def tick(self) -> None:
        """Keep the lease from time to time; raises what ends the work: a signal, the deadline, somebody else."""
        if self.told_to_end():
            raise BackupHandedBack(_("The worker was told to end."))
        if timezone.now() > self.backup.deadline_at:
            raise DeadlinePassed(format_lazy(_("It was to be done by {deadline}."), deadline=self.backup.deadline_at))
        if time.monotonic() - self.kept < BEAT:
            return
        self.kept = time.monotonic()
        outlast(
            lambda _again: backups.keep_backup(
                backup_id=self.backup.pk, holder=self.backup.holder, done=self.done, total=self.total, actor=self.actor
            )
        )

    def steps(self, done: int, total: int) -> None:
        """So many tables are through."""
        self.done, self.total = done, total
        self.follow(self.stage, done, total)


def make(work: Work) -> Backup:
    """Write, prove and name the backup that this process has begun; it is ended when this returns or raises.

    Raises the DomainError for which it failed, and BackupLost when it was ended by somebody else meanwhile.
    """
    failure: BaseException | None = None
    try:
        _write_and_check(work)
    except BaseException as error:  # noqa: BLE001 - raised again below, when all is cleaned up and written down
        failure = _as_refusal(error)
    gone = _cleaned_up(work, failure)
    if failure is None:
        return _finished(work, scratch_gone=gone)
    if isinstance(failure, BackupLost):
        raise failure
    _ended(work, failure, scratch_gone=gone)
    raise failure


def _write_and_check(work: Work) -> None:
    dumping.prepare(work.folder)
    checking.may_make_scratch()
    if work.file.exists():
        raise dumping.refused(work.file, FileExistsError(0, "there is a file of this name"))
    try:
        work.partial.touch(mode=0o600)
    except OSError as error:
        raise dumping.refused(work.partial, error) from error
    dump = dumping.write(work.partial, follow=work.steps, tick=work.tick)
    _check(work, dump)
    try:
        work.partial.rename(work.file)
        work.named = True
        _settle(work.folder)
    except OSError as error:
        raise dumping.refused(work.file, error) from error


def _check(work: Work, dump: Dump) -> None:
    work.backup = outlast(
        lambda _again: backups.note_dump(
            backup_id=work.backup.pk, holder=work.backup.holder, dump=dump, actor=work.actor
        )
    )
    work.stage = BackupState.CHECKING
    work.steps(0, len(dump.census.counts))
    checking.make_scratch(work.backup.scratch)
    crashpoint("backups.scratch_made")
    checking.check(work.partial, work.backup.scratch, dump.census, follow=work.steps, tick=work.tick)


def _settle(folder: Path) -> None:
    """Have the folder's new entry on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cleaned_up(work: Work, failure: BaseException | None) -> bool:
    """Without half file and scratch database; whether the latter is gone. A file that was refused may be looked at."""
    with suppress(OSError):
        if isinstance(failure, RestoreFailed | RestoreDiffers):
            work.partial.replace(_unverified(work.file))
        elif failure is not None and work.named:
            work.file.replace(_unverified(work.file))
        else:
            work.partial.unlink(missing_ok=True)
    return not work.backup.scratch or dropped(work.backup.scratch)


def _unverified(file: Path) -> Path:
    """What a file is called that is no backup."""
    return file.with_name(f"{file.name}{UNVERIFIED}")


def dropped(scratch: str) -> bool:
    """Whether the scratch database is gone now; the sweeper asks again."""
    try:
        checking.drop_scratch(scratch)
    except psycopg.Error as error:
        log.warning("backup.scratch_stays", database=scratch, error=str(error).strip())
        return False
    return True


def withdraw(backup: Backup) -> None:
    """Leave no file on this machine under the name of a backup that was killed, nor half of one."""
    if backup.host != socket.gethostname() or not backup.file_name:
        return
    work = Work(backup, SYSTEM("backup-sweeper"))
    with suppress(OSError):
        work.partial.unlink(missing_ok=True)
        work.file.replace(_unverified(work.file))


def _as_refusal(error: BaseException) -> BaseException:
    """Trouble of the world as a sentence; a mistake of ours stays what it is."""
    match error:
        case psycopg.Error():
            said = _("PostgreSQL gave up: {why}")
            return DatabaseAway(format_lazy(said, why=str(error).strip()))
        case OSError():
            return dumping.refused(Path(error.filename or settings.BACKUP_DIRECTORY), error)
        case _:
            return error


def _finished(work: Work, *, scratch_gone: bool) -> Backup:
    def finish(again: bool) -> Backup:  # noqa: FBT001 - what `outlast` tells
        if again and (ended := Backup.objects.filter(pk=work.backup.pk, status=BackupState.VERIFIED).first()):
            return ended
        return backups.finish_backup(
            backup_id=work.backup.pk, holder=work.backup.holder, scratch_gone=scratch_gone, actor=work.actor
        )

    try:
        return outlast(finish)
    except BackupLost:
        work.file.replace(_unverified(work.file))
        raise


def _ended(work: Work, failure: BaseException, *, scratch_gone: bool) -> None:
    which, holder, actor = work.backup.pk, work.backup.holder, work.actor
    if isinstance(failure, BackupHandedBack):
        outlast(
            lambda _again: backups.hand_back_backup(
                backup_id=which, holder=holder, scratch_gone=scratch_gone, actor=actor
            )
        )
        return
    code, why = "backup_failed", f"{type(failure).__name__}: {failure}"
    if isinstance(failure, DomainError):
        code, why = failure.code, failure.message
    elif isinstance(failure, KeyboardInterrupt):
        code, why = "backup_interrupted", INTERRUPTED
    with suppress(BackupLost):
        outlast(
            lambda _again: backups.fail_backup(
                backup_id=which, holder=holder, code=code, why=why, scratch_gone=scratch_gone, actor=actor
            )
        )
