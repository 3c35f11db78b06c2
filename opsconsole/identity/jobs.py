"""Tidying: tries to log in that count no more, sessions that have ended."""

from __future__ import annotations

from datetime import timedelta

from opsconsole.core.actors import SYSTEM
from opsconsole.core.schedule import periodic
from opsconsole.identity.attempts import drop_old_attempts


@periodic(every=timedelta(hours=1))
def tidy_logins() -> None:
    """Drop what nobody will ask for again."""
    drop_old_attempts(actor=SYSTEM("tidy"))
