"""App `approvals`."""

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """App `approvals`."""

    name = "opsconsole.approvals"
    label = "approvals"
    verbose_name = "Approvals"
