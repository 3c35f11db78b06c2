"""The JSON of plans, runs and steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from opsconsole.approvals.serializers import PasskeySerializer
from opsconsole.plans import calendars
from opsconsole.plans.models import Calendar, Plan, Run, Step
from opsconsole.plans.selectors import approval_of, notable_steps, progress_of
from opsconsole.plans.services.resolution import OUTCOMES
from opsconsole.plans.states import OnFailure


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.JSONField):
    """A JSON object; its keys are the caller's own."""

    def to_internal_value(self, data: Any) -> Any:
        """The object as it came; raises ValidationError for any other JSON value."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object")
        return data


class PlanDraftSerializer(serializers.Serializer[Any]):
    """What `POST /api/ops/plans` takes."""

    external_id = serializers.CharField(max_length=200, help_text="Your own id for it; makes a repetition harmless.")
    name = serializers.CharField(max_length=200)
    description = serializers.CharField(max_length=4000, required=False, default="", allow_blank=True)
    plan_type = serializers.CharField(max_length=50)
    payload = ObjectField(help_text="By the plan type; see `GET /api/ops/plan-types`.")
    required_approvals = serializers.IntegerField(
        min_value=1,
        max_value=20,
        required=False,
        allow_null=True,
        default=None,
        help_text="May raise the policy's quorum, never lower it; the value in force is returned.",
    )
    on_failure = serializers.ChoiceField(OnFailure.choices, required=False, default=OnFailure.STOP.value)
    not_before = serializers.DateTimeField(required=False, allow_null=True, default=None)
    not_after = serializers.DateTimeField(required=False, allow_null=True, default=None)


class PlanEditSerializer(serializers.Serializer[Any]):
    """What `PATCH /api/ops/plans/{id}` takes: any of these, on a draft."""

    name = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(max_length=4000, required=False, allow_blank=True)
    payload = ObjectField(required=False)
    required_approvals = serializers.IntegerField(min_value=1, max_value=20, required=False, allow_null=True)
    on_failure = serializers.ChoiceField(OnFailure.choices, required=False)
    not_before = serializers.DateTimeField(required=False, allow_null=True)
    not_after = serializers.DateTimeField(required=False, allow_null=True)
    status = serializers.ChoiceField(
        ["draft"], required=False, help_text="`draft` takes a staged or approved plan back to be edited."
    )


@extend_schema_serializer(component_name="PlanReason")
class ReasonSerializer(serializers.Serializer[Any]):
    """A reason, for the journal."""

    reason = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)


@extend_schema_serializer(component_name="PlanRejection")
class MandatoryReasonSerializer(serializers.Serializer[Any]):
    """A reason that must be given."""

    reason = serializers.CharField(max_length=2000)


class BreakGlassSerializer(serializers.Serializer[Any]):
    """What `POST .../break-glass` takes."""

    incident = serializers.CharField(max_length=200, help_text="The id under which the emergency is handled.")
    reason = serializers.CharField(max_length=2000)


@extend_schema_serializer(component_name="PlanApproval")
class ApprovalSerializer(serializers.Serializer[Any]):
    """What `POST .../approve` takes; all may be left out where the policy asks for no signature."""

    signature = serializers.CharField(
        max_length=200,
        required=False,
        default="",
        allow_blank=True,
        allow_null=True,
        help_text="Base64 of an Ed25519 signature over `signing_text`.",
    )
    passkey = PasskeySerializer(required=False, allow_null=True, default=None, help_text="In place of `signature`.")
    comments = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)


class ResolutionSerializer(serializers.Serializer[Any]):
    """What `POST .../steps/{id}/resolve` takes."""

    outcome = serializers.ChoiceField(OUTCOMES)
    evidence = serializers.CharField(max_length=2000, help_text="How you know.")
    reference = serializers.CharField(
        max_length=200, required=False, default="", allow_blank=True, help_text="The target's own id of it."
    )


class LiveApprovalSerializer(serializers.Serializer[Any]):
    """An approval that counts now."""

    user = serializers.CharField()
    role = serializers.CharField(help_text="The role by which it counts.")
    at = serializers.DateTimeField()
    signed = serializers.BooleanField()


class PlanSerializer(serializers.ModelSerializer[Plan]):
    """A plan. `approvals` are the live ones; `digest` is what they are bound to."""

    created_by = serializers.CharField(source="created_by.username", read_only=True)
    payload = ObjectField(read_only=True)
    approvals = LiveApprovalSerializer(many=True, read_only=True)
    estimated_impact = ObjectField(
        read_only=True, allow_null=True, help_text="Counts, sums, balances after, fees, warnings; null in a draft."
    )

    class Meta:
        model = Plan
        fields: tuple[str, ...] = (
            "id",
            "external_id",
            "name",
            "description",
            "plan_type",
            "payload",
            "status",
            "required_approvals",
            "approvals",
            "estimated_impact",
            "digest",
            "revision",
            "on_failure",
            "not_before",
            "not_after",
            "created_by",
            "created_at",
            "updated_at",
            "staged_at",
        )
        read_only_fields = fields


class PlanDetailSerializer(PlanSerializer):
    """One plan, with the approval request that it waits for or was approved by."""

    approval_id = serializers.SerializerMethodField(
        help_text="`GET /api/approvals/{approval_id}` says who has agreed, who is still needed, and the text to sign."
    )

    class Meta(PlanSerializer.Meta):
        fields = (*PlanSerializer.Meta.fields, "approval_id")
        read_only_fields = fields

    def get_approval_id(self, plan: Plan) -> UUID | None:
        """The live request; null while there is none."""
        return approval_of(plan)


class RunIdSerializer(serializers.Serializer[Any]):
    """The run that was queued."""

    run_id = serializers.UUIDField()


class ProgressSerializer(serializers.Serializer[Any]):
    """How far a run has come."""

    total = serializers.IntegerField()
    done = serializers.IntegerField(help_text="Steps that need no more work.")
    percent = serializers.IntegerField()
    by_state = serializers.DictField(child=serializers.IntegerField())


class StepSerializer(serializers.ModelSerializer[Step]):
    """A step, with what its target said."""

    payload = ObjectField(read_only=True)
    compensation = ObjectField(read_only=True, allow_null=True, help_text="What undoes it; null: nothing does.")
    result = ObjectField(read_only=True, allow_null=True)

    class Meta:
        model = Step
        fields = (
            "id",
            "seq",
            "direction",
            "kind",
            "key",
            "status",
            "attempt",
            "needs_person",
            "payload",
            "compensation",
            "result",
            "started_at",
            "finished_at",
        )
        read_only_fields = fields


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run. A wish of a person stands in `..._asked_at`, its effect in `paused_at` or `finished_at`."""

    plan_id = serializers.UUIDField(read_only=True)
    retry_of_id = serializers.UUIDField(read_only=True, allow_null=True)
    result = ObjectField(read_only=True, allow_null=True)
    progress = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields: tuple[str, ...] = (
            "id",
            "plan_id",
            "direction",
            "status",
            "run_at",
            "started_at",
            "finished_at",
            "deadline_at",
            "requested_by",
            "retry_of_id",
            "revision",
            "waiting_for",
            "pause_asked_at",
            "paused_at",
            "cancel_asked_at",
            "result",
            "progress",
        )
        read_only_fields = fields

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, run: Run) -> dict[str, Any]:
        """Counts of steps."""
        progress = progress_of(run)
        return {
            "total": progress.total,
            "done": progress.done,
            "percent": progress.percent,
            "by_state": progress.by_state,
        }


