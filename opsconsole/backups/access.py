"""Who may see and make backups."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from opsconsole.backups.errors import BackupLost, BackupNotFound
from opsconsole.backups.models import Backup
from opsconsole.backups.states import UNDER_WAY
from opsconsole.core.actors import Actor

VIEW: Final = "backups.view_backup"
MAKE: Final = "backups.make_backup"


def visible_backups(actor: Actor) -> QuerySet[Backup]:
    """All backups; raises Denied for whom they are no business of."""
    actor.require(VIEW)
    return Backup.objects.all()


def backup_seen_by(actor: Actor, backup_id: UUID) -> Backup:
    """The backup, to read; raises BackupNotFound for one the actor may not see."""
    backup = Backup.objects.filter(pk=backup_id).first()
    if backup is None or not actor.may(VIEW):
        raise BackupNotFound(_("There is no such backup."))
    return backup


def backup_to_end(actor: Actor, backup_id: UUID) -> Backup:
    """The backup, locked, to be taken or ended; raises Denied or BackupNotFound."""
    actor.require(MAKE)
    backup = Backup.objects.select_for_update(no_key=True).filter(pk=backup_id).first()
    if backup is None:
        raise BackupNotFound(_("There is no such backup."))
    return backup


def backup_held(actor: Actor, backup_id: UUID, holder: str) -> Backup:
    """The backup, locked, for who works on it; raises BackupLost when that is somebody else by now, or it has ended."""
    backup = backup_to_end(actor, backup_id)
    if backup.holder != holder or backup.status not in UNDER_WAY:
        raise BackupLost(_("This backup was ended, or somebody else works on it."))
    return backup
