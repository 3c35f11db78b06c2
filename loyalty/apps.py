"""The loyalty app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LoyaltyConfig(AppConfig):
    """Registers what loyalty brings to the kernel."""

    name = "loyalty"
    verbose_name = _("Loyalty")

    def ready(self) -> None:
        """Let programs, members and campaigns take part in approvals; put the runbooks on the shelf; name its sums."""
        from loyalty import metrics, metrics_books, metrics_waiting  # noqa: F401, PLC0415 - importing them registers the facts
        from loyalty.access import granted_campaigns, granted_members, granted_programs  # noqa: PLC0415
        from loyalty.books.backups import FIGURES  # noqa: PLC0415
        from loyalty.models import Balance, Campaign, Program  # noqa: PLC0415 - models are loaded by now
        from loyalty.runbooks import DOMAIN  # noqa: PLC0415
        from opsconsole.approvals import gate  # noqa: PLC0415
        from opsconsole.backups import figures  # noqa: PLC0415
        from opsconsole.runbooks import domains  # noqa: PLC0415

        gate.take_part(Program, sight="loyalty.view_program", opened=granted_programs)
        gate.take_part(Balance, sight="loyalty.view_balance", opened=granted_members)
        gate.take_part(Campaign, sight="loyalty.view_campaign", opened=granted_campaigns)
        domains.register(DOMAIN)
        figures.register(*FIGURES)
