"""Notifications' kinds of change: where news goes, and what signs it, is changed only when others agree."""

from typing import Final

from opsconsole.notifications.changes.channels import EditChannel, SetUpChannel

KINDS: Final = (SetUpChannel(), EditChannel())

__all__ = ["KINDS"]
