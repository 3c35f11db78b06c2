"""Campaigns: what is given to whom, the audience as it was frozen, and the chunks in which it was awarded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from loyalty.models.members import Balance
from loyalty.models.programs import Program
from loyalty.states import CampaignState, CampaignType, SkipReason
from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States

FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)  # before it


class Campaign(Stateful, Uuid7Model):
    """Points for everybody in a segment, once.

    `users_awarded`, `total_points_awarded`, `points_reversed` and `points_reserved` are kept by the ledger. The
    preview that was approved is in `preview`, with `estimated_users` and `estimated_points` out of it.
    """

    states: ClassVar[type[States]] = CampaignState

    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="campaigns")
    name = models.TextField()
    description = models.TextField(default="", blank=True, db_default="")
    campaign_type = models.TextField(
        choices=CampaignType.choices, default=CampaignType.BONUS, db_default=CampaignType.BONUS.value
    )
    target_segment = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    bonus_points = models.BigIntegerField()  # of a multiplier: percent of what was earned in its window
    window_start = models.DateTimeField(null=True, blank=True)  # a multiplier's
    window_end = models.DateTimeField(null=True, blank=True)
    start_date = models.DateTimeField()
    end_date = models.DateTimeField(null=True, blank=True)
    status = models.TextField(
        choices=CampaignState.choices, default=CampaignState.DRAFT, db_default=CampaignState.DRAFT.value
    )
    users_awarded = models.BigIntegerField(default=0, db_default=0)
    total_points_awarded = models.BigIntegerField(default=0, db_default=0)
    points_reversed = models.BigIntegerField(default=0, db_default=0)
    points_reserved = models.BigIntegerField(default=0, db_default=0)
    preview = models.JSONField(null=True, blank=True)
    estimated_users = models.BigIntegerField(null=True, blank=True)
    estimated_points = models.BigIntegerField(null=True, blank=True)
    audience_size = models.BigIntegerField(null=True, blank=True)  # once it is frozen
    launched_at = models.DateTimeField(null=True, blank=True)
    executed_at = models.DateTimeField(null=True, blank=True)  # of a completed one: since when its awards were made
    progress_at = models.DateTimeField(null=True, blank=True)  # launched, resumed, tried again, or the last award
    woken_at = models.DateTimeField(null=True, blank=True)  # a worker was last told of it
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    failure = models.TextField(default="", blank=True, db_default="")
    undone_at = models.DateTimeField(null=True, blank=True)
    undo_asked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.TextField(default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "loyalty_campaigns"
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(bonus_points__gt=0), name="campaign_gives_points"),
            models.CheckConstraint(
                condition=Q(end_date=None) | Q(end_date__gt=F("start_date")), name="campaign_ends_after_its_start"
            ),
            # Also what is pasted: nobody waits for the year 9999, and `infinity` is no time that a page could show.
            models.CheckConstraint(
                condition=Q(start_date__gte=FIRST, start_date__lt=LAST)
                & (Q(end_date=None) | Q(end_date__lt=LAST))
                & (Q(window_start=None) | Q(window_start__gte=FIRST))
                & (Q(window_end=None) | Q(window_end__lt=LAST)),
                name="campaign_dates_within_reach",
            ),
            models.CheckConstraint(
                condition=Q(campaign_type=CampaignType.BONUS, window_start=None, window_end=None)
                | Q(campaign_type=CampaignType.MULTIPLIER, window_end__gt=F("window_start")),
                name="campaign_is_of_its_type",
            ),
            models.CheckConstraint(
                condition=Q(points_reserved__gte=0, total_points_awarded__gte=F("points_reversed")),
                name="campaign_within_reservation",
            ),
        ]
        indexes = [
            models.Index(fields=["program", "-created_at"], name="campaigns_of_program"),
            models.Index(
                fields=["status", "start_date"],
                condition=Q(status__in=[CampaignState.SCHEDULED, CampaignState.RUNNING, CampaignState.PAUSED]),
                name="campaigns_under_way",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AudienceMember(models.Model):
    """One place in a campaign's frozen audience, with what it is worth: a member has one place at most.

    Ordinals begin at 1. Those below are of members who were awarded in a test run, before there was an audience.
    """

    # No index of its own: the key begins with it, and the planner would take the wrong one for a chunk.
    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, related_name="audience", db_constraint=False, db_index=False
    )
    ordinal = models.IntegerField()
    balance_id = models.UUIDField()
    points = models.BigIntegerField()

    pk = models.CompositePrimaryKey("campaign_id", "ordinal")

    class Meta:
        db_table = "loyalty_campaign_audience"
        default_permissions = ()


class Chunk(models.Model):
    """A run of ordinals that was awarded, in one transaction with this row: twice is impossible.

    `created_at` is to the microsecond that of its transactions in the ledger, by which an undo finds them. Numbers
    begin at 1; those below are of test runs.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="chunks", db_index=False)
    no = models.IntegerField()
    first_ordinal = models.IntegerField()
    last_ordinal = models.IntegerField()
    awarded = models.IntegerField()
    points = models.BigIntegerField()
    skipped = models.IntegerField()
    undone_at = models.DateTimeField(null=True, blank=True)
    points_undone = models.BigIntegerField(default=0, db_default=0)
    points_spent = models.BigIntegerField(default=0, db_default=0)  # what an undo found spent, or locked
    members_undone = models.IntegerField(default=0, db_default=0)  # from whom an undo took something back
    members_short = models.IntegerField(default=0, db_default=0)  # who had not all of it any more
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    pk = models.CompositePrimaryKey("campaign_id", "no")

    class Meta:
        db_table = "loyalty_campaign_chunks"
        default_permissions = ()


class Skip(models.Model):
    """A member of the audience who was not awarded, and why."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="skips", db_index=False)
    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="+", db_index=False)
    reason = models.TextField(choices=SkipReason.choices)

    pk = models.CompositePrimaryKey("campaign_id", "balance_id")

    class Meta:
        db_table = "loyalty_campaign_skips"
        default_permissions = ()
