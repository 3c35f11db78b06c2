"""App `runbooks`."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class RunbooksConfig(AppConfig):
    """Has what the domains have written checked at every start."""

    name = "opsconsole.runbooks"
    label = "runbooks"
    verbose_name = _("Runbooks")

    def ready(self) -> None:
        """Let no process start with a runbook that names what is not there."""
        from opsconsole.runbooks.proofreading import proofread  # noqa: PLC0415

        register(proofread)
