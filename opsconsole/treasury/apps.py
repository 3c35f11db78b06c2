"""App `treasury`."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TreasuryConfig(AppConfig):
    """App `treasury`."""

    name = "opsconsole.treasury"
    label = "treasury"
    verbose_name = _("Treasury")

    def ready(self) -> None:
        """Have treasury's facts told to Prometheus, its plan types known to the engine, and its sums to backups."""
        from opsconsole.backups import figures  # noqa: PLC0415
        from opsconsole.changes.kinds.base import register as register_changes  # noqa: PLC0415
        from opsconsole.plans.scopes import register_banks  # noqa: PLC0415
        from opsconsole.plans.types import register  # noqa: PLC0415
        from opsconsole.treasury import metrics  # noqa: F401, PLC0415 - importing it registers the facts
        from opsconsole.treasury.backups import FIGURES  # noqa: PLC0415
        from opsconsole.treasury.changes import KINDS  # noqa: PLC0415
        from opsconsole.treasury.plan_types.failover import Failover  # noqa: PLC0415
        from opsconsole.treasury.plan_types.freeze import FreezeSubject  # noqa: PLC0415
        from opsconsole.treasury.plan_types.pause_bank import PauseBank  # noqa: PLC0415
        from opsconsole.treasury.plan_types.payout_batch import PayoutBatch  # noqa: PLC0415
        from opsconsole.treasury.plan_types.sweep import SweepAccounts  # noqa: PLC0415
        from opsconsole.treasury.selectors import existing_codes  # noqa: PLC0415

        for plan_type in (PayoutBatch(), Failover(), FreezeSubject(), PauseBank()):
            register(plan_type)
        register(SweepAccounts())
        register_banks(existing_codes)
        register_changes(*KINDS)
        figures.register(*FIGURES)
