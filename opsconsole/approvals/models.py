"""Who must agree, what they are asked, what they said, and the keys they sign with."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.states import (
    LIVE,
    WAITING_REVIEWS,
    DecisionKind,
    RequestState,
    ReviewCause,
    ReviewState,
    ReviewVerdict,
)
from opsconsole.approvals.terms import Terms
from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States


class Policy(Uuid7Model):
    """Who must agree to an action. A row is never edited: a new version takes the place of the active one.

    `slots` is `[{"roles": [...], "count": n}, ...]`, all of which must be filled; `thresholds` is
    `[{"of": measure, "over": "1000000", "slots": [...], "signature_required": true}, ...]`.
    """

    action = models.TextField()
    version = models.PositiveIntegerField(default=1)
    active = models.BooleanField(default=True)
    slots = models.JSONField()
    executors = models.JSONField()
    thresholds = models.JSONField(default=list, blank=True)
    signature_required = models.BooleanField(default=False)
    ttl = models.DurationField("time to live")
    requester_may_approve = models.BooleanField(default=False)
    reviewers = models.PositiveSmallIntegerField(default=0, db_default=0)  # how many look at it afterwards
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "approvals_policies"
        verbose_name = _("policy")
        verbose_name_plural = _("policies")
        default_permissions = ("view",)
        permissions = [("change_policy", "Can change an approval policy")]
        constraints = [
            models.UniqueConstraint(fields=["action"], condition=Q(active=True), name="policy_one_active"),
            models.UniqueConstraint(fields=["action", "version"], name="policy_version_once"),
            models.CheckConstraint(condition=Q(ttl__gte=timedelta(seconds=1)), name="policy_gives_time"),
            models.CheckConstraint(
                condition=Q(requester_may_approve=False) | ~Q(action__startswith="plan."),
                name="policy_plans_need_others",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} v{self.version}"


class Request(Stateful, Uuid7Model):
    """One thing that people are asked to agree to, bound to the digest of its full content."""

    states: ClassVar[type[States]] = RequestState

    action = models.TextField()
    subject_kind = models.TextField()
    subject_id = models.TextField()
    title = models.TextField()
    digest = models.TextField()
    content = models.JSONField()
    policy = models.JSONField()  # the terms as they were when it was opened; see terms.Terms
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    editors = models.JSONField(default=list)  # ids of users who had a hand in the content and never count
    status = models.TextField(choices=RequestState.choices, default=RequestState.PENDING)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)  # first approved, or rejected
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "approvals_requests"
        verbose_name = _("approval request")
        verbose_name_plural = _("approval requests")
        default_permissions = ("view",)
        permissions = [("decide_request", "Can decide on an approval request")]
        constraints = [
            models.UniqueConstraint(
                fields=["subject_kind", "subject_id", "action"],
                condition=Q(status__in=LIVE),
                name="request_one_live",
            ),
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="request_digest_is_sha256"),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="requests_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="requests_by_status"),
            models.Index(fields=["action", "-created_at", "-id"], name="requests_by_action"),
            models.Index(fields=["action", "created_at"], condition=Q(status="pending"), name="requests_waiting"),
            models.Index(fields=["expires_at"], condition=Q(status__in=LIVE), name="requests_to_expire"),
            models.Index(fields=["subject_kind", "subject_id", "-created_at"], name="requests_by_subject"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def terms(self) -> Terms:
        """What it takes to approve this, and who may carry it out."""
        return Terms.from_json(self.policy)

    @property
    def executors(self) -> tuple[str, ...]:
        """The roles that may carry it out."""
        return self.terms.executors

    @property
    def barred(self) -> frozenset[str]:
        """Ids of the users whose approval never counts here; nobody agrees with themselves alone."""
        counts = self.policy["requester_may_approve"] and self.policy["required_approvals"] > 1
        requester = () if counts else (str(self.requested_by_id),)
        return frozenset((*requester, *self.editors))


class KeyKind(models.TextChoices):
    """The two ways to sign: with a key file and openssl, or with an authenticator in the browser."""

    ED25519 = "ed25519", _("Ed25519 key")
    PASSKEY = "passkey", _("passkey")


class SignerKey(Uuid7Model):
    """A public key by which a person's signatures are known: Ed25519, or that of a WebAuthn passkey."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="signer_keys")
    name = models.TextField()
    kind = models.TextField(choices=KeyKind.choices, default=KeyKind.ED25519)
    public_key = models.TextField()  # base64 of the 32 bytes, or of a passkey's COSE key
    fingerprint = models.TextField(unique=True)
    credential_id = models.TextField(null=True, blank=True, unique=True)  # a passkey's own, base64url
    rp_id = models.TextField(default="", blank=True)  # the relying party that a passkey was made for
    sign_count = models.BigIntegerField(default=0)  # a passkey's, as it last signed; it never goes back
    created_at = models.DateTimeField(db_default=Now())
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "approvals_signer_keys"
        verbose_name = _("signer key")
        verbose_name_plural = _("signer keys")
        default_permissions = ("view",)
        permissions = [("register_signerkey", "Can register a signer key of their own")]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=KeyKind.ED25519, credential_id=None, rp_id="", sign_count=0)
                | (Q(kind=KeyKind.PASSKEY, credential_id__isnull=False, sign_count__gte=0) & ~Q(rp_id="")),
                name="signer_key_is_of_its_kind",
            )
        ]
        indexes = [models.Index(fields=["user"], condition=Q(revoked_at=None), name="signer_keys_in_use")]

    def __str__(self) -> str:
        return self.name


