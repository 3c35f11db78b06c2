"""The states of treasury's records, and which may follow which."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from opsconsole.core.states import States


class BankState(States):
    """A paused bank gets nothing new."""

    ACTIVE = "active", _("active")
    PAUSED = "paused", _("paused")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Back and forth."""
        return {cls.ACTIVE: frozenset({cls.PAUSED}), cls.PAUSED: frozenset({cls.ACTIVE})}

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every bank is born active."""
        return frozenset({cls.ACTIVE})


class AccountState(States):
    """Nothing is paid from a frozen account; what comes back to it is booked all the same."""

    ACTIVE = "active", _("active")
    FROZEN = "frozen", _("frozen")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Back and forth."""
        return {cls.ACTIVE: frozenset({cls.FROZEN}), cls.FROZEN: frozenset({cls.ACTIVE})}

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every account is born active."""
        return frozenset({cls.ACTIVE})


class PayoutState(States):
    """A payout waits, is reserved by a plan, goes out, and ends settled; or comes back, and may be paid again."""

    PAYABLE = "payable", _("payable")
    HELD = "held", _("held")
    RESERVED = "reserved", _("reserved")
    SENDING = "sending", _("sending")
    SENT = "sent", _("sent")
    SETTLED = "settled", _("settled")
    FAILED = "failed", _("failed")
    RETURNED = "returned", _("returned")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Sent to payable is a recall; sending back to payable or reserved is a submission that never happened.

        Failed to reserved is the same plan trying again.
        """
        return {
            cls.PAYABLE: frozenset({cls.RESERVED, cls.HELD}),
            cls.HELD: frozenset({cls.PAYABLE}),
            cls.RESERVED: frozenset({cls.PAYABLE, cls.SENDING}),
            cls.SENDING: frozenset({cls.SENT, cls.FAILED, cls.PAYABLE, cls.RESERVED}),
            cls.SENT: frozenset({cls.SETTLED, cls.RETURNED, cls.FAILED, cls.PAYABLE}),
            cls.FAILED: frozenset({cls.PAYABLE, cls.RESERVED}),
            cls.RETURNED: frozenset({cls.PAYABLE}),
        }

    @classmethod
    def starts(cls) -> frozenset[str]:
        """A payout comes in payable, or held from the start."""
        return frozenset({cls.PAYABLE, cls.HELD})


class InstructionState(States):
    """One submission of one payout; the payout's own state follows it."""

    PLANNED = "planned", _("planned")
    SENDING = "sending", _("sending")
    SENT = "sent", _("sent")
    SETTLED = "settled", _("settled")
    FAILED = "failed", _("failed")
    RETURNED = "returned", _("returned")
    RECALLED = "recalled", _("recalled")
    RELEASED = "released", _("released")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Released means that it was never sent and never will be; failed to planned, that its plan tries again."""
        return {
            cls.PLANNED: frozenset({cls.SENDING, cls.RELEASED}),
            cls.SENDING: frozenset({cls.SENT, cls.FAILED, cls.PLANNED, cls.RELEASED}),
            cls.SENT: frozenset({cls.SETTLED, cls.RETURNED, cls.FAILED, cls.RECALLED}),
            cls.FAILED: frozenset({cls.PLANNED}),
        }

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every instruction is born planned."""
        return frozenset({cls.PLANNED})


# The payout is paid, or about to be: while an instruction of it is in one of these, there can be no other.
LIVE_INSTRUCTIONS = (
    InstructionState.PLANNED,
    InstructionState.SENDING,
    InstructionState.SENT,
    InstructionState.SETTLED,
)
# Not yet at an end: what metrics count and sweepers look after.
OPEN_INSTRUCTIONS = (InstructionState.PLANNED, InstructionState.SENDING, InstructionState.SENT)
# A plan has hold of the payout, or the money is on its way: its facts stand still.
FIXED_PAYOUTS = (PayoutState.RESERVED, PayoutState.SENDING, PayoutState.SENT, PayoutState.SETTLED)


class GatewayKind(models.TextChoices):
    """How a bank is spoken to."""

    HTTP = "http", _("HTTP, one call per payment")
    ISO20022 = "iso20022", _("ISO 20022 files")


class AccountKind(models.TextChoices):
    """What an account stands for. Settlement accounts are real ones at the bank; the others are the ledger's own."""

    SETTLEMENT = "settlement", _("settlement")
    IN_TRANSIT = "in_transit", _("in transit")
    PAID_OUT = "paid_out", _("paid out")
    FUNDING = "funding", _("funding")


class TransferKind(models.TextChoices):
    """Why money moved in the ledger, and between which kinds of account."""

    FUNDED = "funded", _("funding to settlement")
    SENT = "sent", _("settlement to in transit")
    SETTLED = "settled", _("in transit to paid out")
    NOT_SENT = "not_sent", _("in transit to settlement: never went out")
    FAILED = "failed", _("in transit to settlement: refused by the bank")
    RETURNED = "returned", _("in transit to settlement: came back")
    RECALLED = "recalled", _("in transit to settlement: taken back")
    SWEPT = "swept", _("settlement to settlement")
