"""How many points a purchase of the past earns. One of now is worth what `ledger.record_movement` makes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from math import prod

from loyalty.models import Program, Rule
from loyalty.states import RuleKind


def rates_of_days_past(program: Program) -> Callable[[datetime], Decimal]:
    """Points per unit spent at a time: the rate of today times the multipliers of the rules that held then.

    What brings in history earns by this: nobody's tier of that day is known, and caps are of the day of earning.
    """
    rules = list(Rule.objects.filter(program=program, active=True, kind=RuleKind.MULTIPLIER))

    @cache
    def rate(at: datetime) -> Decimal:
        held = (rule for rule in rules if _holds(rule, at))
        return prod((rule.multiplier for rule in held if rule.multiplier is not None), start=program.earn_rate)

    return rate


def _holds(rule: Rule, at: datetime) -> bool:
    begun = rule.starts_at is None or rule.starts_at <= at
    return begun and (rule.ends_at is None or rule.ends_at > at)
