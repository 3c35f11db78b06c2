"""The journal in the admin: entries with their proof, checkpoints, and the timeline that other pages show."""

from opsconsole.journal.admin.checkpoints import CheckpointAdmin
from opsconsole.journal.admin.entries import EntryAdmin

__all__ = ["CheckpointAdmin", "EntryAdmin"]
