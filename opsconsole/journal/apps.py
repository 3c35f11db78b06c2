"""App `journal`: after every migrate the database's roles get their narrow rights on it."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def _after_migrate(using: str, **_: Any) -> None:
    from opsconsole.journal.grants import grant  # noqa: PLC0415 - needs a database, which loading apps has not

    grant(using)


class JournalConfig(AppConfig):
    """App `journal`."""

    name = "opsconsole.journal"
    label = "journal"
    verbose_name = "Journal"

    def ready(self) -> None:
        """Listen for migrations; have the journal's facts told to Prometheus."""
        from opsconsole.journal import metrics  # noqa: F401, PLC0415 - importing it registers the facts

        post_migrate.connect(_after_migrate, sender=self, dispatch_uid="journal.after_migrate")
