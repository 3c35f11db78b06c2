"""The database's refusals of vouchers and rewards, told to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _

from loyalty.errors import PointsRefused, RewardLimit, RewardUnavailable, VoucherLimit, VoucherRefused
from opsconsole.core.errors import DomainError
from opsconsole.core.texts import Text

NOT_REDEEMABLE: Final = _("This code cannot be redeemed: it is mistyped, used, expired or withdrawn.")

_TOLD: Final[Mapping[str, tuple[type[DomainError], Text]]] = {
    "voucher_batch_is_valid": (VoucherRefused, NOT_REDEEMABLE),
    "voucher_limit_per_member": (
        VoucherLimit,
        _("The member has redeemed as many vouchers of this batch as one member may."),
    ),
    "reward_is_active": (RewardUnavailable, _("This reward is not given any more.")),
    "reward_in_stock": (RewardUnavailable, _("None of this reward are left.")),
    "redemption_costs_its_reward": (RewardUnavailable, _("This reward costs something else by now; look again.")),
    "reward_limit_per_member": (RewardLimit, _("The member has had as many of this reward as one member may.")),
}


@contextmanager
def told() -> Iterator[None]:
    """Have a limit that the database keeps told as ours; the transaction it ends is the operation's."""
    try:
        yield
    except IntegrityError as error:
        constraint = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""
        kind, said = _TOLD.get(constraint, (PointsRefused, _("The database refuses this.")))
        raise kind(said) from error  # and nothing that tells one wrong code from another
