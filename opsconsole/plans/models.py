"""Plans, their runs and their steps; the runbook's SQL reads and writes these tables under these names."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import Uuid7Model
from opsconsole.core.states import Stateful, States
from opsconsole.plans.states import (
    LIVE_RUNS,
    Direction,
    OnFailure,
    PlanState,
    RunState,
    StepState,
    Waiting,
)


class Plan(Uuid7Model, Stateful):
    """A dangerous operation that people approve and a worker executes."""

    states: ClassVar[type[States]] = PlanState

    external_id = models.TextField(unique=True)
    name = models.TextField()
    description = models.TextField(default="", blank=True)
    plan_type = models.TextField()
    payload = models.JSONField()
    status = models.TextField(choices=PlanState.choices, default=PlanState.DRAFT)
    on_failure = models.TextField(choices=OnFailure.choices, default=OnFailure.STOP)
    required_approvals = models.IntegerField()  # the quorum in force: the policy's, or more if the plan asks
    asked_approvals = models.IntegerField(null=True)  # what the plan asked for
    approvals = models.JSONField(default=list)  # summary of the live decisions, for people with psql
    estimated_impact = models.JSONField(null=True)
    digest = models.TextField(default="", blank=True)  # of the staged content: what is approved
    body_digest = models.TextField()  # of the request that made it: tells a repetition from a clash
    revision = models.IntegerField(default=1)
    not_before = models.DateTimeField(null=True)
    not_after = models.DateTimeField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    edited_by = models.JSONField(default=list)  # ids of everyone who shaped the content: none of them may approve
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    staged_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "ops_plans"
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        default_permissions = ("view",)
        permissions = [
            ("create_plan", "Can draft and edit plans"),
            ("stage_plan", "Can stage, restage and cancel plans"),
            ("execute_plan", "Can execute, pause, retry and roll back plans"),
            ("break_glass", "Can execute a staged plan in an emergency, without its quorum or through a calendar"),
            ("force_fail_run", "Can end a stuck run as failed"),
            ("export_evidence", "Can download the evidence of a plan"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(required_approvals__gte=1), name="plan_needs_an_approval"),
            models.CheckConstraint(
                condition=Q(not_before__isnull=True)
                | Q(not_after__isnull=True)
                | Q(not_after__gt=models.F("not_before")),
                name="plan_window_has_a_length",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="plans_newest_first"),
            models.Index(fields=["status", "plan_type"], name="plans_by_status"),
        ]

    def __str__(self) -> str:
        return self.name


class Run(Uuid7Model, Stateful):
    """One pass of a worker through a plan's steps, in one direction, under a lease with a fencing epoch."""

    states: ClassVar[type[States]] = RunState

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="runs")
    direction = models.TextField(choices=Direction.choices, default=Direction.EXECUTE)
    status = models.TextField(choices=RunState.choices, default=RunState.QUEUED)
    run_at = models.DateTimeField(db_default=Now())  # when it was asked for
    result = models.JSONField(null=True)
    retry_of = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="retries")
    requested_by = models.TextField()  # the actor's name, who may be a part of the system
    revision = models.IntegerField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField()
    # The lease: who works on it, until when, and the number that every write of theirs carries.
    lease_owner = models.TextField(default="", blank=True)
    lease_epoch = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    # Without a lease: when to look again, and what for.
    wake_at = models.DateTimeField(null=True)
    waiting_for = models.TextField(choices=Waiting.choices, default=Waiting.NOTHING, blank=True)
    stalls = models.IntegerField(default=0)
    # What people asked, and when it took effect: at a step boundary.
    pause_asked_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    cancel_asked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "ops_plan_runs"
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "direction"], condition=Q(status__in=LIVE_RUNS), name="one_live_run"
            )
        ]
        indexes = [
            models.Index(fields=["plan", "-run_at"], name="runs_of_plan"),
            models.Index(fields=["wake_at"], condition=Q(status__in=LIVE_RUNS), name="runs_live"),
            models.Index(fields=["-run_at", "-id"], name="runs_newest_first"),
        ]

    def __str__(self) -> str:
        return f"{Direction(self.direction).label} {self.pk}"

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.status in LIVE_RUNS


