"""The pages of backups."""

from opsconsole.backups.admin.backups import BackupAdmin

__all__ = ["BackupAdmin"]
