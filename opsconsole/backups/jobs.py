"""The worker's part, and what is looked after by the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import Error

from opsconsole.backups import taking
from opsconsole.backups.errors import BackupHandedBack, BackupLost
from opsconsole.backups.services import backups
from opsconsole.backups.services.backups import QUEUE, TAKE
from opsconsole.backups.taking import Work
from opsconsole.core.actors import SYSTEM
from opsconsole.core.errors import DomainError
from opsconsole.core.outages import is_outage, outlast
from opsconsole.core.queue import enqueue, leaving, ping
from opsconsole.core.schedule import periodic

log = structlog.get_logger(__name__)

ARCHIVIST: Final = SYSTEM("archivist")
SWEEPER: Final = SYSTEM("backup-sweeper")


def take_backup(backup_id: str) -> None:
    """Make a backup that waits; safe to call at any time, by any number of workers: one of them takes it."""
    me = taking.maker()
    backup = outlast(lambda _: backups.begin_backup(backup_id=UUID(backup_id), maker=me, actor=ARCHIVIST))
    if backup is None:
        return
    log.info("backup.begins", backup=backup_id, file=backup.file_name)
    try:
        made = taking.make(Work(backup, ARCHIVIST, told_to_end=leaving))
    except (BackupHandedBack, BackupLost) as error:
        log.info("backup.left", backup=backup_id, because=error.code)
    except DomainError as error:
        log.error("backup.failed", backup=backup_id, code=error.code, error=error.message)
    else:
        log.info("backup.verified", backup=backup_id, file=made.file_name, size=made.size_bytes, rows=made.rows)


@periodic(every=timedelta(seconds=10))
def wake_backups() -> None:
    """Wake a worker for each backup whose wake-up was lost."""
    if not ping():
        return
    for backup_id in backups.waiting_backups():
        enqueue(TAKE, str(backup_id), queue=QUEUE)


@periodic(every=timedelta(seconds=15))
def sweep_backups() -> None:
    """Fail backups that nobody works on any more or whose time is over, and remove what they have left behind."""
    for backup_id in backups.overdue_backups():
        failed = backups.fail_lost_backup(backup_id=backup_id, actor=SWEEPER)
        if failed is not None:
            log.error("backup.failed", backup=str(backup_id), code=failed.error_code, error=failed.error)
            taking.withdraw(failed)
    for backup_id, scratch in backups.left_over_scratch():
        try:
            if taking.dropped(scratch):
                backups.note_scratch_gone(backup_id=backup_id, actor=SWEEPER)
        except Exception as error:
            if isinstance(error, Error) and is_outage(error):
                raise
            log.exception("sweep.failed", what="backup.scratch", backup=str(backup_id))
