"""App `notifications`: telling people and systems what happened."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    """App `notifications`."""

    name = "opsconsole.notifications"
    label = "notifications"
    verbose_name = _("Notifications")

    def ready(self) -> None:
        """Listen to every event, in the words of the catalogue; know the kinds of change; tell Prometheus the facts."""
        from opsconsole.changes.kinds.base import register  # noqa: PLC0415 - models are not loaded yet when this module is
        from opsconsole.core.outbox import subscribe  # noqa: PLC0415
        from opsconsole.notifications import catalogue, metrics  # noqa: F401, PLC0415 - importing them registers
        from opsconsole.notifications.changes import KINDS  # noqa: PLC0415

        register(*KINDS)

        subscribe("opsconsole.notifications.jobs.fan_out", "*")
