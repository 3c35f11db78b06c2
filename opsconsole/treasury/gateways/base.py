"""The words every bank gateway speaks: orders, outcomes, findings; and the protocols they follow.

An outcome says what is certain. `Accepted` and `Rejected` are the bank's word, `NotSent` means that the bank did
nothing and the order may be sent again, `Ambiguous` that nobody here can tell: ask the bank by the key (`status`)
before doing anything else. A gateway never guesses between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """One credit transfer; `key` is its idempotency key, `end_to_end_id` (35 characters) travels to the payee."""

    key: str
    end_to_end_id: str
    amount: Decimal
    currency: str
    debtor_name: str
    debtor_iban: str
    debtor_bic: str
    creditor_name: str
    creditor_iban: str
    creditor_bic: str
    remittance: str
    requested_on: date


# What became of a submission


@dataclass(frozen=True, slots=True)
class Accepted:
    """The bank has it; `reference` is the bank's own id of the payment, or the file's digest."""

    reference: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The bank refused it for good; nothing was paid and nothing will be."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It may or may not have happened: ask by the key."""

    detail: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """It certainly did not happen; try again, in `retry_after` seconds where somebody said so."""

    detail: str
    retry_after: float | None = None


Outcome = Accepted | Rejected | Ambiguous | NotSent


# What the bank says of a key


class PaymentState(StrEnum):
    """How far a payment has got at the bank."""

    ACCEPTED = "accepted"
    EXECUTED = "executed"
    SETTLED = "settled"
    REJECTED = "rejected"
    RETURNED = "returned"
    RECALLED = "recalled"


@dataclass(frozen=True, slots=True)
class Known:
    """The bank has a payment under this key; amount and currency as the bank has them, None where it does not say."""

    reference: str
    state: PaymentState
    reason: str = ""
    amount: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """The bank has nothing under this key."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The bank could not be asked just now; ask again, in `retry_after` seconds where somebody said so."""

    detail: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class CannotTell:
    """Asking does not help: this bank does not answer such questions."""

    detail: str


Finding = Known | Absent | NoAnswer | CannotTell


# Recalls and balances


@dataclass(frozen=True, slots=True)
class Recall:
    """A payment to take back: `key` is the recall's own idempotency key, `reference` the payment's id at the bank."""

    key: str
    reference: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """The bank took it back before it was executed."""


@dataclass(frozen=True, slots=True)
class TooLate:
    """The bank has executed it, or it came to another end; only a new payment can undo it."""

    reason: str


RecallOutcome = Recalled | TooLate | Ambiguous | NotSent


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account holds at the bank: booked, and available after what is accepted but not executed."""

    iban: str
    currency: str
    booked: Decimal
    available: Decimal


BalanceAnswer = Balance | Absent | NoAnswer | CannotTell


# Protocols


@runtime_checkable
class BankGateway(Protocol):
    """What every gateway can be asked; none of it raises for what the outside world does."""

    @property
    def honours_key(self) -> bool:
        """Whether the bank executes one key once: only then may an ambiguous order be sent again."""

    def status(self, key: str) -> Finding:
        """What the bank has under the idempotency key of a submission."""

    def status_many(self, keys: Sequence[str], in_flight: int = IN_FLIGHT) -> list[Finding]:
        """The same for many, in their order."""

    def recall(self, key: str, reference: str) -> RecallOutcome:
        """Take a payment back, if the bank has not executed it."""

    def recall_many(self, recalls: Sequence[Recall], in_flight: int = IN_FLIGHT) -> list[RecallOutcome]:
        """The same for many, in their order."""

    def balance(self, iban: str) -> BalanceAnswer:
        """What the account holds."""

    def close(self) -> None:
        """Give back connections and threads."""


@runtime_checkable
class PaymentGateway(BankGateway, Protocol):
    """A gateway whose unit of submission is one payment."""

    def submit(self, order: PaymentOrder) -> Outcome:
        """Hand one order to the bank."""

    def submit_many(self, orders: Sequence[PaymentOrder], in_flight: int = IN_FLIGHT) -> list[Outcome]:
        """Hand many to the bank, so many at a time; the outcomes come in the order of the orders."""


@runtime_checkable
class FileGateway(BankGateway, Protocol):
    """A gateway whose unit of submission is one file of payments."""

    def submit_file(self, content: bytes, name: str) -> Outcome:
        """Hand a rendered file to the bank under the key `name`; Accepted carries the file's digest."""
