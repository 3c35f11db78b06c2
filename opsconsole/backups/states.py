"""The states of a backup."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from opsconsole.core.states import States


class BackupState(States):
    """It waits for a worker, is written, is restored on trial, and is good or nothing.

    A worker that is told to end hands it back: it is begun anew.
    """

    QUEUED = "queued", _("queued")
    DUMPING = "dumping", _("being written")
    CHECKING = "checking", _("being restored on trial")
    VERIFIED = "verified", _("verified")
    FAILED = "failed", _("failed")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Everything that is not over may fail."""
        return {
            cls.QUEUED: frozenset({cls.DUMPING, cls.FAILED}),
            cls.DUMPING: frozenset({cls.CHECKING, cls.QUEUED, cls.FAILED}),
            cls.CHECKING: frozenset({cls.VERIFIED, cls.QUEUED, cls.FAILED}),
        }

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every backup is born waiting."""
        return frozenset({cls.QUEUED})


UNDER_WAY: Final = (BackupState.DUMPING, BackupState.CHECKING)
LIVE: Final = (BackupState.QUEUED, *UNDER_WAY)
