"""A change of who must agree to an action: the next version of its policy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from opsconsole.approvals.defaults import POLICIES
from opsconsole.approvals.models import Policy, SignerKey
from opsconsole.approvals.terms import Terms, slots_from_json
from opsconsole.changes.errors import ChangeRefused, SubjectNotFound
from opsconsole.changes.kinds.base import Described, Granted, Kind
from opsconsole.changes.kinds.fields import (
    MOST_PEOPLE,
    RolesField,
    SlotsField,
    ThresholdsField,
    slots_as_line,
    thresholds_as_lines,
)
from opsconsole.changes.selectors import can_be_filled, people_by_role
from opsconsole.core.actors import Actor
from opsconsole.journal.record import record

SHORTEST: Final = timedelta(minutes=10)
LONGEST: Final = timedelta(days=30)
_OWN_FIELDS = frozenset({"id", "version", "active", "created_at"})


class PolicyFields(serializers.Serializer[Any]):
    """What a policy says."""

    slots = SlotsField(
        label=_("who must agree"), help_text=_("Such as: 1 finance_ops + 1 pay_admin. All of them, different people.")
    )
    executors = RolesField(label=_("who may execute"), allow_empty=False)
    signature_required = serializers.BooleanField(label=_("each approval signed"))
    ttl_hours = serializers.DecimalField(
        label=_("time to live (hours)"), max_digits=6, decimal_places=2, help_text=_("How long a request waits.")
    )
    thresholds = ThresholdsField(
        label=_("thresholds"), help_text=_("A line for each, such as: over 1000000: 2 pay_admin, signed")
    )

    def validate_ttl_hours(self, value: Decimal) -> Decimal:
        """Between ten minutes and thirty days."""
        if not SHORTEST <= timedelta(hours=float(value)) <= LONGEST:
            raise serializers.ValidationError(_("takes ten minutes (0.17) to thirty days (720)"))
        return value


class PolicyChange(Kind):
    """The next version of the policy of an action; requests that are under way keep the terms they have."""

    name = "policy"
    label = _("Change the policy")
    summary = _("Who must agree to an action, who may execute it, and how long a request waits.")
    permission = "changes.request_policy_change"
    fields = PolicyFields
    subject_help = _("The action, such as plan.payout_batch.")
    example_subject = "plan.failover"
    example = {"slots": [{"roles": ["ops"], "count": 1}, {"roles": ["pay_admin"], "count": 2}], "ttl_hours": "24"}  # noqa: RUF012
    edits = True

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The action, if it has a policy."""
        actor.require("approvals.view_policy")
        return _active(subject).action

    def lock(self, subject_id: str) -> None:
        """Lock the version that is in force."""
        Policy.objects.select_for_update(no_key=True).filter(action=subject_id, active=True).first()

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """The version in force beside the next; refuses one that nobody could fill."""
        policy = _active(subject_id)
        new = {**_facts(policy), **_stored(values)}
        self._require_valid(policy, new)
        before, after = _shown(_facts(policy)), _shown(new)
        changed = [name for name in before if before[name] != after[name]]
        return Described(
            subject_kind=Policy._meta.db_table,
            name=policy.action,
            title=f"Policy of {policy.action}, version {policy.version + 1}",
            before={"version": policy.version, **{name: before[name] for name in changed}} if changed else {},
            after={"version": policy.version + 1, **{name: after[name] for name in changed}} if changed else {},
            warnings=_warnings(policy, new),
        )

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Retire the version in force, and put the next in its place."""
        old = _active(subject_id)
        new = {**_facts(old), **_stored(values)}
        kept = {f.name: getattr(old, f.name) for f in Policy._meta.concrete_fields if f.name not in _OWN_FIELDS}
        old.active = False
        old.save(update_fields=["active"])
        policy = Policy.objects.create(**{**kept, **new}, version=old.version + 1)
        record(
            actor,
            "policy.changed",
            policy,
            before={"version": old.version, **_shown(_facts(old))},
            after={"version": policy.version, **_shown(new), **granted.trace},
            reason=granted.reason,
        )
        return ""

    def current(self, subject_id: str) -> dict[str, Any]:
        """As it is in force."""
        policy = _active(subject_id)
        return {
            "slots": slots_as_line(policy.slots),
            "executors": policy.executors,
            "signature_required": policy.signature_required,
            "ttl_hours": _hours(policy.ttl),
            "thresholds": thresholds_as_lines(policy.thresholds),
        }

    def _require_valid(self, policy: Policy, new: Mapping[str, Any]) -> None:
        slots = slots_from_json(new["slots"])
        if sum(slot.count for slot in slots) > MOST_PEOPLE:
            raise ChangeRefused(
                format_lazy(_("At most {count} people can be asked."), count=MOST_PEOPLE),
                errors={"slots": [_("too many people")]},
            )
        measured = bool(POLICIES.get(policy.action, {}).get("thresholds") or policy.thresholds)
        if new["thresholds"] and not measured:
            raise ChangeRefused(
                format_lazy(_("{action} moves no sum that a threshold could be on."), action=policy.action),
                errors={"thresholds": [_("not measured")]},
            )
        for wanted in (new["slots"], *(one.get("slots", []) for one in new["thresholds"])):
            if wanted and not can_be_filled(_terms(policy, {**new, "slots": wanted})):
                raise ChangeRefused(
                    format_lazy(_("There are not enough people in office for {slots}."), slots=slots_as_line(wanted)),
                    errors={"slots": [_("cannot be filled")]},
                )


def _active(action: str) -> Policy:
    policy = Policy.objects.filter(action=action, active=True).first()
    if policy is None:
        raise SubjectNotFound(format_lazy(_("No policy is in force for {action}."), action=action), subject=action)
    return policy


def _facts(policy: Policy) -> dict[str, Any]:
    return {
        "slots": policy.slots,
        "executors": policy.executors,
        "signature_required": policy.signature_required,
        "ttl": policy.ttl,
        "thresholds": policy.thresholds,
    }


def _stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as the table has them."""
    found = dict(values)
    if (hours := found.pop("ttl_hours", None)) is not None:
        found["ttl"] = timedelta(seconds=int(Decimal(hours) * 3600))
    return found


