"""App `journal`: after every migrate the database's roles get their narrow rights on it."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


def _after_migrate(using: str, **_more: Any) -> None:
    from opsconsole.journal.grants import grant  # noqa: PLC0415 - needs a database, which loading apps has not

    grant(using)


def check_keys(**_more: Any) -> list[CheckMessage]:
    """The keys of the settings are keys, under a name that a signed note can carry."""
    from opsconsole.journal.keys import signer, trusted  # noqa: PLC0415 - reads settings
    from opsconsole.journal.notes import BadNote, open_note  # noqa: PLC0415

    try:
        keys = trusted()
        open_note(signer().sign("check\n"), keys)
    except (BadNote, ValueError) as error:
        return [Error(f"JOURNAL_ORIGIN, JOURNAL_SIGNING_KEY or JOURNAL_PUBLIC_KEYS: {error}", id="journal.E001")]
    return []


class JournalConfig(AppConfig):
    """App `journal`."""

    name = "opsconsole.journal"
    label = "journal"
    verbose_name = _("Journal")

    def ready(self) -> None:
        """Listen for migrations; have the journal's facts told to Prometheus, and its settings checked."""
        from opsconsole.journal import metrics  # noqa: F401, PLC0415 - importing it registers the facts

        register(check_keys)
        post_migrate.connect(_after_migrate, sender=self, dispatch_uid="journal.after_migrate")
