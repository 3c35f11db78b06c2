"""Vouchers; of a code no more than how it ends."""

from __future__ import annotations

from rest_framework import serializers

from loyalty.ledger import MOST_POINTS
from loyalty.models import Voucher, VoucherBatch
from loyalty.serializers.members import MAX_USER, printable
from loyalty.services.vouchers import MAX_NAME, MOST_CODES
from loyalty.states import VoucherState
from opsconsole.core.camel import CamelModelSerializer, CamelSerializer

MAX_CODE = 40  # with what people put between the groups


class BatchSerializer(CamelModelSerializer):
    """A batch of vouchers; `made` says how many of its codes are there by now."""

    program_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = VoucherBatch
        fields = (
            "id",
            "program_id",
            "name",
            "points",
            "count",
            "made",
            "redeemed",
            "per_member",
            "valid_from",
            "expires_at",
            "withdrawn_at",
            "created_at",
        )
        read_only_fields = fields


class NewBatchSerializer(CamelSerializer):
    """Vouchers to be issued: so many codes, each worth so many points."""

    program_id = serializers.UUIDField()
    name = serializers.CharField(max_length=MAX_NAME)
    points = serializers.IntegerField(min_value=1, max_value=MOST_POINTS)
    count = serializers.IntegerField(min_value=1, max_value=MOST_CODES)
    per_member = serializers.IntegerField(min_value=1, max_value=MOST_CODES, required=False, default=1)
    valid_from = serializers.DateTimeField(required=False, default=None, allow_null=True)
    expires_at = serializers.DateTimeField(required=False, default=None, allow_null=True)


class VoucherSerializer(CamelModelSerializer):
    """One voucher; of its code only how it ends."""

    batch_id = serializers.UUIDField(read_only=True)
    code = serializers.CharField(source="ending", read_only=True, help_text="How it ends.")
    status = serializers.ChoiceField(VoucherState.choices, read_only=True)
    balance_id = serializers.UUIDField(read_only=True, allow_null=True)

    class Meta:
        model = Voucher
        fields = ("id", "batch_id", "code", "status", "balance_id", "transaction_id", "redeemed_at")
        read_only_fields = fields


class RedeemVoucherSerializer(CamelSerializer):
    """A code that a member has; blanks, hyphens and the case of letters do not matter."""

    code = serializers.CharField(max_length=MAX_CODE)
    user_id = serializers.CharField(max_length=MAX_USER, validators=[printable])
    program_id = serializers.UUIDField(
        required=False, default=None, allow_null=True, help_text="Where the caller serves one program only."
    )
    ip_address = serializers.IPAddressField(required=False, default=None, allow_null=True)


class RedeemedSerializer(CamelSerializer):
    """What a voucher came to."""

    voucher_id = serializers.UUIDField()
    transaction_id = serializers.UUIDField()
    program_id = serializers.UUIDField()
    balance_id = serializers.UUIDField(source="member.pk")
    points = serializers.IntegerField()
    points_balance = serializers.IntegerField(source="member.points_balance")
    locked = serializers.IntegerField(source="member.locked")


class WithdrawCodeSerializer(CamelSerializer):
    """A code that counts no more."""

    code = serializers.CharField(max_length=MAX_CODE)
    reason = serializers.CharField(max_length=2000)
