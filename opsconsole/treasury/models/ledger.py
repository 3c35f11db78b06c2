"""The double-entry ledger: transfers and their legs."""

from __future__ import annotations

from django.contrib.postgres.functions import TransactionNow
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import Uuid7Model
from opsconsole.plans.models import Plan, Step
from opsconsole.treasury.models.banks import Account
from opsconsole.treasury.states import TransferKind


class Transfer(Uuid7Model):
    """Why money moved: the head of legs that sum to zero. Written once, whole, and never changed."""

    kind = models.TextField(choices=TransferKind.choices)
    reference = models.TextField(unique=True)
    description = models.TextField(db_default="", blank=True)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False)
    step = models.ForeignKey(Step, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False)
    booked_at = models.DateTimeField(db_default=TransactionNow(), editable=False)

    class Meta:
        db_table = "treasury_transfers"
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["plan", "-id"], condition=Q(plan__isnull=False), name="transfers_of_plan"),
        ]

    def __str__(self) -> str:
        return self.reference


class Leg(Uuid7Model):
    """What a transfer does to one account: more when positive, less when negative."""

    transfer = models.ForeignKey(Transfer, on_delete=models.PROTECT, related_name="legs", db_index=False)
    # Held by the foreign key (account, currency) of the migration, which keeps the leg in its account's currency.
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="legs", db_index=False, db_constraint=False
    )
    amount = models.DecimalField(max_digits=18, decimal_places=2)
    currency = models.CharField(max_length=3)

    class Meta:
        db_table = "treasury_legs"
        verbose_name = _("leg")
        verbose_name_plural = _("legs")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=~Q(amount=0), name="leg_moves_something"),
            models.UniqueConstraint(fields=["transfer", "account"], name="one_leg_per_account"),
        ]
        indexes = [models.Index(fields=["account", "-id"], name="legs_of_account")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"