class Decision(Uuid7Model):
    """What one person said to a request; a row stays as it is for good."""

    request = models.ForeignKey(Request, on_delete=models.PROTECT, related_name="decisions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    kind = models.TextField(choices=DecisionKind.choices)
    digest = models.TextField()
    reason = models.TextField(default="", blank=True)
    signature = models.TextField(default="", blank=True)
    signer_key = models.ForeignKey(SignerKey, on_delete=models.PROTECT, null=True, blank=True, related_name="decisions")
    assertion = models.JSONField(null=True, blank=True)  # of a passkey: what its signature is over, see passkeys
    within = models.JSONField(null=True, blank=True)  # the roles a credential was narrowed to; null for all of them
    nth = models.PositiveSmallIntegerField(default=1)  # counts a person's approvals of one request
    revokes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="revoked_by")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "approvals_decisions"
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="decision_digest_is_sha256"),
            models.CheckConstraint(
                condition=Q(kind=DecisionKind.REVOKE, revokes__isnull=False)
                | (~Q(kind=DecisionKind.REVOKE) & Q(revokes=None)),
                name="decision_revokes_one",
            ),
            models.CheckConstraint(
                condition=Q(signature="", signer_key=None) | (~Q(signature="") & Q(signer_key__isnull=False)),
                name="decision_signed_by_a_key",
            ),
            models.CheckConstraint(
                condition=Q(assertion__isnull=True) | ~Q(signature=""), name="decision_asserts_what_is_signed"
            ),
            models.CheckConstraint(
                condition=~Q(kind=DecisionKind.REJECT) | ~Q(reason=""), name="decision_rejects_with_reason"
            ),
            # A person's second approval of a request needs another number, and only a revocation gives one.
            models.UniqueConstraint(
                fields=["request", "user", "nth"],
                condition=Q(kind=DecisionKind.APPROVE),
                name="decision_one_approval_per_person",
            ),
        ]
        indexes = [models.Index(fields=["request", "at"], name="decisions_of_request")]

    def __str__(self) -> str:
        return f"{self.kind} {self.request_id}"

    @property
    def signed(self) -> bool:
        """Whether a signature came with it."""
        return bool(self.signature)


class Review(Uuid7Model, Stateful):
    """A look after the fact at what was done without its quorum, or what the policy wants looked at afterwards."""

    states: ClassVar[type[States]] = ReviewState

    cause = models.TextField(choices=ReviewCause.choices)
    subject_kind = models.TextField()
    subject_id = models.TextField()
    title = models.TextField()
    facts = models.JSONField(default=dict)  # incident, reason, run: what the reviewer is told
    roles = models.JSONField()  # who may review
    barred = models.JSONField()  # ids of users who had a part in it, and may not
    needed = models.PositiveSmallIntegerField()
    status = models.TextField(choices=ReviewState.choices, default=ReviewState.OPEN)
    opened_by = models.TextField()  # the actor's name
    opened_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "approvals_reviews"
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        default_permissions = ("view",)
        permissions = [("answer_review", "Can review what was done in an emergency")]
        constraints = [models.CheckConstraint(condition=Q(needed__gte=1), name="review_needs_somebody")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status__in=WAITING_REVIEWS), name="reviews_waiting"),
            models.Index(fields=["subject_kind", "subject_id"], name="reviews_by_subject"),
        ]

    def __str__(self) -> str:
        return self.title


class ReviewAnswer(Uuid7Model):
    """What one person said in a review; a row stays as it is for good."""

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="answers")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    verdict = models.TextField(choices=ReviewVerdict.choices)
    comment = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "approvals_review_answers"
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["review", "user"], name="review_answered_once_each"),
            models.CheckConstraint(condition=~Q(comment=""), name="review_answer_says_something"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.review_id}"


class Wait(models.Model):
    """How long the decided requests of an action had waited, added up by a trigger; what the metrics read."""

    action = models.TextField(primary_key=True)
    decided = models.BigIntegerField()
    seconds = models.FloatField()

    class Meta:
        db_table = "approvals_waits"
        default_permissions = ()

    def __str__(self) -> str:
        return self.action