class RunDetailSerializer(RunSerializer):
    """A run with the first of its steps that are under way, failed, unknown or skipped."""

    steps = serializers.SerializerMethodField()

    class Meta(RunSerializer.Meta):
        fields = (*RunSerializer.Meta.fields, "steps")
        read_only_fields = fields

    @extend_schema_field(StepSerializer(many=True))
    def get_steps(self, run: Run) -> Any:
        """At most 50; all of them have an address of their own."""
        return StepSerializer(notable_steps(run), many=True).data


class PlanTypeSerializer(serializers.Serializer[Any]):
    """A plan type and a payload that works for it."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # of the plan type, not of the field
    summary = serializers.CharField()
    example = serializers.JSONField()


class PlanTypesSerializer(serializers.Serializer[Any]):
    """All of them; there is never a second page."""

    results = PlanTypeSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


@extend_schema_field({"type": "string", "pattern": r"^\d\d:\d\d(:\d\d)?$"})
class LocalTimeField(serializers.TimeField):
    """A time of day on a wall clock: no zone, so not the format `time` of JSON Schema."""


class CalendarDraftSerializer(serializers.Serializer[Any]):
    """What `POST /api/ops/calendars` takes. Empty lists mean all; with `weekdays` it is weekly, without it is once."""

    name = serializers.CharField(max_length=200)
    reason = serializers.CharField(max_length=2000)
    plan_types = serializers.ListField(child=serializers.CharField(max_length=50), required=False, max_length=50)
    banks = serializers.ListField(
        child=serializers.CharField(max_length=100), required=False, max_length=200, help_text="Codes of banks."
    )
    currencies = serializers.ListField(child=serializers.CharField(max_length=3), required=False, max_length=200)
    time_zone = serializers.CharField(
        max_length=64, required=False, help_text="Of the times of the day; a name such as `Europe/Berlin`."
    )
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=7), required=False, max_length=7, help_text="1 is Monday."
    )
    from_time = LocalTimeField(required=False, allow_null=True)
    until_time = LocalTimeField(
        required=False, allow_null=True, help_text="On the next day, where it is not later than `from_time`."
    )
    starts_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Now, if it is left out.")
    ends_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Needed, unless it is weekly.")


class CalendarSerializer(serializers.ModelSerializer[Calendar]):
    """A freeze calendar; `holds_now` says whether it keeps plans from being executed at this moment."""

    plan_types = serializers.ListField(child=serializers.CharField())
    banks = serializers.ListField(child=serializers.CharField())
    currencies = serializers.ListField(child=serializers.CharField())
    weekdays = serializers.ListField(child=serializers.IntegerField())
    created_by = serializers.CharField(source="created_by.username")
    from_time = LocalTimeField(allow_null=True)
    until_time = LocalTimeField(allow_null=True)
    holds_now = serializers.SerializerMethodField()
    next_from = serializers.SerializerMethodField(help_text="When it holds next, or since when it does.")
    next_until = serializers.SerializerMethodField()

    class Meta:
        model = Calendar
        fields = (
            "id",
            "name",
            "reason",
            "plan_types",
            "banks",
            "currencies",
            "time_zone",
            "weekdays",
            "from_time",
            "until_time",
            "starts_at",
            "ends_at",
            "created_by",
            "created_at",
            "ended_at",
            "ended_by",
            "holds_now",
            "next_from",
            "next_until",
        )
        read_only_fields = fields

    def get_holds_now(self, calendar: Calendar) -> bool:
        """Whether it holds."""
        return calendars.holds(calendar, timezone.now())

    def get_next_from(self, calendar: Calendar) -> datetime | None:
        """The beginning of the stretch that holds, or of the next one."""
        stretch = calendars.next_stretch(calendar, timezone.now())
        return stretch.starts if stretch else None

    def get_next_until(self, calendar: Calendar) -> datetime | None:
        """Its end."""
        stretch = calendars.next_stretch(calendar, timezone.now())
        return stretch.ends if stretch else None
