"""How right the rules are, and what waits for a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection

from loyalty.models import FraudRule

_Z: Final = 1.96  # 95 per cent


@dataclass(frozen=True, slots=True)
class Precision:
    """Of what a rule has hit, how much was fraud; `at_least` is the lower Wilson bound, None before a verdict."""

    rule: str
    open: int
    confirmed: int
    dismissed: int

    @property
    def precision(self) -> float | None:
        """The share of its verdicts that were confirmations."""
        judged = self.confirmed + self.dismissed
        return round(self.confirmed / judged, 4) if judged else None

    @property
    def at_least(self) -> float | None:
        """What the share is at least, with 95 per cent confidence: three of three is not yet certainty."""
        judged = self.confirmed + self.dismissed
        if not judged:
            return None
        share = self.confirmed / judged
        middle = share + _Z**2 / (2 * judged)
        spread = _Z * math.sqrt(share * (1 - share) / judged + _Z**2 / (4 * judged**2))
        return round((middle - spread) / (1 + _Z**2 / judged), 4)


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for a verdict: how many, how many of them too long, and how long the oldest has."""

    open: int
    overdue: int
    oldest_seconds: float


def precision_by_rule() -> list[Precision]:
    """Every rule with its verdicts so far, by code."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select r.code,
              (select count(*) from loyalty_fraud_hits h where h.rule_id = r.id and h.status = 'open'),
              count(f.id) filter (where f.verdict = 'confirmed'), count(f.id) filter (where f.verdict = 'dismissed')
            from loyalty_fraud_rules r left join loyalty_sira_feedback f on f.rule_code = r.code
            group by r.id, r.code order by r.code
            """
        )
        return [Precision(*row) for row in cursor.fetchall()]


def waiting_hits() -> Queue:
    """The review queue of all programs, out of a partial index."""
    return _queue("loyalty_fraud_hits", "found_at")


def waiting_disputes() -> Queue:
    """The open disputes of all programs, the same way."""
    return _queue("loyalty_disputes", "created_at")


def _queue(table: str, since: str) -> Queue:
    with connection.cursor() as cursor:
        cursor.execute(
            f"select count(*), count(*) filter (where due_at < now()),"
            f" coalesce(extract(epoch from now() - min({since})), 0) from {table} where status = 'open'"
        )
        waits, overdue, oldest = cursor.fetchone()
    return Queue(waits, overdue, float(oldest))


def rules_that_look() -> list[UUID]:
    """The rules that are switched on, by code."""
    return list(FraudRule.objects.filter(active=True).order_by("code").values_list("pk", flat=True))
