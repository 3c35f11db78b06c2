"""How many points a purchase earns: the program's rate, its rules, and the member's tier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from functools import cache
from math import prod
from typing import Final
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from loyalty.errors import ProgramNotFound
from loyalty.ledger import Cap
from loyalty.models import Program, Rule
from loyalty.states import RuleKind
from opsconsole.core.database import one_row


@dataclass(frozen=True, slots=True)
class Terms:
    """What a member earns for a unit spent now, and the caps that hold for it."""

    rate: Decimal
    caps: tuple[Cap, ...]

    def points_for(self, spent: Decimal) -> int:
        """The points of a purchase before caps: cut to whole points."""
        return int((spent * self.rate).to_integral_value(rounding=ROUND_FLOOR))


# One look for what every purchase needs. The rules that hold are those of the database's time of this transaction.
_TERMS: Final = f"""
    with held as not materialized (
      select r.* from loyalty_rules r
      where r.program_id = %s and r.active
        and (r.starts_at is null or r.starts_at <= now()) and (r.ends_at is null or r.ends_at > now()))
    select p.earn_rate,
      array(select r.multiplier from held r where r.kind = '{RuleKind.MULTIPLIER.value}'),
      (select t.multiplier from loyalty_balances b join loyalty_tiers t on t.id = b.tier_id
        where b.program_id = p.id and b.user_id = %s),
      array(select r.cap_points from held r where r.kind = '{RuleKind.CAP.value}' order by r.id),
      array(select now() - make_interval(days => r.period_days) from held r
        where r.kind = '{RuleKind.CAP.value}' order by r.id)
    from loyalty_programs p
    where p.id = %s"""


def terms_of(program_id: UUID, user_id: str) -> Terms:
    """The program's rate x its rules' multipliers x the member's tier's; raises ProgramNotFound."""
    found = one_row(_TERMS, [program_id, user_id, program_id])
    if found is None:
        raise ProgramNotFound(_("There is no such program."), program=str(program_id))
    rate, multipliers, tier, caps, since = found
    return Terms(prod(multipliers, start=rate * (tier or 1)), tuple(map(Cap, caps, since)))


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