class Step(Uuid7Model, Stateful):
    """One submission to the outside, with the compensation that was approved along with it."""

    states: ClassVar[type[States]] = StepState

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="steps")
    revision = models.IntegerField()
    direction = models.TextField(choices=Direction.choices, default=Direction.EXECUTE)
    seq = models.IntegerField()
    kind = models.TextField()
    key = models.TextField(unique=True)  # the same for every attempt; sent to the target
    payload = models.JSONField()
    compensation = models.JSONField(null=True)  # null: cannot be undone
    undoes = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="undone_by")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, null=True, related_name="steps")  # the last to touch it
    status = models.TextField(choices=StepState.choices, default=StepState.PENDING)
    attempt = models.IntegerField(default=0)
    needs_person = models.BooleanField(default=False)
    probed_at = models.DateTimeField(null=True)  # when the target was last asked about it after its run had ended
    result = models.JSONField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "ops_plan_steps"
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        default_permissions = ("view",)
        permissions = [("resolve_step", "Can resolve a step whose outcome is unknown")]
        constraints = [
            models.UniqueConstraint(fields=["plan", "revision", "direction", "seq"], name="step_stands_once"),
        ]
        indexes = [
            models.Index(fields=["plan", "revision", "direction", "status", "seq"], name="steps_by_status"),
            models.Index(
                fields=["plan"],
                condition=Q(status__in=(StepState.UNKNOWN, StepState.RUNNING)),
                name="steps_in_doubt",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"


class Calendar(Uuid7Model):
    """A stretch of time, once or each week, in which plans of some types are not executed.

    An empty list of plan types, banks or currencies means all of them. Once: from `starts_at` to `ends_at`. Each week:
    on these days of the week (1 is Monday) from `from_time` to `until_time` on the clocks of `time_zone`, into the
    next day where that is not later; between `starts_at` and `ends_at` if there is an end.
    """

    name = models.TextField()
    reason = models.TextField()
    plan_types = models.JSONField(default=list)
    banks = models.JSONField(default=list)
    currencies = models.JSONField(default=list)
    time_zone = models.TextField(default="UTC")
    weekdays = models.JSONField(default=list)  # empty: once
    from_time = models.TimeField(null=True)
    until_time = models.TimeField(null=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)  # ended by a person, before its time
    ended_by = models.TextField(default="", blank=True)

    class Meta:
        db_table = "ops_calendars"
        verbose_name = _("freeze calendar")
        verbose_name_plural = _("freeze calendars")
        default_permissions = ("view",)
        permissions = [("manage_calendar", "Can create and end freeze calendars")]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=models.F("starts_at")),
                name="calendar_has_a_length",
            ),
            models.CheckConstraint(
                condition=Q(weekdays=[], ends_at__isnull=False, from_time__isnull=True, until_time__isnull=True)
                | (~Q(weekdays=[]) & Q(from_time__isnull=False, until_time__isnull=False)),
                name="calendar_once_or_weekly",
            ),
        ]
        indexes = [models.Index(fields=["ends_at"], condition=Q(ended_at=None), name="calendars_in_force")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_weekly(self) -> bool:
        """Whether it comes again each week."""
        return bool(self.weekdays)


class BreakGlass(Uuid7Model):
    """A plan that one person executed in an emergency: who, for which incident, and what was passed over."""

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="broken_glass")
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="broken_glass")
    request_id = models.UUIDField()  # the approval request whose quorum was passed over, or that was used up
    review_id = models.UUIDField()
    digest = models.TextField()
    incident = models.TextField()
    reason = models.TextField()
    without_quorum = models.BooleanField()
    calendars = models.JSONField(default=list)  # ids and names of those that were passed
    broken_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "ops_break_glass"
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=~Q(incident="") & ~Q(reason=""), name="break_glass_says_why"),
        ]
        indexes = [models.Index(fields=["plan", "-at"], name="break_glass_of_plan")]

    def __str__(self) -> str:
        return f"{self.incident} {self.plan_id}"


class RunTotal(models.Model):
    """How many runs have ended in a status and how long they took; kept by a trigger, read by the metrics."""

    status = models.TextField(primary_key=True)
    runs = models.BigIntegerField(default=0)
    seconds = models.FloatField(default=0)

    class Meta:
        db_table = "ops_run_totals"
        default_permissions = ()
