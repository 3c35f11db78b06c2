"""App `plans`: the engine that every domain's dangerous operations run on."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PlansConfig(AppConfig):
    """App `plans`."""

    name = "opsconsole.plans"
    label = "plans"
    verbose_name = _("Plans")

    def ready(self) -> None:
        """Take part in approvals, and tell the metrics."""
        from opsconsole.plans import metrics  # noqa: F401, PLC0415 - registers the facts
        from opsconsole.plans.services.decisions import take_part  # noqa: PLC0415

        take_part()
