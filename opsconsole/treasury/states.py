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

        Failed to reserved is the same plan trying again. A bank may give back what it had settled, days later.
        """
        return {
            cls.PAYABLE: frozenset({cls.RESERVED, cls.HELD}),
            cls.HELD: frozenset({cls.PAYABLE}),
            cls.RESERVED: frozenset({cls.PAYABLE, cls.SENDING}),
            cls.SENDING: frozenset({cls.SENT, cls.FAILED, cls.PAYABLE, cls.RESERVED}),
            cls.SENT: frozenset({cls.SETTLED, cls.RETURNED, cls.FAILED, cls.PAYABLE}),
            cls.SETTLED: frozenset({cls.RETURNED}),
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
            cls.SETTLED: frozenset({cls.RETURNED}),
            cls.FAILED: frozenset({cls.PLANNED}),
        }

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every instruction is born planned."""
        return frozenset({cls.PLANNED})


class SweepState(States):
    """One transfer between two accounts of ours; a transfer back is another one, that undoes it."""

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
        """As an instruction: released was never sent, failed to planned is the same plan trying again."""
        return {
            cls.PLANNED: frozenset({cls.SENDING, cls.RELEASED}),
            cls.SENDING: frozenset({cls.SENT, cls.FAILED, cls.PLANNED}),
            cls.SENT: frozenset({cls.SETTLED, cls.RETURNED, cls.FAILED, cls.RECALLED}),
            cls.SETTLED: frozenset({cls.RETURNED}),
            cls.FAILED: frozenset({cls.PLANNED}),
        }

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every sweep is born planned."""
        return frozenset({cls.PLANNED})


class BankFileState(States):
    """A file of a bank is read chunk by chunk; whoever is interrupted goes on by importing it again."""

    READING = "reading", _("reading")
    IMPORTED = "imported", _("imported")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """To its end: what cannot be read as a whole is refused before."""
        return {cls.READING: frozenset({cls.IMPORTED})}

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every file is born as one that is being read."""
        return frozenset({cls.READING})


class BreakState(States):
    """What a bank says and our records do not: a person looks into it."""

    OPEN = "open", _("open")
    RESOLVED = "resolved", _("resolved")

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Once."""
        return {cls.OPEN: frozenset({cls.RESOLVED})}

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every break is born open."""
        return frozenset({cls.OPEN})


# The payout is paid, or about to be: while an instruction of it is in one of these, there can be no other.
LIVE_INSTRUCTIONS = (
    InstructionState.PLANNED,
    InstructionState.SENDING,
    InstructionState.SENT,
    InstructionState.SETTLED,
)
# The money of a sweep is promised, under way or there: its step has no other, and nor has what it undoes.
LIVE_SWEEPS = (SweepState.PLANNED, SweepState.SENDING, SweepState.SENT, SweepState.SETTLED)
OPEN_SWEEPS = (SweepState.PLANNED, SweepState.SENDING, SweepState.SENT)
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


class FreezeKind(models.TextChoices):
    """What can be frozen: an account of ours, a payee by the IBAN, a merchant by the id."""

    ACCOUNT = "account", _("account")
    BENEFICIARY = "beneficiary", _("beneficiary")
    MERCHANT = "merchant", _("merchant")


class TransferKind(models.TextChoices):
    """Why money moved in the ledger, and between which kinds of account."""

    FUNDED = "funded", _("funding to settlement")
    SENT = "sent", _("settlement to in transit")
    SETTLED = "settled", _("in transit to paid out")
    NOT_SENT = "not_sent", _("in transit to settlement: never went out")
    FAILED = "failed", _("in transit to settlement: refused by the bank")
    RETURNED = "returned", _("back to settlement: the bank gave it back")
    RECALLED = "recalled", _("in transit to settlement: taken back")
    SWEPT = "swept", _("in transit to another settlement account of ours")


class LineVerdict(models.TextChoices):
    """What came of a line of a bank file."""

    SETTLED = "settled", _("settled")
    FAILED = "failed", _("failed")
    RETURNED = "returned", _("returned")
    ALREADY = "already", _("known already")
    PENDING = "pending", _("on its way")
    BREAK = "break", _("break")


class BreakReason(models.TextChoices):
    """Why a line of a bank file does not fit our records."""

    NO_REFERENCE = "no_reference", _("names none of our references")
    UNKNOWN_REFERENCE = "unknown_reference", _("unknown reference")
    OTHER_AMOUNT = "other_amount", _("another amount")
    OTHER_CURRENCY = "other_currency", _("another currency")
    WRONG_ACCOUNT = "wrong_account", _("another account")
    UNEXPECTED = "unexpected", _("does not follow from its state")
