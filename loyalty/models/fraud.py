"""Fraud: the rules that look for it, what they hit, and what people found."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from loyalty.models.members import Balance
from loyalty.states import HitState
from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States


class FraudRule(Uuid7Model):
    """A pattern to look for, with its limits; off until somebody has seen what it would have hit."""

    code = models.TextField(unique=True)
    kind = models.TextField()
    limits = models.JSONField(default=dict)
    allowed_networks = models.JSONField(default=list, blank=True)  # addresses that many members share honestly
    flag = models.TextField(default="suspicious_pattern_detected")
    locks = models.BooleanField(default=False)  # a machine may lock points; only a person freezes
    active = models.BooleanField(default=False)
    review_hours = models.PositiveSmallIntegerField(default=24, db_default=24)  # until somebody has looked at a hit
    version = models.PositiveIntegerField(default=1)
    backtest = models.JSONField(null=True, blank=True)  # what the last back-test of this version found
    looked_at = models.DateTimeField(null=True, blank=True)  # up to when it has been looked for
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_fraud_rules"
        verbose_name = _("fraud rule")
        verbose_name_plural = _("fraud rules")
        default_permissions = ("view",)
        permissions = [("manage_fraud_rules", "Can change fraud rules and switch them on")]

    def __str__(self) -> str:
        return self.code


class FraudHit(Stateful, Uuid7Model):
    """A member who fits a rule; waits for a verdict."""

    states: ClassVar[type[States]] = HitState

    rule = models.ForeignKey(FraudRule, on_delete=models.PROTECT, related_name="hits")
    rule_version = models.PositiveIntegerField()
    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="fraud_hits")
    facts = models.JSONField(default=dict)
    status = models.TextField(choices=HitState.choices, default=HitState.OPEN, db_default=HitState.OPEN.value)
    flagged = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))  # what it put on them
    points_locked = models.BigIntegerField(default=0, db_default=0)  # and locked of theirs
    as_of = models.DateTimeField(db_default=Now())  # the end of the time that was looked at
    found_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField()
    reminded_at = models.DateTimeField(null=True, blank=True)  # that it was due
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "loyalty_fraud_hits"
        verbose_name = _("fraud hit")
        verbose_name_plural = _("fraud hits")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["rule", "balance"], condition=Q(status="open"), name="fraud_hit_open_once")
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(status="open"), name="fraud_hits_waiting")]


class SiraFeedback(Uuid7Model):
    """A verdict, as it goes back to SIRA and into the precision of a rule; a row stays as it is."""

    hit = models.ForeignKey(FraudHit, on_delete=models.PROTECT, null=True, blank=True, related_name="feedback")
    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="sira_feedback")
    rule_code = models.TextField()
    verdict = models.TextField(choices=[(s.value, s.label) for s in (HitState.CONFIRMED, HitState.DISMISSED)])
    comment = models.TextField()
    given_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_sira_feedback"
        verbose_name = _("verdict")
        verbose_name_plural = _("verdicts")
        default_permissions = ("view",)
