"""What Prometheus is told of what waits in loyalty: for a verdict, an answer, somebody's eyes, or its codes."""

from __future__ import annotations

from collections import Counter

from django.db.models import F, Sum

from loyalty.budgets import LIVE
from loyalty.fraud.figures import Queue, waiting_disputes, waiting_hits
from loyalty.models import BudgetAlert, VoucherBatch
from opsconsole.core.metrics import Fact, Samples, register


def _queue(waits: Queue) -> Samples:
    return [(("in time",), float(waits.open - waits.overdue)), (("overdue",), float(waits.overdue))]


def _alerts() -> Samples:
    counted = Counter(BudgetAlert.objects.filter(status__in=LIVE).values_list("status", flat=True))
    return [((status,), float(counted[status])) for status in LIVE]


def _codes() -> Samples:
    lacking = VoucherBatch.objects.filter(made__lt=F("count"), withdrawn_at=None)
    return [((), float(lacking.aggregate(codes=Sum(F("count") - F("made")))["codes"] or 0))]


register(
    Fact(
        "loyalty_fraud_hits_open",
        "Fraud hits that wait for a verdict, in time or for too long.",
        "gauge",
        ("due",),
        lambda: _queue(waiting_hits()),
    ),
    Fact(
        "loyalty_fraud_hits_oldest_seconds",
        "How long the oldest fraud hit has waited for a verdict; 0 where there is none.",
        "gauge",
        (),
        lambda: [((), waiting_hits().oldest_seconds)],
    ),
    Fact(
        "loyalty_disputes_open",
        "Disputes that have not ended, in time or for too long.",
        "gauge",
        ("due",),
        lambda: _queue(waiting_disputes()),
    ),
    Fact(
        "loyalty_disputes_oldest_seconds",
        "How long the oldest dispute has been open; 0 where there is none.",
        "gauge",
        (),
        lambda: [((), waiting_disputes().oldest_seconds)],
    ),
    Fact(
        "loyalty_budget_alerts_live",
        "Alerts about budgets that are nearly used up, seen by somebody or not.",
        "gauge",
        ("status",),
        _alerts,
    ),
    Fact("loyalty_voucher_codes_missing", "Codes of vouchers that are ordered and not yet made.", "gauge", (), _codes),
)
