"""Approvals as the API reads and shows them."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from opsconsole.approvals import selectors
from opsconsole.approvals.errors import SignatureInvalid
from opsconsole.approvals.models import Decision, Request, Review, ReviewAnswer, SignerKey
from opsconsole.approvals.passkeys import Assertion
from opsconsole.approvals.quorum import Quorum
from opsconsole.approvals.states import ReviewVerdict
from opsconsole.core.models import User
from opsconsole.core.texts import english

MAX_COMMENT = 4000


class JSONBoolean(serializers.BooleanField):
    """`true` or `false` and nothing that might be meant by either: it decides about money."""

    def to_internal_value(self, data: Any) -> bool:
        """The boolean; anything else is invalid."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class AuthenticatorResponseSerializer(serializers.Serializer[dict[str, Any]]):
    """What the authenticator made, each in base64url without padding."""

    client_data_json = serializers.CharField(max_length=8000)
    authenticator_data = serializers.CharField(max_length=4000)
    signature = serializers.CharField(max_length=2000)


@extend_schema_serializer(component_name="PasskeyAssertion")
class PasskeySerializer(serializers.Serializer[dict[str, Any]]):
    """`PublicKeyCredential.toJSON()` of an assertion whose challenge is the SHA-256 of `signing_text`.

    What else stands in it is not looked at.
    """

    id = serializers.CharField(max_length=1400, help_text="The `credential_id` of one's signer key.")
    response = AuthenticatorResponseSerializer()


@extend_schema_serializer(component_name="ApprovalVerdict")
class VerdictSerializer(serializers.Serializer[dict[str, Any]]):
    """A verdict; `approved: false` rejects and ends the request."""

    approved = JSONBoolean()
    comments = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=MAX_COMMENT, help_text="Mandatory in a rejection."
    )
    signature = serializers.CharField(
        required=False,
        allow_blank=True,
        allow_null=True,
        default="",
        max_length=200,
        help_text="Base64 of an Ed25519 signature over `signing_text`.",
    )
    passkey = PasskeySerializer(required=False, allow_null=True, default=None, help_text="In place of `signature`.")


@extend_schema_serializer(component_name="ApprovalComments")
class CommentsSerializer(serializers.Serializer[dict[str, Any]]):
    """A word on it."""

    comments = serializers.CharField(required=False, allow_blank=True, default="", max_length=MAX_COMMENT)


@extend_schema_serializer(component_name="ApprovalSlot")
class SlotSerializer(serializers.Serializer[dict[str, Any]]):
    """`count` different people who each hold one of `roles`."""

    roles = serializers.ListField(child=serializers.CharField())
    count = serializers.IntegerField()


@extend_schema_serializer(component_name="ApprovalSeat")
class SeatSerializer(serializers.Serializer[dict[str, Any]]):
    """A place that is filled."""

    roles = serializers.ListField(child=serializers.CharField(), help_text="The roles that could fill it.")
    role = serializers.CharField(help_text="The role by which it is filled.")
    user = serializers.CharField()


@extend_schema_serializer(component_name="ApprovalSlots")
class SlotsSerializer(serializers.Serializer[dict[str, Any]]):
    """Who counts, and who is still needed."""

    filled = SeatSerializer(many=True)
    open = SlotSerializer(many=True)


@extend_schema_serializer(component_name="ApprovalDecision")
class DecisionSerializer(serializers.ModelSerializer[Decision]):
    """What somebody said."""

    user = serializers.CharField(source="user.username")
    comments = serializers.CharField(source="reason")
    signer_key = serializers.CharField(
        source="signer_key.fingerprint", default=None, allow_null=True, help_text="Fingerprint of the key."
    )
    assertion = serializers.DictField(
        child=serializers.JSONField(), allow_null=True, read_only=True, help_text="A passkey's, as it was sent."
    )
    revokes = serializers.UUIDField(source="revokes_id", allow_null=True)
    objection = serializers.SerializerMethodField(help_text="Why an approval that was not revoked does not count.")

    class Meta:
        model = Decision
        fields = (
            "id",
            "user",
            "kind",
            "comments",
            "digest",
            "signed",
            "signature",
            "assertion",
            "signer_key",
            "nth",
            "revokes",
            "objection",
            "at",
        )
        read_only_fields = fields

    def get_objection(self, decision: Decision) -> str:
        """Empty for everything else."""
        return english(cast(selectors.Tally, self.context["tally"]).objections.get(decision.pk, ""))


@extend_schema_serializer(component_name="ApprovalRequest")
class RequestSerializer(serializers.ModelSerializer[Request]):
    """An approval request in a list."""

    requested_by = serializers.CharField(source="requested_by.username")
    required_approvals = serializers.IntegerField(source="policy.required_approvals")
    signature_required = serializers.BooleanField(source="policy.signature_required")

    class Meta:
        model = Request
        fields: tuple[str, ...] = (
            "id",
            "action",
            "subject_kind",
            "subject_id",
            "title",
            "status",
            "digest",
            "requested_by",
            "required_approvals",
            "signature_required",
            "created_at",
            "expires_at",
            "decided_at",
            "ended_at",
        )
        read_only_fields = fields


