"""App `backups`."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BackupsConfig(AppConfig):
    """Has the facts about backups told to Prometheus."""

    name = "opsconsole.backups"
    label = "backups"
    verbose_name = _("Backups")

    def ready(self) -> None:
        """Register the metrics."""
        from opsconsole.backups import metrics  # noqa: F401, PLC0415 - importing it registers the facts
