"""Members' balances, the ledger of points that keeps them, and what members got for points."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from loyalty.models.programs import Program, Reward, Tier
from loyalty.states import EventType, RedemptionState, TierMove
from opsconsole.core.fields import CurrentActor, Uuid7Model
from opsconsole.core.states import Stateful, States


class Balance(Uuid7Model):
    """A member's points in one program. `points_balance` is the sum of their transactions, kept by the ledger.

    It has no `created_at`: the runbooks join it to the ledger and speak of `created_at` without saying whose.
    """

    user_id = models.TextField()
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="balances", db_index=False)
    points_balance = models.BigIntegerField(default=0, db_default=0)
    locked = models.BigIntegerField(default=0, db_default=0)
    is_frozen = models.BooleanField(default=False, db_default=False)
    fraud_flags = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    # Whoever writes it by hand is checked by a trigger; an evaluation of a million is not looked up row by row.
    tier = models.ForeignKey(
        Tier, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False, db_constraint=False
    )
    tier_below_since = models.DateTimeField(null=True, blank=True)  # a downgrade has a time of grace
    joined_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "loyalty_balances"
        verbose_name = _("member")
        verbose_name_plural = _("members")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["program", "user_id"], name="balance_once_per_member"),
            models.CheckConstraint(condition=Q(locked__gte=0), name="locked_not_negative"),
            models.CheckConstraint(condition=Q(points_balance__gte=F("locked")), name="points_cover_locked"),
            models.CheckConstraint(condition=~Q(user_id=""), name="balance_is_of_somebody"),
        ]
        indexes = [
            models.Index(fields=["user_id"], name="balances_by_user"),
            models.Index(fields=["program", "id"], condition=Q(is_frozen=True), name="balances_frozen"),
            models.Index(fields=["program", "id"], condition=~Q(fraud_flags=[]), name="balances_flagged"),
        ]

    def __str__(self) -> str:
        return self.user_id

    @property
    def available(self) -> int:
        """Points that can be redeemed."""
        return self.points_balance - self.locked


class Transaction(Uuid7Model):
    """One movement of a member's points; a row stays as it is. Inserting one is the only way to change a balance.

    The balance is no foreign key: checking one costs half as much again as the insert, and the ledger's own trigger
    refuses a row whose balance there is not. Neither `user_id` nor `program_id`: the runbooks join the ledger to
    balances and name those columns without a table.
    """

    balance = models.ForeignKey(
        Balance, on_delete=models.PROTECT, related_name="transactions", db_constraint=False, db_index=False
    )
    event_type = models.TextField(choices=EventType.choices)
    amount = models.BigIntegerField()
    origin_txn_id = models.TextField(null=True, blank=True)
    idempotency_key = models.TextField(null=True, blank=True)
    purchase = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)  # what was spent on it
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    campaign_id = models.UUIDField(null=True, blank=True)
    reverses_id = models.UUIDField(null=True, blank=True)
    reason = models.TextField(null=True, blank=True)
    # Who moved them, by the name that the journal has for them; null in what was written before there was this column.
    actor = models.TextField(null=True, blank=True, db_default=CurrentActor(), editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_transactions"
        verbose_name = _("transaction")
        verbose_name_plural = _("transactions")
        default_permissions = ("view",)
        permissions = [("verify_ledger", "Can reconcile and verify the ledger of points")]
        constraints = [
            models.CheckConstraint(
                condition=Q(event_type__in=[EventType.EARN, EventType.BONUS], amount__gt=0)
                | Q(event_type__in=[EventType.REDEEM, EventType.EXPIRE], amount__lt=0)
                | (Q(event_type__in=[EventType.ADJUST, EventType.REVERSE]) & ~Q(amount=0)),
                name="points_go_the_right_way",
            ),
            models.CheckConstraint(
                condition=Q(event_type=EventType.REVERSE, reverses_id__isnull=False)
                | (~Q(event_type=EventType.REVERSE) & Q(reverses_id=None)),
                name="reversal_names_what_it_reverses",
            ),
        ]
        indexes = [
            models.Index(fields=["balance", "created_at"], name="transactions_of_balance"),
            BrinIndex(fields=["created_at"], name="transactions_by_time", pages_per_range=32),
            models.Index(
                fields=["campaign_id"], condition=Q(campaign_id__isnull=False), name="transactions_of_campaign"
            ),
            models.Index(fields=["reverses_id"], condition=Q(reverses_id__isnull=False), name="transactions_reversing"),
            models.Index(
                fields=["origin_txn_id"], condition=Q(origin_txn_id__isnull=False), name="transactions_by_origin"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.amount:+d}"


class UsedKey(models.Model):
    """An idempotency key that a program has used, with the transaction it led to; written by the ledger's trigger."""

    program = models.ForeignKey(
        Program, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    key = models.TextField()
    transaction_id = models.UUIDField()

    pk = models.CompositePrimaryKey("program_id", "key")

    class Meta:
        db_table = "loyalty_keys"
        default_permissions = ()


class TierSnapshot(Uuid7Model):
    """A member's change of tier: written when it changes, and only then.

    No constraint is checked for each row: that costs more than the whole evaluation, and neither members nor tiers can
    be deleted.
    """

    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="tier_snapshots", db_constraint=False)
    program = models.ForeignKey(
        Program, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    was = models.ForeignKey(
        Tier, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False, db_constraint=False
    )
    now = models.ForeignKey(
        Tier, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False, db_constraint=False
    )
    move = models.TextField(choices=TierMove.choices)
    points_in_window = models.BigIntegerField()
    rule_version = models.TextField()  # a digest of the tiers as they were
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_tier_snapshots"
        verbose_name = _("change of tier")
        verbose_name_plural = _("changes of tier")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["program", "created_at"], name="tier_snapshots_by_time")]

    def __str__(self) -> str:
        return f"{self.balance.user_id}: {self.was or '–'} → {self.now or '–'}"


class Redemption(Stateful, Uuid7Model):
    """A reward that a member took for points."""

    states: ClassVar[type[States]] = RedemptionState

    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="redemptions")
    reward = models.ForeignKey(Reward, on_delete=models.PROTECT, null=True, blank=True, related_name="redemptions")
    transaction_id = models.UUIDField(unique=True)
    points = models.BigIntegerField()
    status = models.TextField(
        choices=RedemptionState.choices, default=RedemptionState.CLAIMED, db_default=RedemptionState.CLAIMED.value
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_redemptions"
        verbose_name = _("redemption")
        verbose_name_plural = _("redemptions")
        default_permissions = ("view",)
        constraints = [models.CheckConstraint(condition=Q(points__gt=0), name="redemption_costs_points")]

    def __str__(self) -> str:
        return f"{self.reward or '–'}: {self.balance.user_id}"