@extend_schema_serializer(component_name="ApprovalRequestDetail")
class RequestDetailSerializer(RequestSerializer):
    """One request with what is approved, who has agreed, and the text to sign; takes `actor` in its context."""

    editors = serializers.SerializerMethodField(help_text="Who had a hand in the content and cannot approve it.")
    signing_text = serializers.SerializerMethodField(help_text="The exact text the caller signs to approve.")
    complete = serializers.SerializerMethodField()
    slots = serializers.SerializerMethodField()
    decisions = serializers.SerializerMethodField()

    class Meta(RequestSerializer.Meta):
        fields = (
            *RequestSerializer.Meta.fields,
            "content",
            "policy",
            "editors",
            "signing_text",
            "complete",
            "slots",
            "decisions",
        )
        read_only_fields = fields

    @cached_property
    def tally(self) -> selectors.Tally:
        """Counted once for the one request this shows."""
        return selectors.tally(cast(Request, self.instance))

    @cached_property
    def quorum(self) -> Quorum:
        """The places filled and open."""
        return self.tally.quorum

    def get_editors(self, request: Request) -> list[str]:
        """User names, sorted."""
        return sorted(User.objects.filter(pk__in=request.editors).values_list("username", flat=True))

    def get_signing_text(self, request: Request) -> str:
        """Lines that end in LF, the last one too."""
        return selectors.text_to_sign(request, self.context["actor"])

    def get_complete(self, _request: Request) -> bool:
        """Whether everybody who must agree has agreed, counted now."""
        return self.quorum.complete

    @extend_schema_field(SlotsSerializer)
    def get_slots(self, _request: Request) -> dict[str, Any]:
        """Counted now."""
        names = {str(decision.user_id): decision.user.username for decision in self.tally.standing}
        filled = [
            {"roles": list(seat.slot.roles), "role": seat.role, "user": names[seat.person]}
            for seat in self.quorum.filled
        ]
        return {"filled": filled, "open": [{"roles": list(s.roles), "count": s.count} for s in self.quorum.open]}

    @extend_schema_field(DecisionSerializer(many=True))
    def get_decisions(self, request: Request) -> Any:
        """Oldest first."""
        history = selectors.history(request)
        return DecisionSerializer(history, many=True, context={"tally": self.tally}).data


class SignerKeySerializer(serializers.ModelSerializer[SignerKey]):
    """A public key by which the caller's signatures are known."""

    class Meta:
        model = SignerKey
        fields = (
            "id",
            "name",
            "kind",
            "public_key",
            "fingerprint",
            "credential_id",
            "rp_id",
            "created_at",
            "revoked_at",
        )
        read_only_fields = fields


def signature_in(said: dict[str, Any]) -> str | Assertion:
    """The signature that came with a verdict, made by either kind of key; the empty string for none.

    Raises SignatureInvalid for a malformed passkey, and for two signatures where one person signs once.
    """
    if not said.get("passkey"):
        return said["signature"] or ""
    if said["signature"]:
        raise SignatureInvalid(_("Sign with a key or with a passkey, not with both."))
    return Assertion.parse(said["passkey"])


@extend_schema_serializer(component_name="ReviewVerdictGiven")
class ReviewAnswerSerializer(serializers.Serializer[dict[str, Any]]):
    """What a reviewer says."""

    verdict = serializers.ChoiceField(ReviewVerdict.choices)
    comment = serializers.CharField(max_length=MAX_COMMENT, help_text="What was looked at, and what came of it.")


@extend_schema_serializer(component_name="ReviewAnswer")
class ReviewSaidSerializer(serializers.ModelSerializer[ReviewAnswer]):
    """What one reviewer said."""

    user = serializers.CharField(source="user.username")

    class Meta:
        model = ReviewAnswer
        fields = ("user", "verdict", "comment", "at")
        read_only_fields = fields


@extend_schema_serializer(component_name="Review")
class ReviewSerializer(serializers.ModelSerializer[Review]):
    """A look after the fact, by `needed` people who had no part in what was done."""

    facts = serializers.DictField(help_text="The run, the incident and the reason that were given.")
    roles = serializers.ListField(child=serializers.CharField(), help_text="Who may answer.")
    answers = ReviewSaidSerializer(many=True)

    class Meta:
        model = Review
        fields = (
            "id",
            "cause",
            "subject_kind",
            "subject_id",
            "title",
            "status",
            "facts",
            "roles",
            "needed",
            "answers",
            "opened_by",
            "opened_at",
            "due_at",
            "ended_at",
        )
        read_only_fields = fields
