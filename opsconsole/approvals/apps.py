"""App `approvals`: after every migrate the default policies stand and the database's roles have their rights."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


def _after_migrate(sender: AppConfig, using: str, **_more: Any) -> None:
    from opsconsole.approvals import defaults, grants  # noqa: PLC0415 - models are not loaded yet when this module is
    from opsconsole.approvals.models import Policy  # noqa: PLC0415

    last = [config.label for config in apps.get_app_configs() if config.models_module][-1]
    if sender.label == last:  # behind core, whose grants come then, the same for every table and wider than these
        grants.grant(using)
        defaults.install(Policy, using)


class ApprovalsConfig(AppConfig):
    """App `approvals`."""

    name = "opsconsole.approvals"
    label = "approvals"
    verbose_name = _("Approvals")

    def ready(self) -> None:
        """Listen for migrations; have the facts of approvals told to Prometheus."""
        from opsconsole.approvals import metrics  # noqa: F401, PLC0415 - importing it registers the facts

        post_migrate.connect(_after_migrate, dispatch_uid="approvals.after_migrate")
