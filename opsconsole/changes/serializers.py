"""Changes as the API reads and shows them."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from opsconsole.approvals.models import Request
from opsconsole.approvals.selectors import tally, text_to_sign
from opsconsole.approvals.serializers import PasskeySerializer, SlotsSerializer
from opsconsole.changes.kinds.base import Kind, kind_named
from opsconsole.changes.models import Change
from opsconsole.changes.selectors import request_of
from opsconsole.changes.services.requests import MAX_REASON
from opsconsole.core.actors import Actor
from opsconsole.core.texts import english


class ChangeSerializer(serializers.ModelSerializer[Change]):
    """A change in a list."""

    requested_by = serializers.CharField(source="requested_by.username")

    class Meta:
        model = Change
        fields: tuple[str, ...] = (
            "id",
            "kind",
            "title",
            "subject_kind",
            "subject_id",
            "subject_name",
            "status",
            "failure",
            "reason",
            "requested_by",
            "created_at",
            "ended_at",
        )
        read_only_fields = fields


class ChangeDetailSerializer(ChangeSerializer):
    """One change: what was, what would be, and who is still needed; takes `actor` in its context."""

    before = serializers.JSONField(help_text="The fields that change, as they were when it was asked for.")
    after = serializers.JSONField(help_text="The same fields, as they will be. A secret is shown by its fingerprint.")
    warnings = serializers.ListField(child=serializers.CharField())
    advice = serializers.SerializerMethodField(help_text="What approvers do before they agree, besides reading it.")
    approval_id = serializers.SerializerMethodField(help_text="The approval request of the change.")
    signing_text = serializers.SerializerMethodField(help_text="The exact text the caller signs to approve.")
    slots = serializers.SerializerMethodField()

    class Meta(ChangeSerializer.Meta):
        fields = (
            *ChangeSerializer.Meta.fields,
            "digest",
            "before",
            "after",
            "warnings",
            "advice",
            "approval_id",
            "signing_text",
            "slots",
        )
        read_only_fields = fields

    @cached_property
    def asked(self) -> Request | None:
        """The approval request of the one change this shows."""
        return request_of(cast(Change, self.instance))

    def get_advice(self, change: Change) -> str:
        """Empty where reading it is enough."""
        return english(kind_named(change.kind).advice)

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_approval_id(self, _change: Change) -> str | None:
        """Its id."""
        request = self.asked
        return str(request.pk) if request else None

    def get_signing_text(self, _change: Change) -> str:
        """Lines that end in LF, the last one too."""
        request = self.asked
        return text_to_sign(request, cast(Actor, self.context["actor"])) if request else ""

    @extend_schema_field(SlotsSerializer)
    def get_slots(self, _change: Change) -> dict[str, Any]:
        """Counted now."""
        request = self.asked
        if request is None:
            return {"filled": [], "open": []}
        counted = tally(request)
        names = {str(decision.user_id): decision.user.username for decision in counted.standing}
        return {
            "filled": [
                {"roles": list(seat.slot.roles), "role": seat.role, "user": names[seat.person]}
                for seat in counted.quorum.filled
            ],
            "open": [{"roles": list(slot.roles), "count": slot.count} for slot in counted.quorum.open],
        }


class AppliedChangeSerializer(ChangeDetailSerializer):
    """A change that was applied, with what only the caller may see of it."""

    token = serializers.CharField(
        required=False, help_text="For a change of the kind `token`: the token, the only time it can be seen."
    )

    class Meta(ChangeDetailSerializer.Meta):
        fields = (*ChangeDetailSerializer.Meta.fields, "token")
        read_only_fields = fields


class ChangeDraftSerializer(serializers.Serializer[Any]):
    """What somebody wants changed."""

    kind = serializers.CharField(max_length=40, help_text="One of `GET /api/change-kinds`.")
    subject = serializers.CharField(
        max_length=300, required=False, allow_blank=True, default="", help_text="The record, as the kind names it."
    )
    payload = serializers.DictField(help_text="The fields of the kind; those left out of an edit stay as they are.")
    reason = serializers.CharField(max_length=MAX_REASON)


class ChangeVerdictSerializer(serializers.Serializer[Any]):
    """An approval."""

    digest = serializers.RegexField(
        r"^[0-9a-f]{64}\Z", required=False, allow_null=True, default=None, help_text="What the caller has seen."
    )
    signature = serializers.CharField(required=False, allow_blank=True, default="", max_length=200)
    passkey = PasskeySerializer(required=False, allow_null=True, default=None, help_text="In place of `signature`.")
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=4000)


class ChangeReasonSerializer(serializers.Serializer[Any]):
    """Why."""

    reason = serializers.CharField(max_length=MAX_REASON)


class KindSerializer(serializers.Serializer[Kind]):
    """A kind of change, with an example of its payload and who must agree."""

    name = serializers.CharField()
    label = serializers.SerializerMethodField()  # type: ignore[assignment] # a member of the form, not the field's own
    summary = serializers.SerializerMethodField()
    subject = serializers.SerializerMethodField(help_text="How the record is named; empty where it is new.")
    edits = serializers.BooleanField(help_text="The record is there; fields that are left out stay as they are.")
    permission = serializers.CharField(help_text="What the one who asks must hold.")
    action = serializers.CharField(help_text="The action whose policy says who must agree.")
    members = serializers.SerializerMethodField()
    example = serializers.SerializerMethodField(help_text="A body for `POST /api/changes`.")

    def get_label(self, kind: Kind) -> str:
        """In a few words."""
        return str(kind.label)

    def get_summary(self, kind: Kind) -> str:
        """In a sentence."""
        return str(kind.summary)

    def get_subject(self, kind: Kind) -> str:
        """In a sentence."""
        return str(kind.subject_help)

    @extend_schema_field(
        serializers.ListField(child=serializers.DictField(child=serializers.CharField(allow_blank=True)))
    )
    def get_members(self, kind: Kind) -> list[dict[str, str]]:
        """The fields of the payload."""
        return [
            {
                "name": name,
                "meaning": str(field.label or name),
                "help": str(field.help_text or ""),
                "presence": "required" if field.required and not kind.edits else "optional",
                "secret": "yes" if name in kind.secret_fields else "no",
            }
            for name, field in kind.fields().fields.items()
        ]

    @extend_schema_field(serializers.DictField())
    def get_example(self, kind: Kind) -> dict[str, Any]:
        """With a reason."""
        return {
            "kind": kind.name,
            "subject": kind.example_subject,
            "payload": kind.example,
            "reason": "agreed with the bank, ticket OPS-1234",
        }


class KindsSerializer(serializers.Serializer[Any]):
    """All kinds."""

    results = KindSerializer(many=True)
