"""Disputes: members who say that points were not awarded, and what came of it."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from loyalty.models.members import Balance
from loyalty.models.programs import Program
from loyalty.states import DisputeState
from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States


class Dispute(Stateful, Uuid7Model):
    """A claim that a purchase earned nothing; ends in an adjustment or a refusal."""

    states: ClassVar[type[States]] = DisputeState

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="disputes", db_index=False)
    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="disputes")
    ticket = models.TextField()  # of whoever hears the member
    origin_txn_id = models.TextField()  # the purchase, by its own id
    happened_at = models.DateTimeField()  # when the member says it was
    claim = models.TextField(default="", blank=True, db_default="")
    status = models.TextField(
        choices=DisputeState.choices, default=DisputeState.OPEN, db_default=DisputeState.OPEN.value
    )
    due_at = models.DateTimeField()
    reminded_at = models.DateTimeField(null=True, blank=True)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    verdict = models.TextField(default="", blank=True, db_default="")
    transaction_id = models.UUIDField(null=True, blank=True)  # the adjustment
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_disputes"
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["balance", "origin_txn_id"], condition=Q(status="open"), name="dispute_open_once"
            ),
            models.CheckConstraint(
                condition=Q(status=DisputeState.OPEN, decided_at=None, transaction_id=None)
                | Q(status=DisputeState.ADJUSTED, decided_at__isnull=False, transaction_id__isnull=False)
                | Q(status=DisputeState.REFUSED, decided_at__isnull=False, transaction_id=None),
                name="dispute_ends_one_way",
            ),
        ]
        indexes = [
            models.Index(fields=["program", "-created_at"], name="disputes_of_program"),
            models.Index(fields=["due_at"], condition=Q(status="open"), name="disputes_waiting"),
        ]

    def __str__(self) -> str:
        return self.ticket
