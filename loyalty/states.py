"""The states of loyalty's records, and the words for what happens to points."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from opsconsole.core.states import States


class ProgramState(States):
    """A program is active, or suspended for as long as something is wrong with it."""

    ACTIVE = "active", pgettext_lazy("a loyalty program", "active")
    SUSPENDED = "suspended", pgettext_lazy("a loyalty program", "suspended")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every program is born active."""
        return frozenset({cls.ACTIVE.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """To and fro."""
        return {
            cls.ACTIVE.value: frozenset({cls.SUSPENDED.value}),
            cls.SUSPENDED.value: frozenset({cls.ACTIVE.value}),
        }


class EventType(models.TextChoices):
    """Why points came or went. A reversal names the transaction that it takes back."""

    EARN = "earn", pgettext_lazy("points", "earned")
    BONUS = "bonus", pgettext_lazy("points", "bonus")
    REDEEM = "redeem", pgettext_lazy("points", "redeemed")
    REVERSE = "reverse", pgettext_lazy("points", "reversed")
    ADJUST = "adjust", pgettext_lazy("points", "adjusted")
    EXPIRE = "expire", pgettext_lazy("points", "expired")


# What a frozen member and a suspended program are closed to.
ONLY_WHILE_OPEN: Final = (EventType.EARN.value, EventType.BONUS.value, EventType.REDEEM.value)


class CampaignState(States):
    """A campaign is drafted, scheduled, run in chunks; it may pause, and it ends one way."""

    DRAFT = "draft", pgettext_lazy("a campaign", "draft")
    SCHEDULED = "scheduled", pgettext_lazy("a campaign", "scheduled")
    RUNNING = "running", pgettext_lazy("a campaign", "running")
    PAUSED = "paused", pgettext_lazy("a campaign", "paused")
    COMPLETED = "completed", pgettext_lazy("a campaign", "completed")
    FAILED = "failed", pgettext_lazy("a campaign", "failed")
    CANCELLED = "cancelled", pgettext_lazy("a campaign", "cancelled")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every campaign is born a draft."""
        return frozenset({cls.DRAFT.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """A scheduled one may be taken back to be edited; what has failed stays so, and what it gave can be undone."""
        return {
            cls.DRAFT.value: frozenset({cls.SCHEDULED.value, cls.CANCELLED.value}),
            cls.SCHEDULED.value: frozenset({cls.DRAFT.value, cls.RUNNING.value, cls.FAILED.value, cls.CANCELLED.value}),
            cls.RUNNING.value: frozenset(
                {cls.PAUSED.value, cls.COMPLETED.value, cls.FAILED.value, cls.CANCELLED.value}
            ),
            cls.PAUSED.value: frozenset({cls.RUNNING.value, cls.FAILED.value, cls.CANCELLED.value}),
        }


class CampaignType(models.TextChoices):
    """What a campaign gives."""

    BONUS = "bonus_points", _("the same bonus to each member")
    MULTIPLIER = "multiplier", _("a multiple of what was earned in a window")


class SkipReason(models.TextChoices):
    """Why a member of the audience was not awarded."""

    FROZEN = "frozen", _("the member is frozen")
    NO_POINTS = "no_points", _("the award comes to no points")
    TESTED = "tested", _("was awarded in the test run")


class RedemptionState(States):
    """A redemption is claimed at once, and perhaps taken back."""

    CLAIMED = "claimed", pgettext_lazy("a redemption", "claimed")
    FULFILLED = "fulfilled", pgettext_lazy("a redemption", "fulfilled")
    REVERSED = "reversed", pgettext_lazy("a redemption", "taken back")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every redemption is born claimed."""
        return frozenset({cls.CLAIMED.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Claimed, then handed over or taken back."""
        return {cls.CLAIMED.value: frozenset({cls.FULFILLED.value, cls.REVERSED.value})}


class VoucherState(States):
    """A voucher can be redeemed once, until it expires or is withdrawn."""

    ISSUED = "issued", pgettext_lazy("a voucher", "issued")
    REDEEMED = "redeemed", pgettext_lazy("a voucher", "redeemed")
    VOID = "void", pgettext_lazy("a voucher", "withdrawn")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every voucher is born issued."""
        return frozenset({cls.ISSUED.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Redeemed or withdrawn, once."""
        return {cls.ISSUED.value: frozenset({cls.REDEEMED.value, cls.VOID.value})}


class RuleKind(models.TextChoices):
    """What a rule of a program does to an earn."""

    MULTIPLIER = "multiplier", _("multiplies what is earned")
    CAP = "cap", _("caps what a member earns in a period")


class TierMove(models.TextChoices):
    """Which way a member went."""

    UPGRADE = "upgrade", _("upgrade")
    DOWNGRADE = "downgrade", _("downgrade")


class HitState(States):
    """A hit of a fraud rule waits for somebody's verdict."""

    OPEN = "open", pgettext_lazy("a fraud hit", "to be looked at")
    CONFIRMED = "confirmed", pgettext_lazy("a fraud hit", "confirmed")
    DISMISSED = "dismissed", pgettext_lazy("a fraud hit", "dismissed")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every hit is born open."""
        return frozenset({cls.OPEN.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """A verdict, once."""
        return {cls.OPEN.value: frozenset({cls.CONFIRMED.value, cls.DISMISSED.value})}


class DisputeState(States):
    """A dispute ends in an adjustment or a refusal."""

    OPEN = "open", pgettext_lazy("a dispute", "open")
    ADJUSTED = "adjusted", pgettext_lazy("a dispute", "adjusted")
    REFUSED = "refused", pgettext_lazy("a dispute", "refused")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every dispute is born open."""
        return frozenset({cls.OPEN.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """A verdict, once."""
        return {cls.OPEN.value: frozenset({cls.ADJUSTED.value, cls.REFUSED.value})}


class BudgetAlertState(States):
    """A budget alert is seen by somebody, and closed by itself once there is budget again."""

    OPEN = "open", pgettext_lazy("a budget alert", "open")
    ACKNOWLEDGED = "acknowledged", pgettext_lazy("a budget alert", "acknowledged")
    CLOSED = "closed", pgettext_lazy("a budget alert", "closed")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every alert is born open."""
        return frozenset({cls.OPEN.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Seen or not, it ends when the budget is no longer short."""
        return {
            cls.OPEN.value: frozenset({cls.ACKNOWLEDGED.value, cls.CLOSED.value}),
            cls.ACKNOWLEDGED.value: frozenset({cls.CLOSED.value}),
        }
