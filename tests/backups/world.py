"""Backups that are over, without a file: what pages and doors show of them."""

from __future__ import annotations

from opsconsole.backups.census import Census
from opsconsole.backups.dumping import Dump
from opsconsole.backups.models import Backup
from opsconsole.backups.services import backups
from opsconsole.backups.services.backups import Maker
from opsconsole.core.actors import Actor

MAKER = Maker("db-1:4711:c0ffee", "db-1.example.com", "/var/backups/opsconsole")
DUMP = Dump(
    size=734_003_200,
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    server_version="18.4",
    census=Census(
        {"loyalty_transactions": 10_400_000, "loyalty_balances": 1_000_000, "ops_plans": 12},
        {"loyalty_points_held": "123456789", "triggers": "282", "treasury_balances": "EUR 1000.00, XOF 5.00"},
    ),
)


def failed_backup(actor: Actor) -> Backup:
    """One that came to nothing."""
    backup = backups.begin_backup_here(reason="", maker=MAKER, actor=actor)
    return backups.fail_backup(
        backup_id=backup.pk,
        holder=MAKER.holder,
        code="backup_dump_failed",
        why="pg_dump ended with status 1: pg_dump: error: could not write to file: No space left on device",
        scratch_gone=True,
        actor=actor,
    )


def verified_backup(actor: Actor) -> Backup:
    """One that went through its trial restore."""
    backup = backups.begin_backup_here(reason="before 002_upgrade_industrial", maker=MAKER, actor=actor)
    which = {"backup_id": backup.pk, "holder": MAKER.holder, "actor": actor}
    backups.note_dump(**which, dump=DUMP)
    return backups.finish_backup(**which, scratch_gone=True)
