"""The floor: after every migrate it gives the database's roles their rights and the product's roles theirs."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def _after_migrate(sender: AppConfig, using: str, **_: Any) -> None:
    # Only once, after the last app: contenttypes and auth must have made every permission.
    from django.apps import apps  # noqa: PLC0415 - models are not loaded yet when this module is

    from opsconsole.core.database import grant  # noqa: PLC0415
    from opsconsole.core.roles import synchronise  # noqa: PLC0415

    if sender.label == list(apps.app_configs)[-1]:
        grant(using)
        synchronise()


class CoreConfig(AppConfig):
    """App `core`."""

    name = "opsconsole.core"
    label = "core"
    verbose_name = "Core"

    def ready(self) -> None:
        """Listen for migrations, and for every event."""
        from opsconsole.core.outbox import subscribe  # noqa: PLC0415

        post_migrate.connect(_after_migrate, dispatch_uid="core.after_migrate")
        subscribe("opsconsole.core.jobs.log_event", "*")