def _shown(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "slots": slots_as_line(facts["slots"]),
        "executors": ", ".join(facts["executors"]),
        "signature_required": facts["signature_required"],
        "ttl_hours": _hours(facts["ttl"]),
        "thresholds": thresholds_as_lines(facts["thresholds"]).replace("\n", "; "),
    }


def _hours(ttl: timedelta) -> str:
    return f"{Decimal(int(ttl.total_seconds())) / 3600:.2f}"


def _terms(policy: Policy, facts: Mapping[str, Any]) -> Terms:
    return Terms(
        action=policy.action,
        version=policy.version,
        slots=slots_from_json(facts["slots"]),
        executors=tuple(facts["executors"]),
        signature_required=facts["signature_required"],
        ttl=facts["ttl"],
    )


def _warnings(policy: Policy, new: Mapping[str, Any]) -> tuple[str, ...]:
    said = []
    old, terms = _terms(policy, _facts(policy)), _terms(policy, new)
    if terms.quorum < old.quorum:
        said.append(f"Fewer people must agree than before: {terms.quorum} instead of {old.quorum}.")
    if old.signature_required and not terms.signature_required:
        said.append("Approvals need no signature any more.")
    if policy.thresholds and len(new["thresholds"]) < len(policy.thresholds):
        said.append("A threshold falls away.")
    people = people_by_role(frozenset(terms.roles))
    if terms.signature_required:
        signers = set(
            SignerKey.objects.filter(revoked_at=None, user__in=[UUID(person) for person in people]).values_list(
                "user_id", flat=True
            )
        )
        unsigned = frozenset(person for person in people if person not in {str(one) for one in signers})
        if not can_be_filled(terms, without=unsigned):
            said.append("Not enough of these people have a signer key in use: nobody could complete such a request.")
    if any(not can_be_filled(terms, without=frozenset({person})) for person in people):
        said.append("There is nobody to spare: somebody who asks, or is away, leaves a slot that nobody can fill.")
    return tuple(said)
