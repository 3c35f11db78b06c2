"""Fields that several kinds of change have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from opsconsole.approvals.terms import ANY_CURRENCY_SUM
from opsconsole.core.roles import ROLES

_SLOT = re.compile(r"([0-9]{1,2})\s+(\w+(?:\s*(?:\bor\b|,|/)\s*\w+)*)", re.ASCII)
_EITHER = re.compile(r"\s*(?:\bor\b|,|/)\s*")
_LINE = re.compile(r"over\s+([0-9.]{1,20})\s*:\s*(.*?)\s*(,\s*signed)?", re.ASCII)
MOST_PEOPLE = 20
MOST_THRESHOLDS = 10


class PlainText(serializers.CharField):
    """One line of text without control characters."""

    def to_internal_value(self, data: Any) -> str:
        """The text; raises ValidationError."""
        text = super().to_internal_value(data)
        if not text.isprintable():
            raise serializers.ValidationError(_("holds a control character"))
        return text


class RolesField(serializers.ListField):
    """Names of roles, each once, in the order of their names."""

    child = serializers.ChoiceField(choices=sorted(ROLES))

    def to_internal_value(self, data: Any) -> list[str]:
        """The roles; raises ValidationError for one that does not exist."""
        return sorted(set(super().to_internal_value(data)))


class SlotsField(serializers.Field[Any, Any, Any, Any]):
    """Who must agree: `[{"roles": [...], "count": n}]`, or as people write it, `1 ops or finance_ops + 1 pay_admin`."""

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        """The slots; raises ValidationError for a role that does not exist or a count that makes no sense."""
        slots = _from_text(data) if isinstance(data, str) else data
        if not isinstance(slots, list) or not slots:
            raise serializers.ValidationError(_("takes at least one slot, such as: 1 finance_ops + 1 pay_admin"))
        return [_slot(slot) for slot in slots]

    def to_representation(self, value: Any) -> Any:
        """As it is stored."""
        return value


class ThresholdsField(serializers.Field[Any, Any, Any, Any]):
    """What is needed above a sum: `[{"of", "over", "slots", "signature_required"}]`, or a line for each.

    A line reads `over 1000000: 2 pay_admin, signed`.
    """

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        """The thresholds; raises ValidationError."""
        given = [_threshold_of(line) for line in data.splitlines() if line.strip()] if isinstance(data, str) else data
        if not isinstance(given, list) or len(given) > MOST_THRESHOLDS:
            raise serializers.ValidationError(format_lazy(_("takes at most {count} thresholds"), count=MOST_THRESHOLDS))
        return [_threshold(one) for one in given]

    def to_representation(self, value: Any) -> Any:
        """As it is stored."""
        return value


def thresholds_as_lines(thresholds: Sequence[Any]) -> str:
    """Thresholds as people write them."""
    return "\n".join(
        f"over {one['over']}: {slots_as_line(one.get('slots', []))}"
        f"{', signed' if one.get('signature_required') else ''}"
        for one in thresholds
    )


def slots_as_line(slots: Sequence[Any]) -> str:
    """Slots as people write them."""
    return " + ".join(f"{slot['count']} {' or '.join(slot['roles'])}" for slot in slots)


def _from_text(text: str) -> list[dict[str, Any]]:
    found = []
    for part in re.split(r"\s*\+\s*|\s+and\s+", text.strip()):
        match = _SLOT.fullmatch(part)
        if match is None:
            raise serializers.ValidationError(
                format_lazy(_("{text} is no slot; one is written as: 1 ops or finance_ops"), text=repr(part))
            )
        found.append({"count": int(match[1]), "roles": _EITHER.split(match[2])})
    return found


def _slot(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != {"roles", "count"}:
        raise serializers.ValidationError(_("a slot has roles and a count"))
    count, roles = value["count"], value["roles"]
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_PEOPLE:
        raise serializers.ValidationError(format_lazy(_("a slot takes 1 to {most} people"), most=MOST_PEOPLE))
    if not isinstance(roles, list) or not roles or not all(isinstance(role, str) for role in roles):
        raise serializers.ValidationError(_("a slot names at least one role"))
    if unknown := sorted(set(roles) - ROLES.keys()):
        raise serializers.ValidationError(format_lazy(_("there is no role {roles}"), roles=", ".join(unknown)))
    if mute := sorted(role for role in roles if "approvals.decide_request" not in ROLES[role]):
        raise serializers.ValidationError(format_lazy(_("{roles} may not decide on requests"), roles=", ".join(mute)))
    return {"roles": sorted(set(roles)), "count": count}


def _threshold_of(line: str) -> dict[str, Any]:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise serializers.ValidationError(
            format_lazy(_("{text} does not read like: over 1000000: 2 pay_admin, signed"), text=repr(line.strip()))
        )
    return {"of": ANY_CURRENCY_SUM, "over": match[1], "slots": match[2], "signature_required": bool(match[3])}


def _threshold(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not {"of", "over"} <= set(value) <= {"of", "over", "slots", "signature_required"}:
        raise serializers.ValidationError(_("a threshold has of, over, slots and signature_required"))
    if value["of"] != ANY_CURRENCY_SUM:
        raise serializers.ValidationError(format_lazy(_("what is measured is {measure}"), measure=ANY_CURRENCY_SUM))
    over = serializers.DecimalField(max_digits=18, decimal_places=2, min_value=Decimal(0)).run_validation(value["over"])
    signed = serializers.BooleanField().run_validation(value.get("signature_required", False))
    slots = SlotsField().to_internal_value(value["slots"]) if value.get("slots") else []
    if not slots and not signed:
        raise serializers.ValidationError(_("a threshold asks for people, or for signatures"))
    return {"of": ANY_CURRENCY_SUM, "over": f"{over:f}", "slots": slots, "signature_required": signed}
