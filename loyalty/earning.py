"""How many points a purchase earns: the program's rate, its rules, and the member's tier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import cache
from math import prod
from uuid import UUID

from django.db.models import Q

from loyalty.ledger import Cap
from loyalty.models import Balance, Program, Rule
from loyalty.states import RuleKind


@dataclass(frozen=True, slots=True)
class Earning:
    """The points of one purchase before caps, and the caps that hold for it."""

    points: int
    caps: tuple[Cap, ...]


def rules_in_force(program_id: UUID, at: datetime) -> list[Rule]:
    """The program's rules that hold at this time."""
    begun, lasting = Q(starts_at=None) | Q(starts_at__lte=at), Q(ends_at=None) | Q(ends_at__gt=at)
    return list(Rule.objects.filter(begun, lasting, program=program_id, active=True))


def of_purchase(program: Program, user_id: str, spent: Decimal, at: datetime) -> Earning:
    """The points for what a member spent: spent x rate x rules' multipliers x tier's, cut to whole points."""
    rules = rules_in_force(program.pk, at)
    factor = program.earn_rate
    for rule in rules:
        if rule.kind == RuleKind.MULTIPLIER and rule.multiplier is not None:
            factor *= rule.multiplier
    factor *= _tier_multiplier(program.pk, user_id)
    points = int((spent * factor).to_integral_value(rounding=ROUND_FLOOR))
    return Earning(points, tuple(caps_of(rules, at)))


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


def caps_of(rules: list[Rule], at: datetime) -> list[Cap]:
    """What the rules let a member earn, and since when it counts."""
    return [
        Cap(rule.cap_points, at - timedelta(days=rule.period_days))
        for rule in rules
        if rule.kind == RuleKind.CAP and rule.cap_points is not None and rule.period_days is not None
    ]


def _tier_multiplier(program_id: UUID, user_id: str) -> Decimal:
    found = Balance.objects.filter(program=program_id, user_id=user_id).values_list("tier__multiplier", flat=True)
    return found.first() or Decimal(1)
