"""What must come out of a restored backup as it went in: the points, and the budgets they are taken from."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from opsconsole.backups.figures import Figure

FIGURES: Final = (
    Figure(
        "loyalty_points_held",
        _("points that members hold"),
        "select coalesce(sum(points_balance), 0) from loyalty_balances",
    ),
    Figure(
        "loyalty_points_booked",
        _("points in the ledger of points"),
        "select coalesce(sum(amount), 0) from loyalty_transactions",
    ),
    Figure(
        "loyalty_budget_spent",
        _("budgets spent"),
        "select coalesce(sum(budget_spent), 0) from loyalty_programs",
    ),
)
