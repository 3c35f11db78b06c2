"""Programs, and what a program is made of: tiers, rules of earning, rewards."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from loyalty.states import ProgramState, RuleKind
from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States


class Program(Stateful, Uuid7Model):
    """A budget of points, the rate at which they are earned, and whether it is open.

    `budget_spent` and `budget_reserved` are kept by the ledger (see `loyalty.sql`). All three are NUMERIC, so that
    the runbooks' ratios are not cut to whole numbers.
    """

    states: ClassVar[type[States]] = ProgramState

    name = models.TextField(unique=True)
    description = models.TextField(default="", blank=True, db_default="")
    status = models.TextField(
        choices=ProgramState.choices, default=ProgramState.ACTIVE, db_default=ProgramState.ACTIVE.value
    )
    budget_limit = models.DecimalField(max_digits=20, decimal_places=2)
    budget_spent = models.DecimalField(max_digits=20, decimal_places=2, default=0, db_default=0)
    budget_reserved = models.DecimalField(max_digits=20, decimal_places=2, default=0, db_default=0)
    earn_rate = models.DecimalField(max_digits=14, decimal_places=6, default=1, db_default=1)  # points per unit spent
    points_valid_months = models.PositiveSmallIntegerField(null=True, blank=True)  # None: points never expire
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_programs"
        verbose_name = _("loyalty program")
        verbose_name_plural = _("loyalty programs")
        default_permissions = ("view",)
        # Whatever is done in a program is a right on the program: so it can be granted on a single one.
        permissions = [
            ("create_program", "Can set up a loyalty program"),
            ("change_program", "Can ask for another budget or earn rate"),
            ("suspend_program", "Can ask for a program to be suspended"),
            ("evaluate_tiers", "Can have the tiers of members evaluated"),
            ("earn_points", "Can give members points for purchases"),
            ("redeem_points", "Can redeem members' points"),
            ("adjust_points", "Can adjust members' points"),
            ("reverse_points", "Can take transactions of points back"),
            ("freeze_member", "Can freeze a member and lock their points"),
            ("unfreeze_member", "Can unfreeze a member and unlock their points"),
            ("export_member", "Can export what is known of a member"),
            ("erase_member", "Can erase a member's identity"),
            ("import_purchases", "Can import purchases"),
            ("draft_campaign", "Can draft and preview campaigns"),
            ("launch_campaign", "Can schedule, launch, pause and resume campaigns"),
            ("undo_campaign", "Can take a campaign's awards back"),
            ("issue_vouchers", "Can issue and withdraw vouchers"),
            ("export_vouchers", "Can take voucher codes away as a file"),
            ("decide_fraud", "Can give a verdict on a fraud hit"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(budget_limit__gt=0), name="program_has_a_budget"),
            models.CheckConstraint(
                condition=Q(budget_limit__gte=F("budget_spent") + F("budget_reserved")), name="program_within_budget"
            ),
            models.CheckConstraint(
                condition=Q(budget_spent__gte=0, budget_reserved__gte=0), name="program_budget_not_negative"
            ),
            models.CheckConstraint(condition=Q(earn_rate__gte=0), name="program_earn_rate_not_negative"),
            # For ever is null: of 0 months, all that anybody has would be gone with the next run.
            models.CheckConstraint(
                condition=Q(points_valid_months=None) | Q(points_valid_months__gte=1),
                name="program_points_last_a_while",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def budget_left(self) -> Decimal:
        """Points that can still be given or reserved."""
        return self.budget_limit - self.budget_spent - self.budget_reserved


class Tier(Uuid7Model):
    """A standing in a program, reached by what was earned in a window of months."""

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="tiers")
    name = models.TextField()
    rank = models.PositiveSmallIntegerField()  # the higher the better
    threshold = models.BigIntegerField()  # points earned in the window
    window_months = models.PositiveSmallIntegerField(default=12, db_default=12)
    multiplier = models.DecimalField(max_digits=6, decimal_places=3, default=1, db_default=1)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_tiers"
        verbose_name = _("tier")
        verbose_name_plural = _("tiers")
        default_permissions = ("view",)
        ordering = ("program", "rank")
        constraints = [
            models.UniqueConstraint(fields=["program", "name"], name="tier_name_once_per_program"),
            models.UniqueConstraint(fields=["program", "rank"], name="tier_rank_once_per_program"),
            models.CheckConstraint(condition=Q(threshold__gte=0, window_months__gte=1), name="tier_can_be_reached"),
            models.CheckConstraint(condition=Q(multiplier__gt=0), name="tier_multiplies_upwards"),
        ]

    def __str__(self) -> str:
        return self.name


class Rule(Uuid7Model):
    """What a program does to an earn besides its rate: multiplies it, or caps it per member and period."""

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="rules")
    name = models.TextField()
    kind = models.TextField(choices=RuleKind.choices)
    multiplier = models.DecimalField(max_digits=6, decimal_places=3, null=True, blank=True)
    cap_points = models.BigIntegerField(null=True, blank=True)
    period_days = models.PositiveSmallIntegerField(null=True, blank=True)  # a cap's
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_rules"
        verbose_name = _("earning rule")
        verbose_name_plural = _("earning rules")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["program", "name"], name="rule_name_once_per_program"),
            models.CheckConstraint(
                condition=Q(kind=RuleKind.MULTIPLIER, multiplier__gt=0, cap_points=None, period_days=None)
                | Q(kind=RuleKind.CAP, multiplier=None, cap_points__gt=0, period_days__gte=1),
                name="rule_is_of_its_kind",
            ),
            models.CheckConstraint(
                condition=Q(starts_at=None) | Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="rule_lasts"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Reward(Uuid7Model):
    """Something that points are redeemed for."""

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="rewards")
    name = models.TextField()
    points = models.BigIntegerField()
    stock = models.IntegerField(null=True, blank=True)  # None: as many as are asked for
    per_member = models.PositiveIntegerField(null=True, blank=True)
    active = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_rewards"
        verbose_name = _("reward")
        verbose_name_plural = _("rewards")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["program", "name"], name="reward_name_once_per_program"),
            models.CheckConstraint(condition=Q(points__gt=0), name="reward_costs_points"),
            models.CheckConstraint(condition=Q(stock=None) | Q(stock__gte=0), name="reward_stock_not_negative"),
        ]

    def __str__(self) -> str:
        return self.name
