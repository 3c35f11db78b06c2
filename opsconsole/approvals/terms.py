"""The terms of one request: a policy with its thresholds and the requester's wish applied, frozen for good.

Thresholds and `required_approvals` only ever raise what the policy asks for. The terms are part of what is digested
and of the request, so a policy that changes later changes nothing that is under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Self

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.errors import MeasureMissing
from opsconsole.approvals.quorum import Slot
from opsconsole.core.errors import Invalid

MOST_APPROVALS = 20
ANY_CURRENCY_SUM = "any_currency_sum"  # the measure: the largest sum in one currency


@dataclass(frozen=True, slots=True)
class Threshold:
    """Above `over` of the measure `of`, these slots are needed too, and perhaps signatures."""

    of: str
    over: Decimal
    slots: tuple[Slot, ...]
    signature_required: bool

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """From the form a policy stores: `{"of", "over", "slots", "signature_required"}`."""
        return cls(
            of=value["of"],
            over=Decimal(value["over"]),
            slots=slots_from_json(value.get("slots", [])),
            signature_required=bool(value.get("signature_required", False)),
        )

    def passed_by(self, measures: Mapping[str, Decimal]) -> bool:
        """Whether the measure lies above it; raises MeasureMissing when nothing, or no number, was measured."""
        value = measures.get(self.of)
        if value is None or not value.is_finite():
            raise MeasureMissing(
                format_lazy(_("The policy has a threshold on {measure}, which was not measured."), measure=self.of),
                measure=self.of,
            )
        return value > self.over


@dataclass(frozen=True, slots=True)
class Terms:
    """What it takes to approve one request, and who may carry it out afterwards."""

    action: str
    version: int
    slots: tuple[Slot, ...]
    executors: tuple[str, ...]
    signature_required: bool
    ttl: timedelta
    requester_may_approve: bool = False
    reviewers: int = 0
    passed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.slots or self.ttl <= timedelta():
            raise ValueError(f"the policy of {self.action} asks nobody, or gives no time")
        object.__setattr__(self, "slots", _summed(self.slots))

    @property
    def quorum(self) -> int:
        """How many people must agree."""
        return sum(slot.count for slot in self.slots)

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that can fill a slot."""
        return tuple(sorted({role for slot in self.slots for role in slot.roles}))

    def under(self, thresholds: Iterable[Threshold], measures: Mapping[str, Decimal]) -> Self:
        """These terms with every threshold applied that the measures pass."""
        terms = self
        for threshold in thresholds:
            if threshold.passed_by(measures):
                terms = replace(
                    terms,
                    slots=_at_least(terms.slots, threshold.slots),
                    signature_required=terms.signature_required or threshold.signature_required,
                    passed=(*terms.passed, f"{threshold.of} over {threshold.over:f}"),
                )
        return terms

    def raised_to(self, required_approvals: int | None) -> Self:
        """These terms with slots for any of their roles until so many people are needed; never fewer."""
        if required_approvals is None or required_approvals <= self.quorum:
            return self
        if required_approvals > MOST_APPROVALS:
            raise Invalid(
                format_lazy(_("At most {count} approvals can be asked for."), count=MOST_APPROVALS),
                errors={"required_approvals": [_("too many")]},
            )
        extra = Slot(self.roles, required_approvals - self.quorum)
        return replace(self, slots=(*self.slots, extra))

    def as_json(self) -> dict[str, Any]:
        """The snapshot that the request keeps and the digest covers."""
        return {
            "action": self.action,
            "version": self.version,
            "slots": [{"roles": list(slot.roles), "count": slot.count} for slot in self.slots],
            "roles": list(self.roles),
            "executors": list(self.executors),
            "signature_required": self.signature_required,
            "ttl_seconds": int(self.ttl.total_seconds()),
            "requester_may_approve": self.requester_may_approve,
            "required_approvals": self.quorum,
            "reviewers": self.reviewers,
            "thresholds_passed": list(self.passed),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The terms out of a request's snapshot."""
        return cls(
            action=value["action"],
            version=value["version"],
            slots=slots_from_json(value["slots"]),
            executors=tuple(value["executors"]),
            signature_required=value["signature_required"],
            ttl=timedelta(seconds=value["ttl_seconds"]),
            requester_may_approve=value["requester_may_approve"],
            reviewers=value.get("reviewers", 0),  # requests opened before there were reviews do not say
            passed=tuple(value["thresholds_passed"]),
        )


def slots_from_json(value: Sequence[Mapping[str, Any]]) -> tuple[Slot, ...]:
    """Slots out of `[{"roles": [...], "count": n}, ...]`; raises ValueError for one that asks nobody."""
    return _summed(Slot(tuple(item["roles"]), item["count"]) for item in value)


def _summed(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    """One slot for each set of roles, in the order they first stand."""
    counts: dict[tuple[str, ...], int] = {}
    for slot in slots:
        counts[slot.roles] = counts.get(slot.roles, 0) + slot.count
    return tuple(Slot(roles, number) for roles, number in counts.items())


def _at_least(slots: Sequence[Slot], wanted: Sequence[Slot]) -> tuple[Slot, ...]:
    """The slots, each raised to the wanted count for the same roles; those for other roles are added."""
    counts = {slot.roles: slot.count for slot in slots}
    for slot in wanted:
        counts[slot.roles] = max(counts.get(slot.roles, 0), slot.count)
    return tuple(Slot(roles, number) for roles, number in counts.items())
