"""`manage.py migrate`, as the owner of the schema; then the roles follow their table, as the application."""

from __future__ import annotations

from typing import Any

from django.core.management.commands.migrate import Command as DjangoMigrate

from opsconsole.core.actors import SYSTEM
from opsconsole.core.database import as_application, as_owner
from opsconsole.identity.services import synchronise_roles


class Command(DjangoMigrate):
    """Django's migrate, connected as DATABASE_OWNER_URL while it runs."""

    def handle(self, *args: Any, **options: Any) -> Any:
        """Migrate as the owner; a partial migration leaves the roles as they are."""
        alias = options.get("database") or "default"
        with as_owner(alias):
            result = super().handle(*args, **options)
        whole = not (options.get("app_label") or options.get("plan") or options.get("check_unapplied"))
        if whole:
            with as_application(alias):
                synchronise_roles(actor=SYSTEM("migrate"))
        return result
