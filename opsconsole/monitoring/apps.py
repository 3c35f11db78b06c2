"""App `monitoring`: alerts, incidents, checklists."""

from __future__ import annotations

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    """App `monitoring`."""

    name = "opsconsole.monitoring"
    label = "monitoring"
    verbose_name = "Monitoring"
