"""The JSON of treasury: money as strings, nothing secret."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from opsconsole.treasury.models import Account, Bank, BankFile, Break, Freeze, Payout, Route, Sweep
from opsconsole.treasury.payouts.facts import MAX_EXTERNAL_ID, MAX_MERCHANT, MAX_TEXT
from opsconsole.treasury.services.payouts import MAX_REASON
from opsconsole.treasury.states import BankFileState, BreakReason, BreakState, FreezeKind, PayoutState, SweepState


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
    merchant = serializers.CharField(
        max_length=MAX_MERCHANT,
        required=False,
        default="",
        allow_blank=True,
        help_text="On whose behalf it is paid, by your own id; a frozen merchant's payouts wait.",
    )


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
            "merchant",
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


class FreezeSerializer(serializers.ModelSerializer[Freeze]):
    """A freeze, live until it is lifted. `subject_id`: an account's id, a beneficiary's IBAN, a merchant's id."""

    subject = serializers.ChoiceField(FreezeKind.choices, source="kind", read_only=True)
    subject_id = serializers.CharField(source="subject", read_only=True)
    account = serializers.CharField(source="account.iban", read_only=True, allow_null=True, default=None)
    plan_id = serializers.UUIDField(read_only=True)
    live = serializers.BooleanField(source="is_live", read_only=True)

    class Meta:
        model = Freeze
        fields = (
            "id",
            "subject",
            "subject_id",
            "account",
            "reason",
            "live",
            "plan_id",
            "set_by",
            "set_at",
            "lifted_by",
            "lifted_at",
        )
        read_only_fields = fields


class RouteChangeSerializer(serializers.Serializer[Any]):
    """What `PATCH /api/ops/routes/{id}` takes; the bank follows from the account."""

    account_id = serializers.UUIDField()
    reason = serializers.CharField(max_length=MAX_REASON)


class SweepSerializer(serializers.ModelSerializer[Sweep]):
    """A transfer between two accounts of ours. One that `undoes_id` another is its way back."""

    amount = serializers.DecimalField(max_digits=18, decimal_places=2, read_only=True)
    status = serializers.ChoiceField(SweepState.choices, read_only=True)
    plan_id = serializers.UUIDField(read_only=True)
    undoes_id = serializers.UUIDField(read_only=True, allow_null=True)
    bank = serializers.CharField(source="bank.code", read_only=True)
    account = serializers.CharField(source="account.iban", read_only=True)
    target = serializers.CharField(source="target.iban", read_only=True)

    class Meta:
        model = Sweep
        fields = (
            "id",
            "plan_id",
            "undoes_id",
            "bank",
            "account",
            "target",
            "amount",
            "currency",
            "end_to_end_id",
            "status",
            "reason",
            "sent_at",
            "settled_at",
            "created_at",
        )
        read_only_fields = fields


class BankFileSerializer(serializers.ModelSerializer[BankFile]):
    """A file of a bank, and what came of its lines. `digest` is the SHA-256 of its bytes."""

    status = serializers.ChoiceField(BankFileState.choices, read_only=True)

    class Meta:
        model = BankFile
        fields = (
            "id",
            "digest",
            "name",
            "schema",
            "message_id",
            "size",
            "status",
            "lines_read",
            "settled",
            "failed",
            "returned",
            "already",
            "pending",
            "breaks",
            "imported_by",
            "created_at",
            "finished_at",
        )
        read_only_fields = fields


class BreakSerializer(serializers.ModelSerializer[Break]):
    """A line of a bank's file that our records do not explain."""

    reason = serializers.ChoiceField(BreakReason.choices, read_only=True)
    status = serializers.ChoiceField(BreakState.choices, read_only=True)
    file_id = serializers.UUIDField(read_only=True)
    line = serializers.IntegerField(source="line.number", read_only=True)
    reference = serializers.CharField(source="line.reference", read_only=True)
    account = serializers.CharField(source="line.account", read_only=True)
    amount = serializers.DecimalField(
        source="line.amount", max_digits=24, decimal_places=5, read_only=True, allow_null=True
    )
    currency = serializers.CharField(source="line.currency", read_only=True)

    class Meta:
        model = Break
        fields = (
            "id",
            "file_id",
            "line",
            "reference",
            "account",
            "amount",
            "currency",
            "reason",
            "detail",
            "status",
            "resolution",
            "resolved_by",
            "resolved_at",
            "created_at",
        )
        read_only_fields = fields
