"""`manage.py migrate`, as the owner of the schema; grants and roles follow."""

from __future__ import annotations

from typing import Any

from django.core.management.commands.migrate import Command as DjangoMigrate

from opsconsole.core.database import as_owner


class Command(DjangoMigrate):
    """Django's migrate, connected as DATABASE_OWNER_URL while it runs."""

    def handle(self, *args: Any, **options: Any) -> Any:
        """Migrate as the owner."""
        with as_owner(options.get("database") or "default"):
            return super().handle(*args, **options)
