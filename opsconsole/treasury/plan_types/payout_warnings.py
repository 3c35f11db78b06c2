"""What a payout batch warns of: payouts that stay behind, and such as look like others."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import ngettext_lazy

from opsconsole.plans.models import Plan
from opsconsole.plans.warnings import declare
from opsconsole.treasury.payouts import reservations
from opsconsole.treasury.payouts.orders import MOST_SHOWN

UNROUTABLE: Final = declare(
    "unroutable",
    ngettext_lazy(
        "{count} due payout ({sum}) has no open route and stays behind: there is none, or its bank is paused or its"
        " account frozen.",
        "{count} due payouts ({sum}) have no open route and stay behind: there is none, or its bank is paused or its"
        " account frozen.",
        "count",
    ),
)
FROZEN: Final = declare(
    "frozen",
    ngettext_lazy(
        "{count} due payout ({sum}) is to a beneficiary, or of a merchant, that is frozen, and stays behind.",
        "{count} due payouts ({sum}) are to a beneficiary, or of a merchant, that is frozen, and stay behind.",
        "count",
    ),
)
LIKELY_DUPLICATES: Final = declare(
    "likely_duplicates",
    ngettext_lazy(
        "{count} payout looks like another one that is being paid, or was: same payee and amount within {days} days.",
        "{count} payouts look like another one that is being paid, or was: same payee and amount within {days} days.",
        "count",
    ),
)


def warnings_of(plan: Plan, rest: reservations.LeftOut) -> list[dict[str, Any]]:
    """The warnings about a batch that is being staged, `rest` being what is due and was not taken."""
    warnings: list[dict[str, Any]] = []
    if rest.unroutable:
        warnings.append(UNROUTABLE.of(count=rest.unroutable, sum=rest.unroutable_sum))
    if rest.frozen:
        warnings.append(FROZEN.of(count=rest.frozen, sum=rest.frozen_sum))
    alike, first = reservations.likely_duplicates(plan, limit=MOST_SHOWN)
    if alike:
        warnings.append(LIKELY_DUPLICATES.of(count=alike, days=reservations.DUPLICATE_DAYS, also={"payouts": first}))
    return warnings
