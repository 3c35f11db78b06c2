"""The floor: after every migrate it gives the database's roles their rights."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


def _after_migrate(sender: AppConfig, using: str, **_more: Any) -> None:
    from django.apps import apps  # noqa: PLC0415 - models are not loaded yet when this module is

    from opsconsole.core.database import grant  # noqa: PLC0415

    last = [config.label for config in apps.get_app_configs() if config.models_module][-1]
    if sender.label == last:  # once, when every app has its tables
        grant(using)


class CoreConfig(AppConfig):
    """App `core`."""

    name = "opsconsole.core"
    label = "core"
    verbose_name = _("System")

    def ready(self) -> None:
        """Listen for migrations, and for every event."""
        from opsconsole.core.outbox import subscribe  # noqa: PLC0415

        post_migrate.connect(_after_migrate, dispatch_uid="core.after_migrate")
        subscribe("opsconsole.core.jobs.log_event", "*")
