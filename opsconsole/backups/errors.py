"""What backups refuse, and what becomes of them."""

from __future__ import annotations

from opsconsole.core.errors import Conflict, NotFound, RuleBroken, Unavailable


class BackupNotFound(NotFound):
    """No such backup, or none that the actor may see."""

    code = "backup_not_found"


class BackupUnderWay(Conflict):
    """One backup at a time."""

    code = "backup_under_way"


class BackupLost(Conflict):
    """Somebody else has ended this backup meanwhile: stop, and write nothing more."""

    code = "backup_lost"


class BackupHandedBack(Conflict):
    """The worker was told to end: another one begins anew."""

    code = "backup_handed_back"


class ToolsMissing(Unavailable):
    """There is no pg_dump here that can read this server."""

    code = "backup_tools_missing"


class PlaceRefused(Unavailable):
    """Files cannot be written where backups go."""

    code = "backup_place_refused"


class RightsMissing(Unavailable):
    """The database role cannot read everything, or cannot make the scratch database."""

    code = "backup_rights_missing"


class DumpFailed(Unavailable):
    """pg_dump gave up."""

    code = "backup_dump_failed"


class RestoreFailed(RuleBroken):
    """The trial restore gave up: the file is no backup."""

    code = "backup_restore_failed"


class RestoreDiffers(RuleBroken):
    """What was restored is not what was there."""

    code = "backup_restore_differs"


class DeadlinePassed(Unavailable):
    """It took longer than a backup may."""

    code = "backup_deadline_passed"
