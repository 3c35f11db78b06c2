"""The `http` gateway: JSON over HTTP, one signed call per payment, repeated only where that is safe.

Every call carries the order's idempotency key. What failed on the line is repeated inside the call's budget if the
bank honours the key; what is uncertain when the budget ends is said to be uncertain. docs/bank-gateways.md has the
protocol and the table of outcomes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from opsconsole.treasury.gateways import answers
from opsconsole.treasury.gateways.base import (
    IN_FLIGHT,
    Ambiguous,
    BalanceAnswer,
    Finding,
    NoAnswer,
    NotSent,
    Outcome,
    PaymentOrder,
    Recall,
    RecallOutcome,
)
from opsconsole.treasury.gateways.breaker import Breaker
from opsconsole.treasury.gateways.line import Call, HttpSettings, Line


class HttpGateway:
    """A bank that takes one payment per HTTP call; safe to share between threads, and across forks."""

    def __init__(self, settings: HttpSettings, *, breaker: Breaker | None = None) -> None:
        self._settings = settings
        self._line = Line(settings, breaker or Breaker())

    @property
    def honours_key(self) -> bool:
        """Whether the bank executes one key once."""
        return self._settings.honours_key

    def submit(self, order: PaymentOrder) -> Outcome:
        """Hand one order to the bank."""
        return self.submit_many([order])[0]

    def submit_many(self, orders: Sequence[PaymentOrder], in_flight: int = IN_FLIGHT) -> list[Outcome]:
        """Hand orders to the bank, so many at a time; raises for none, and keeps to one budget for all."""
        return self._line.run_many([self._submission(order) for order in orders], in_flight)

    def status(self, key: str) -> Finding:
        """What the bank has under this key."""
        return self.status_many([key])[0]

    def status_many(self, keys: Sequence[str], in_flight: int = IN_FLIGHT) -> list[Finding]:
        """What the bank has under these keys."""
        return self._line.run_many([self._probe(key) for key in keys], in_flight)

    def recall(self, key: str, reference: str) -> RecallOutcome:
        """Take a payment back, if the bank has not executed it."""
        return self.recall_many([Recall(key, reference)])[0]

    def recall_many(self, recalls: Sequence[Recall], in_flight: int = IN_FLIGHT) -> list[RecallOutcome]:
        """Take payments back."""
        return self._line.run_many([self._recall(recall) for recall in recalls], in_flight)

    def balance(self, iban: str) -> BalanceAnswer:
        """What the account holds at the bank."""
        return self._line.run_many([self._balance(iban)], 1)[0]

    def close(self) -> None:
        """Give back connections and threads; the gateway may be used again."""
        self._line.close()

    def _submission(self, order: PaymentOrder) -> Call[Outcome]:
        fields = {
            "end_to_end_id": order.end_to_end_id,
            "amount": f"{order.amount:f}",
            "currency": order.currency,
            "debtor_account": order.debtor_iban,
            "debtor_name": order.debtor_name,
            "creditor_name": order.creditor_name,
            "creditor_account": order.creditor_iban,
            "creditor_agent": order.creditor_bic,
            "remittance": order.remittance,
            "requested_on": order.requested_on.isoformat(),
        }
        return Call(
            method="POST",
            path="/v1/payments",
            key=order.key,
            body=json.dumps(fields).encode(),
            read=partial(answers.read_submission, end_to_end_id=order.end_to_end_id),
            lost=Ambiguous,
            unsent=NotSent,
            repeatable=self.honours_key,
        )

    def _recall(self, recall: Recall) -> Call[RecallOutcome]:
        return Call(
            method="POST",
            path=f"/v1/payments/{quote(recall.reference, safe='')}/recall",
            key=recall.key,
            body=b"",
            read=partial(answers.read_recall, reference=recall.reference),
            lost=Ambiguous,
            unsent=NotSent,
            repeatable=self.honours_key,
        )

    @staticmethod
    def _probe(key: str) -> Call[Finding]:
        return Call(
            method="GET",
            path=f"/v1/payments/by-key/{quote(key, safe='')}",
            key="",
            body=None,
            read=partial(answers.read_status, key=key),
            lost=NoAnswer,
            unsent=NoAnswer,
            repeatable=True,
        )

    @staticmethod
    def _balance(iban: str) -> Call[BalanceAnswer]:
        return Call(
            method="GET",
            path=f"/v1/accounts/{quote(iban, safe='')}/balance",
            key="",
            body=None,
            read=partial(answers.read_balance, iban=iban),
            lost=NoAnswer,
            unsent=NoAnswer,
            repeatable=True,
        )
