"""Payouts, and the instructions that pay them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now, Substr
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States
from opsconsole.plans.models import Plan, Step
from opsconsole.treasury.models.banks import Account, Bank
from opsconsole.treasury.models.patterns import CURRENCY, IBAN
from opsconsole.treasury.states import LIVE_INSTRUCTIONS, OPEN_INSTRUCTIONS, InstructionState, PayoutState


class EndToEndId(models.Func):
    """A new EndToEndId: 35 characters, the most that ISO 20022 allows, and never given twice."""

    template = "('E2E' || replace(uuid7()::text, '-', ''))"
    arity = 0
    output_field = models.CharField()


class Payout(Uuid7Model, Stateful):
    """Somebody is to be paid. Who, where to and how much stand still while a plan has hold of it."""

    states: ClassVar[type[States]] = PayoutState

    external_id = models.CharField(max_length=100, unique=True)
    beneficiary_name = models.CharField(max_length=140)
    iban = models.CharField("IBAN", max_length=34)
    bic = models.CharField("BIC", max_length=11)
    amount = models.DecimalField(max_digits=18, decimal_places=2)
    currency = models.CharField(max_length=3)
    due_date = models.DateField()
    remittance = models.CharField(max_length=140, db_default="", blank=True)
    merchant = models.CharField(max_length=100, db_default="", blank=True)  # on whose behalf, where that is known
    status = models.TextField(choices=PayoutState.choices, db_default=PayoutState.PAYABLE)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False)
    country = models.GeneratedField(
        expression=Substr("iban", 1, 2), output_field=models.CharField(max_length=2), db_persist=True
    )
    hold_reason = models.TextField(db_default="", blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "treasury_payouts"
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        default_permissions = ("view",)
        permissions = [
            ("import_payouts", "Can bring payouts in"),
            ("hold_payout", "Can hold, release and retry payouts"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="payout_amount_positive"),
            models.CheckConstraint(condition=Q(currency__regex=CURRENCY), name="payout_currency_form"),
            models.CheckConstraint(condition=Q(iban__regex=IBAN), name="payout_iban_form"),
            models.CheckConstraint(condition=~Q(beneficiary_name=""), name="payout_names_somebody"),
            models.CheckConstraint(
                condition=~Q(status=PayoutState.HELD) | ~Q(hold_reason=""), name="held_payout_says_why"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=(PayoutState.RESERVED, PayoutState.SENDING)) | Q(plan__isnull=False),
                name="reserved_payout_has_plan",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=(PayoutState.PAYABLE, PayoutState.HELD)) | Q(plan__isnull=True),
                name="free_payout_has_no_plan",
            ),
        ]
        indexes = [
            models.Index(
                fields=["currency", "due_date", "external_id"],
                condition=Q(status=PayoutState.PAYABLE),
                name="payouts_due",
            ),
            models.Index(fields=["status", "-id"], name="payouts_by_status"),
            models.Index(fields=["iban", "amount"], name="payouts_alike"),
            models.Index(fields=["plan", "-id"], condition=Q(plan__isnull=False), name="payouts_of_plan"),
            models.Index(fields=["merchant", "status"], condition=~Q(merchant=""), name="payouts_of_merchant"),
            models.Index(fields=["beneficiary_name"], opclasses=["varchar_pattern_ops"], name="payouts_by_name"),
        ]

    def __str__(self) -> str:
        return self.external_id


class Instruction(Uuid7Model, Stateful):
    """One submission of one payout in one plan. That a payout has one live instruction is the database's promise."""

    states: ClassVar[type[States]] = InstructionState

    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="instructions")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+", db_index=False)
    step = models.ForeignKey(Step, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    step_seq = models.IntegerField()
    ordinal = models.IntegerField()
    # Held together by the foreign key (account, bank, currency) of the migration.
    bank = models.ForeignKey(Bank, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    end_to_end_id = models.CharField("EndToEndId", max_length=35, unique=True, db_default=EndToEndId())
    amount = models.DecimalField(max_digits=18, decimal_places=2)
    currency = models.CharField(max_length=3)
    status = models.TextField(choices=InstructionState.choices, db_default=InstructionState.PLANNED)
    bank_reference = models.TextField(db_default="", blank=True)
    reason = models.TextField(db_default="", blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    next_poll_at = models.DateTimeField(null=True, blank=True)  # null: this bank is not asked, it tells
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "treasury_instructions"
        verbose_name = _("instruction")
        verbose_name_plural = _("instructions")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["payout"], condition=Q(status__in=LIVE_INSTRUCTIONS), name="payout_paid_once"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="instruction_amount_positive"),
            models.CheckConstraint(
                condition=~Q(status=InstructionState.SENT) | Q(sent_at__isnull=False),
                name="sent_instruction_says_when",
            ),
            models.CheckConstraint(
                condition=~Q(status=InstructionState.SETTLED) | Q(settled_at__isnull=False),
                name="settled_instruction_says_when",
            ),
        ]
        indexes = [
            models.Index(fields=["plan", "step_seq", "ordinal"], name="instructions_of_plan"),
            models.Index(fields=["status"], condition=Q(status__in=OPEN_INSTRUCTIONS), name="instructions_open"),
            models.Index(
                fields=["bank", "next_poll_at"],
                condition=Q(status=InstructionState.SENT, next_poll_at__isnull=False),
                name="instructions_to_poll",
            ),
            models.Index(
                fields=["bank", "sent_at"], condition=Q(status=InstructionState.SENT), name="instructions_unsettled"
            ),
        ]

    def __str__(self) -> str:
        return self.end_to_end_id


class Tally(models.Model):
    """How many payouts there are by status and currency, as differences that triggers write and a job adds up.

    A counter row would make every writer wait for every other; here each statement adds a row of its own.
    """

    status = models.TextField(choices=PayoutState.choices)
    currency = models.CharField(max_length=3)
    count = models.BigIntegerField()
    amount = models.DecimalField(max_digits=24, decimal_places=2)

    class Meta:
        db_table = "treasury_tallies"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.status} {self.currency}"
