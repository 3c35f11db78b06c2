"""Banks, accounts, the double-entry ledger, payouts, their instructions, and the routes they take."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.functions import TransactionNow
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now, Substr
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import EncryptedTextField, Uuid7Model
from opsconsole.core.states import Stateful, States
from opsconsole.plans.models import Plan, Step
from opsconsole.treasury.states import (
    LIVE_INSTRUCTIONS,
    OPEN_INSTRUCTIONS,
    AccountKind,
    AccountState,
    BankState,
    GatewayKind,
    InstructionState,
    PayoutState,
    TransferKind,
)

CURRENCY = r"^[A-Z]{3}$"
IBAN = r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"


class EndToEndId(models.Func):
    """A new EndToEndId: 35 characters, the most that ISO 20022 allows, and never given twice."""

    template = "('E2E' || replace(uuid7()::text, '-', ''))"
    arity = 0
    output_field = models.CharField()


class Bank(Uuid7Model, Stateful):
    """A bank that payments go through, and how it is spoken to."""

    states: ClassVar[type[States]] = BankState

    code = models.TextField(unique=True)
    name = models.TextField()
    bic = models.CharField("BIC", max_length=11)
    status = models.TextField(choices=BankState.choices, db_default=BankState.ACTIVE)
    gateway = models.TextField(choices=GatewayKind.choices)
    priority = models.IntegerField(db_default=100)  # the lower comes first where several could pay
    base_url = models.TextField("base URL", db_default="", blank=True)
    key_id = models.TextField("key id", db_default="", blank=True)
    secret = EncryptedTextField(db_default="", blank=True)
    fee_per_payment = models.DecimalField(max_digits=18, decimal_places=2, db_default=0)
    probing = models.BooleanField("answers status probes", db_default=True)
    # When the settlement sweeper may wake a worker for this bank again: one wake-up at a time is enough.
    wake_at = models.DateTimeField(db_default=Now(), editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "treasury_banks"
        verbose_name = _("bank")
        verbose_name_plural = _("banks")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=~Q(gateway=GatewayKind.HTTP) | ~Q(base_url=""), name="http_bank_has_url"),
            models.CheckConstraint(condition=Q(fee_per_payment__gte=0), name="bank_fee_not_negative"),
        ]

    def __str__(self) -> str:
        return self.name


class Account(Uuid7Model, Stateful):
    """A settlement account at a bank, or an account of the ledger's own beside it."""

    states: ClassVar[type[States]] = AccountState

    bank = models.ForeignKey(Bank, on_delete=models.PROTECT, related_name="accounts")
    name = models.TextField()
    iban = models.CharField("IBAN", max_length=34, unique=True, null=True, blank=True)  # settlement accounts only
    currency = models.CharField(max_length=3)
    kind = models.TextField(choices=AccountKind.choices)
    ledger_balance = models.DecimalField(max_digits=18, decimal_places=2, db_default=0, editable=False)
    status = models.TextField(choices=AccountState.choices, db_default=AccountState.ACTIVE)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "treasury_accounts"
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=AccountKind.FUNDING) | Q(ledger_balance__gte=0), name="account_not_overdrawn"
            ),
            models.CheckConstraint(
                condition=Q(kind=AccountKind.SETTLEMENT, iban__isnull=False)
                | (~Q(kind=AccountKind.SETTLEMENT) & Q(iban__isnull=True)),
                name="settlement_account_has_iban",
            ),
            # The ledger must always be able to record what the bank did: only paying out can be forbidden.
            models.CheckConstraint(
                condition=Q(status=AccountState.ACTIVE) | Q(kind=AccountKind.SETTLEMENT),
                name="only_settlement_freezes",
            ),
            models.CheckConstraint(condition=Q(currency__regex=CURRENCY), name="account_currency_form"),
            models.CheckConstraint(condition=Q(iban__isnull=True) | Q(iban__regex=IBAN), name="account_iban_form"),
            models.UniqueConstraint(
                fields=["bank", "currency", "kind"],
                condition=~Q(kind=AccountKind.SETTLEMENT),
                name="one_ledger_account_per_kind",
            ),
            # What legs and routes point at, so that neither can disagree with its account.
            models.UniqueConstraint(fields=["id", "currency"], name="account_with_currency"),
            models.UniqueConstraint(fields=["id", "bank", "currency"], name="account_with_bank"),
        ]

    def __str__(self) -> str:
        return self.name


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


class Route(Uuid7Model):
    """Which account, and so which bank, pays a corridor: a currency, and one country or any."""

    currency = models.CharField(max_length=3)
    country = models.CharField(max_length=2, null=True, blank=True)  # null: wherever no route names the country
    # Held together by the foreign key (account, bank, currency) of the migration.
    bank = models.ForeignKey(Bank, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "treasury_routes"
        verbose_name = _("route")
        verbose_name_plural = _("routes")
        default_permissions = ("view",)
        permissions = [("change_route", "Can lead a route through another account")]
        constraints = [
            models.UniqueConstraint(
                fields=["currency", "country"], nulls_distinct=False, name="one_route_per_corridor"
            ),
            models.CheckConstraint(
                condition=Q(country__isnull=True) | Q(country__regex=r"^[A-Z]{2}$"), name="route_country_form"
            ),
        ]

    def __str__(self) -> str:
        return self.corridor

    @property
    def corridor(self) -> str:
        """The corridor as people write it: `EUR/FR`, `EUR/*`."""
        return f"{self.currency}/{self.country or '*'}"


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
