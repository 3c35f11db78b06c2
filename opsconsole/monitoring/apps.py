"""App `monitoring`: alerts, incidents, checklists."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MonitoringConfig(AppConfig):
    """App `monitoring`."""

    name = "opsconsole.monitoring"
    label = "monitoring"
    verbose_name = _("Watch")

    def ready(self) -> None:
        """Have the facts told to Prometheus, and hear what happens in the console."""
        from opsconsole.core.outbox import subscribe  # noqa: PLC0415
        from opsconsole.monitoring import metrics  # noqa: F401, PLC0415 - importing it registers the facts

        subscribe("opsconsole.monitoring.jobs.hear_of_plans", "plan.*")
        subscribe("opsconsole.monitoring.jobs.hear_of_the_journal", "journal.broken")
        subscribe("opsconsole.monitoring.jobs.hear_of_backups", "backup.failed")
