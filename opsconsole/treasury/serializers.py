"""The JSON of treasury: money as strings, nothing secret."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from opsconsole.treasury.models import Account, Bank, Payout, Route
from opsconsole.treasury.payout_facts import MAX_EXTERNAL_ID, MAX_TEXT
from opsconsole.treasury.services.payouts import MAX_REASON
from opsconsole.treasury.states import PayoutState


class PayoutDraftSerializer(serializers.Serializer[Any]):
    """What `POST /api/ops/payouts` takes; the columns of an import file."""

    external_id = serializers.CharField(
        max_length=MAX_EXTERNAL_ID, help_text="Your own id for it; makes a repetition harmless."
    )
    beneficiary_name = serializers.CharField(max_length=MAX_TEXT)
    iban = serializers.CharField(max_length=42, help_text="Check digits are verified; blanks are allowed.")
    bic = serializers.CharField(max_length=11)
    amount = serializers.DecimalField(
        max_digits=14, decimal_places=2, help_text="Positive, with no more decimals than the currency has."
    )
    currency = serializers.CharField(min_length=3, max_length=3, help_text="ISO 4217.")
    due_date = serializers.DateField()
    remittance = serializers.CharField(max_length=MAX_TEXT, required=False, default="", allow_blank=True)


class PayoutSerializer(serializers.ModelSerializer[Payout]):
    """A payout. `plan_id` is the plan that has, or had, hold of it."""

    amount = serializers.DecimalField(max_digits=18, decimal_places=2, read_only=True)
    status = serializers.ChoiceField(PayoutState.choices, read_only=True)
    plan_id = serializers.UUIDField(read_only=True, allow_null=True)
    country = serializers.CharField(read_only=True)

    class Meta:
        model = Payout
        fields = (
            "id",
            "external_id",
            "beneficiary_name",
            "iban",
            "bic",
            "amount",
            "currency",
            "due_date",
            "remittance",
            "status",
            "plan_id",
            "country",
            "hold_reason",
            "created_at",
        )
        read_only_fields = fields


class ReasonSerializer(serializers.Serializer[Any]):
    """A reason, for the journal."""

    reason = serializers.CharField(max_length=MAX_REASON, required=False, default="", allow_blank=True)


class MandatoryReasonSerializer(serializers.Serializer[Any]):
    """A reason that must be given."""

    reason = serializers.CharField(max_length=MAX_REASON)


class BankSerializer(serializers.ModelSerializer[Bank]):
    """A bank. Its key and secret are never shown."""

    fee_per_payment = serializers.DecimalField(max_digits=18, decimal_places=2, read_only=True)

    class Meta:
        model = Bank
        fields = (
            "id",
            "code",
            "name",
            "bic",
            "status",
            "gateway",
            "priority",
            "fee_per_payment",
            "probing",
            "created_at",
        )
        read_only_fields = fields


class AccountSerializer(serializers.ModelSerializer[Account]):
    """An account. The ledger keeps its balance."""

    bank_id = serializers.UUIDField(read_only=True)
    ledger_balance = serializers.DecimalField(max_digits=18, decimal_places=2, read_only=True)

    class Meta:
        model = Account
        fields = ("id", "bank_id", "name", "iban", "currency", "kind", "ledger_balance", "status", "created_at")
        read_only_fields = fields


class RouteSerializer(serializers.ModelSerializer[Route]):
    """A route. A country of null means any that has no route of its own."""

    bank_id = serializers.UUIDField(read_only=True)
    bank = serializers.CharField(source="bank.code", read_only=True)
    account_id = serializers.UUIDField(read_only=True)
    account = serializers.CharField(source="account.iban", read_only=True)

    class Meta:
        model = Route
        fields = ("id", "currency", "country", "bank_id", "bank", "account_id", "account", "created_at")
        read_only_fields = fields


class RouteChangeSerializer(serializers.Serializer[Any]):
    """What `PATCH /api/ops/routes/{id}` takes; the bank follows from the account."""

    account_id = serializers.UUIDField()
    reason = serializers.CharField(max_length=MAX_REASON)
