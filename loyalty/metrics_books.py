"""What Prometheus is told of the books: do they agree with the ledger, is the ledger as it was digested."""

from __future__ import annotations

from django.utils import timezone

from loyalty.books.outcomes import last_reconciliation, last_verification
from opsconsole.core.metrics import Fact, Samples, register


def _drift() -> Samples:
    last = last_reconciliation()
    return [((), float(last.facts["drift"]) if last else 0.0)]


def _reconciled() -> Samples:
    last = last_reconciliation()
    return [((), (timezone.now() - last.at).total_seconds() if last else -1.0)]


def _sound() -> Samples:
    last = last_verification()
    return [((), float(last.sound) if last else 0.0)]


def _verified() -> Samples:
    last = last_verification()
    return [((), (timezone.now() - last.at).total_seconds() if last else -1.0)]


register(
    Fact(
        "loyalty_drift_rows",
        "Balances, budgets and figures of campaigns that the last reconciliation found not to be the ledger's.",
        "gauge",
        (),
        _drift,
    ),
    Fact(
        "loyalty_reconciled_seconds",
        "Seconds since the books of loyalty were reconciled; -1 before the first time.",
        "gauge",
        (),
        _reconciled,
    ),
    Fact(
        "loyalty_ledger_sound",
        "1 if the last verification found the ledger as it was digested; 0 if it did not, or there was none.",
        "gauge",
        (),
        _sound,
    ),
    Fact(
        "loyalty_ledger_verified_seconds",
        "Seconds since the ledger was held against its digests; -1 before the first time.",
        "gauge",
        (),
        _verified,
    ),
)
