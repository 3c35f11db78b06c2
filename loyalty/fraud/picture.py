"""What a member did around a hit: window by window against the limit, and who else was behind the same addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext_lazy as _

from loyalty.fraud.severity import excesses
from loyalty.models import Balance, FraudHit
from opsconsole.core.texts import Text

SHOWN: Final = 28  # windows before the moment of the hit
SHOWN_OF_ADDRESS: Final = 14  # everybody's movements are read for these, not one member's
NEIGHBOURS_SHOWN: Final = 50
ADDRESSES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Course:
    """What the rule measures, for each of its windows up to the one that it hit, the oldest first."""

    what: Text
    ends: Sequence[datetime]
    values: Sequence[float]
    limit: float
    window: timedelta


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A member behind an address that the one of the hit used, in the same hours."""

    address: str
    balance_id: UUID
    user_id: str
    movements: int
    points: int
    is_frozen: bool
    flags: Sequence[str]


def course_of(hit: FraudHit, limits: Mapping[str, int]) -> Course | None:
    """How it came to the hit, by the measure that is furthest over its limit; None where the facts were erased."""
    found = excesses(hit.rule.kind, hit.facts, limits)
    if not found:
        return None
    worst, window = found[0], timedelta(hours=limits["hours"])
    kind = hit.rule.kind
    count, limit, what = SHOWN, worst.limit, worst.measure.label
    if kind == "spike":
        # The rule compares points with the member's own habit: its limit in points is so many times what was usual.
        limit, what = float(hit.facts["usual"]) * limits["times"], _("points earned")
    if kind == "address":
        count = SHOWN_OF_ADDRESS
    ends = [hit.as_of - window * number for number in reversed(range(count))]
    bounds = {"since": ends[0] - window, "until": hit.as_of, "seconds": window.total_seconds()}
    measured = _measured(hit, worst.measure.fact, bounds)
    values = [measured.get(number, 0.0) for number in reversed(range(count))]
    return Course(what, ends, values, limit, window)


def _measured(hit: FraudHit, fact: str, bounds: Mapping[str, Any]) -> dict[int, float]:
    """By window, counted back from the moment of the hit, which they leave out: window 0 is what the rule saw."""
    number = "ceil(extract(epoch from %(until)s - t.created_at) / %(seconds)s)::int - 1"
    within = "t.created_at >= %(since)s and t.created_at < %(until)s"
    if fact == "members":
        query = f"""
            select {number}, count(distinct b.user_id)
            from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
            where t.ip_address = %(address)s::inet and {within} group by 1
        """
        return _by_number(query, {**bounds, "address": hit.facts["address"]})
    value = "sum(t.amount)" if fact in ("points", "times") else "count(*)"
    query = f"""
        select {number}, {value} from loyalty_transactions t
        where t.balance_id = any(%(balances)s) and t.event_type = %(event)s and {within} group by 1
    """
    event = "redeem" if fact == "redemptions" else "earn"
    return _by_number(query, {**bounds, "balances": counted_together(hit), "event": event})


def counted_together(hit: FraudHit) -> list[UUID]:
    """The balances that the rule looked at as one: a person counts as one in all programs, but for a habit."""
    if hit.rule.kind in ("spike", "address"):
        return [hit.balance_id]
    return list(Balance.objects.filter(user_id=hit.balance.user_id).values_list("pk", flat=True))


def neighbours_of(hit: FraudHit, window: timedelta) -> list[Neighbour]:
    """Who else moved points from the addresses of the member within the hours of the hit, the busiest first."""
    return [
        Neighbour(*row)
        for row in _rows(
            """
            with used as (
              select t.ip_address from loyalty_transactions t
              where t.balance_id = any(%(balances)s) and t.ip_address is not null
                and t.created_at >= %(since)s and t.created_at < %(until)s
              group by 1 order by count(*) desc, 1 limit %(addresses)s
            )
            select host(t.ip_address), b.id, b.user_id, count(*), sum(t.amount)::bigint,
              b.is_frozen, array(select jsonb_array_elements_text(b.fraud_flags))
            from loyalty_transactions t join used on used.ip_address = t.ip_address
              join loyalty_balances b on b.id = t.balance_id
            where t.created_at >= %(since)s and t.created_at < %(until)s and t.balance_id <> all(%(balances)s)
            group by t.ip_address, b.id order by count(*) desc, b.id limit %(most)s
            """,
            {
                "balances": counted_together(hit),
                "since": hit.as_of - window,
                "until": hit.as_of,
                "addresses": ADDRESSES_SHOWN,
                "most": NEIGHBOURS_SHOWN,
            },
        )
    ]


def _by_number(query: str, values: Mapping[str, Any]) -> dict[int, float]:
    return {number: float(value) for number, value in _rows(query, values)}


def _rows(query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
