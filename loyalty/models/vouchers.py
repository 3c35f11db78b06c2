"""Vouchers: codes that are worth points, made in batches."""

from __future__ import annotations

from typing import ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from loyalty.models.members import Balance
from loyalty.models.programs import Program
from loyalty.states import VoucherState
from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States

SHOWN: Final = 4  # characters of a code that people see


class VoucherBatch(Uuid7Model):
    """So many codes of the same worth, made at once."""

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="voucher_batches")
    name = models.TextField()
    points = models.BigIntegerField()
    count = models.IntegerField()
    made = models.IntegerField(default=0, db_default=0)
    redeemed = models.IntegerField(default=0, db_default=0)  # kept by the database
    per_member = models.PositiveIntegerField(default=1, db_default=1)
    valid_from = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)  # none of its codes counts from then on
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_voucher_batches"
        verbose_name = _("batch of vouchers")
        verbose_name_plural = _("batches of vouchers")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["program", "name"], name="voucher_batch_name_once"),
            models.CheckConstraint(condition=Q(points__gt=0, count__gt=0), name="voucher_batch_is_worth_something"),
            models.CheckConstraint(
                condition=Q(made__gte=0, made__lte=F("count"), redeemed__gte=0, redeemed__lte=F("made")),
                name="voucher_batch_counts",
            ),
            models.CheckConstraint(
                condition=Q(expires_at=None) | Q(expires_at__gt=F("valid_from")), name="voucher_batch_is_valid_a_while"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_made(self) -> bool:
        """Whether all of its codes are there."""
        return self.made == self.count


class Voucher(Stateful, Uuid7Model):
    """One code, good for one redemption. A code is money: nothing but an export shows more than its `ending`."""

    states: ClassVar[type[States]] = VoucherState

    batch = models.ForeignKey(VoucherBatch, on_delete=models.PROTECT, related_name="vouchers", db_constraint=False)
    code = models.TextField(unique=True)
    status = models.TextField(
        choices=VoucherState.choices, default=VoucherState.ISSUED, db_default=VoucherState.ISSUED.value
    )
    balance = models.ForeignKey(
        Balance, on_delete=models.PROTECT, null=True, blank=True, related_name="vouchers", db_index=False
    )
    transaction_id = models.UUIDField(null=True, blank=True)
    redeemed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_vouchers"
        verbose_name = _("voucher")
        verbose_name_plural = _("vouchers")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status=VoucherState.REDEEMED,
                    balance__isnull=False,
                    transaction_id__isnull=False,
                    redeemed_at__isnull=False,
                )
                | (~Q(status=VoucherState.REDEEMED) & Q(balance=None, transaction_id=None, redeemed_at=None)),
                name="voucher_redeemed_by_somebody",
            )
        ]
        indexes = [
            models.Index(fields=["balance", "batch"], condition=Q(balance__isnull=False), name="vouchers_of_member"),
            # What a batch of a million is asked about: those that are spent, the last first, and those withdrawn.
            models.Index(
                fields=["batch", "redeemed_at"], condition=Q(status=VoucherState.REDEEMED), name="vouchers_redeemed"
            ),
            models.Index(fields=["batch"], condition=Q(status=VoucherState.VOID), name="vouchers_void"),
        ]

    def __str__(self) -> str:
        return self.ending

    @property
    def ending(self) -> str:
        """As much of the code as may be shown."""
        return f"…{self.code[-SHOWN:]}"


class VoucherMiss(Uuid7Model):
    """A code that could not be redeemed; many of them in a while, and no more are looked at."""

    caller = models.TextField()  # the actor whose token it was
    user_id = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "loyalty_voucher_misses"
        default_permissions = ()
        indexes = [models.Index(fields=["caller", "at"], name="voucher_misses_by_caller")]
