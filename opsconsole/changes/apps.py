"""App `changes`: what may only be changed when others agree."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChangesConfig(AppConfig):
    """App `changes`."""

    name = "opsconsole.changes"
    label = "changes"
    verbose_name = _("Changes")

    def ready(self) -> None:
        """Take part in approvals, know the kinds of the floor, and tell the metrics."""
        from opsconsole.changes import metrics  # noqa: F401, PLC0415 - models are not loaded yet when this module is
        from opsconsole.changes.following import take_part  # noqa: PLC0415
        from opsconsole.changes.kinds.base import register  # noqa: PLC0415
        from opsconsole.changes.kinds.policies import PolicyChange  # noqa: PLC0415

        take_part()
        register(PolicyChange())
