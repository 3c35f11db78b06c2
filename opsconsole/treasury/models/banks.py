"""Banks, their accounts, and the routes that lead through them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import EncryptedTextField, Uuid7Model
from opsconsole.core.states import Stateful, States
from opsconsole.treasury.models.patterns import CURRENCY, IBAN
from opsconsole.treasury.states import AccountKind, AccountState, BankState, GatewayKind


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
