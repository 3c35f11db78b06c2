"""App `treasury`."""

from django.apps import AppConfig


class TreasuryConfig(AppConfig):
    """App `treasury`."""

    name = "opsconsole.treasury"
    label = "treasury"
    verbose_name = "Treasury"

    def ready(self) -> None:
        """Have treasury's facts told to Prometheus, and its plan types known to the engine."""
        from opsconsole.plans.types import register  # noqa: PLC0415
        from opsconsole.treasury import metrics  # noqa: F401, PLC0415 - importing it registers the facts
        from opsconsole.treasury.plan_types.payout_batch import PayoutBatch  # noqa: PLC0415

        register(PayoutBatch())
