"""Sweeps: transfers between accounts of ours."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States
from opsconsole.plans.models import Plan, Step
from opsconsole.treasury.models.banks import Account, Bank
from opsconsole.treasury.models.payouts import EndToEndId
from opsconsole.treasury.states import LIVE_SWEEPS, OPEN_SWEEPS, SweepState


class Sweep(Uuid7Model, Stateful):
    """One transfer from a settlement account of ours to another; one that `undoes` another is its way back."""

    states: ClassVar[type[States]] = SweepState

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+", db_index=False)
    step = models.ForeignKey(Step, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False)
    step_seq = models.IntegerField()
    undoes = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by", db_index=False
    )
    # Held together by the foreign key (account, bank, currency) of the migration, as is (target, currency).
    bank = models.ForeignKey(Bank, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    target = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    end_to_end_id = models.CharField("EndToEndId", max_length=35, unique=True, db_default=EndToEndId())
    amount = models.DecimalField(max_digits=18, decimal_places=2)
    currency = models.CharField(max_length=3)
    status = models.TextField(choices=SweepState.choices, db_default=SweepState.PLANNED)
    bank_reference = models.TextField(db_default="", blank=True)
    reason = models.TextField(db_default="", blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    next_poll_at = models.DateTimeField(null=True, blank=True)  # null: this bank is not asked, it tells
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "treasury_sweeps"
        verbose_name = _("sweep")
        verbose_name_plural = _("sweeps")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="sweep_amount_positive"),
            models.CheckConstraint(condition=~Q(account=F("target")), name="sweep_needs_two_accounts"),
            models.UniqueConstraint(
                fields=["step"], condition=Q(status__in=LIVE_SWEEPS, step__isnull=False), name="sweep_once_per_step"
            ),
            models.UniqueConstraint(
                fields=["undoes"], condition=Q(status__in=LIVE_SWEEPS, undoes__isnull=False), name="sweep_undone_once"
            ),
            models.UniqueConstraint(
                fields=["plan", "account"],
                condition=Q(status__in=LIVE_SWEEPS, undoes__isnull=True),
                name="sweep_once_per_account",
            ),
            models.CheckConstraint(
                condition=~Q(status=SweepState.SENT) | Q(sent_at__isnull=False), name="sent_sweep_says_when"
            ),
            models.CheckConstraint(
                condition=~Q(status=SweepState.SETTLED) | Q(settled_at__isnull=False), name="settled_sweep_says_when"
            ),
        ]
        indexes = [
            models.Index(fields=["plan", "step_seq"], name="sweeps_of_plan"),
            models.Index(fields=["step"], name="sweeps_of_step"),
            models.Index(fields=["undoes"], condition=Q(undoes__isnull=False), name="sweeps_undoing"),
            models.Index(fields=["account", "-id"], name="sweeps_of_account"),
            models.Index(fields=["target", "-id"], name="sweeps_to_account"),
            models.Index(fields=["status"], condition=Q(status__in=OPEN_SWEEPS), name="sweeps_open"),
            models.Index(
                fields=["bank", "next_poll_at"],
                condition=Q(status=SweepState.SENT, next_poll_at__isnull=False),
                name="sweeps_to_poll",
            ),
        ]

    def __str__(self) -> str:
        return self.end_to_end_id
