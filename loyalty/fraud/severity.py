"""How far a hit is over the limits of its rule: what is looked at first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import F, FloatField, Q, TextChoices
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Greatest
from django.utils.translation import pgettext_lazy

from loyalty.fraud.patterns import PATTERNS, Measure
from loyalty.models import FraudRule
from opsconsole.journal.selectors import entries_of

MEDIUM_FROM: Final = 2.0  # times the limit
HIGH_FROM: Final = 5.0


class Severity(TextChoices):
    """How far over the limit, in three words."""

    LOW = "low", pgettext_lazy("how far a fraud hit is over the limit", "low")
    MEDIUM = "medium", pgettext_lazy("how far a fraud hit is over the limit", "medium")
    HIGH = "high", pgettext_lazy("how far a fraud hit is over the limit", "high")

    @classmethod
    def of(cls, over: float) -> Severity:
        """The severity of so many times the limit."""
        if over >= HIGH_FROM:
            return cls.HIGH
        return cls.MEDIUM if over >= MEDIUM_FROM else cls.LOW


@dataclass(frozen=True, slots=True)
class Excess:
    """What a rule measured of a member, and its limit."""

    measure: Measure
    found: float
    limit: float

    @property
    def over(self) -> float:
        """How many times the limit."""
        return self.found / self.limit


def excesses(kind: str, facts: Mapping[str, Any], limits: Mapping[str, int]) -> list[Excess]:
    """The numbers of a hit against the limits, the furthest over first; none where the facts were erased."""
    found = [
        Excess(measure, float(facts[measure.fact]), float(limits[measure.limit]))
        for measure in PATTERNS[kind].measures
        if measure.fact in facts
    ]
    return sorted(found, key=lambda one: -one.over)


def times_over() -> Combinable:
    """The same as an expression over hits: how many times the limit that the rule has today, null where unknown."""
    pairs = {(one.fact, one.limit) for pattern in PATTERNS.values() for one in pattern.measures}
    # A rule has only the limits of its own kind: the other quotients are null, which greatest() leaves out.
    quotients = [
        Cast(KeyTextTransform(fact, "facts"), FloatField())
        / Cast(KeyTextTransform(limit, F("rule__limits")), FloatField())
        for fact, limit in sorted(pairs)
    ]
    return Greatest(*quotients, output_field=FloatField())


def within(severity: Severity) -> Q:
    """Hits of this severity, over rows that have `over`."""
    if severity is Severity.HIGH:
        return Q(over__gte=HIGH_FROM)
    if severity is Severity.MEDIUM:
        return Q(over__gte=MEDIUM_FROM, over__lt=HIGH_FROM)
    return Q(over__lt=MEDIUM_FROM)


def limits_then(rule: FraudRule, version: int) -> Mapping[str, int]:
    """The limits of an earlier version of a rule, which the journal knows."""
    today: Mapping[str, int] = rule.limits
    if version == rule.version:
        return today
    for change in entries_of(rule).filter(verb="fraud_rule.changed").order_by("at", "seq"):
        before = change.content["before"]
        if before["version"] >= version and "limits" in before:
            limits: Mapping[str, int] = before["limits"]
            return limits
    return today
