"""Campaigns."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from loyalty.campaigns import approval, checklist
from loyalty.campaigns.definition import MAX_DESCRIPTION, MAX_NAME, MOST_BONUS
from loyalty.campaigns.progress import progress_of
from loyalty.models import Campaign, Skip
from loyalty.reasons import MAX_REASON
from loyalty.serializers.members import MAX_USER
from loyalty.services.trials import MOST_MEMBERS
from loyalty.services.undoing import report_of
from loyalty.states import CampaignState, CampaignType, SkipReason
from opsconsole.core.camel import CamelModelSerializer, CamelSerializer, camel_keys
from opsconsole.core.texts import english


class CampaignSerializer(CamelModelSerializer):
    """A campaign. The totals are the ledger's own; `failure` says why it has failed, or was not launched yet."""

    program_id = serializers.UUIDField(read_only=True)
    campaign_type = serializers.ChoiceField(CampaignType.choices, read_only=True)
    status = serializers.ChoiceField(CampaignState.choices, read_only=True)
    target_segment = serializers.JSONField(read_only=True)

    class Meta:
        model = Campaign
        fields: tuple[str, ...] = (
            "id",
            "program_id",
            "name",
            "description",
            "campaign_type",
            "target_segment",
            "bonus_points",
            "window_start",
            "window_end",
            "start_date",
            "end_date",
            "status",
            "failure",
            "estimated_users",
            "estimated_points",
            "audience_size",
            "users_awarded",
            "total_points_awarded",
            "points_reversed",
            "points_reserved",
            "launched_at",
            "executed_at",
            "undo_asked_at",
            "undone_at",
            "created_by",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class CampaignProgressSerializer(CamelSerializer):
    """How far a campaign is; `heldBackBy` is `paused`, `program_suspended` or empty."""

    chunks_done = serializers.IntegerField()
    chunks = serializers.IntegerField()
    members_done = serializers.IntegerField()
    members = serializers.IntegerField()
    moved_at = serializers.DateTimeField(allow_null=True)
    held_back_by = serializers.CharField()


class CampaignApprovalSerializer(CamelSerializer):
    """The last request for approval of the launch."""

    id = serializers.UUIDField()
    status = serializers.CharField()
    expires_at = serializers.DateTimeField()


class CampaignUndoSerializer(CamelSerializer):
    """What an undo has come to: points given, taken back, and spent or locked already; the members it met."""

    points_given = serializers.IntegerField()
    points_taken_back = serializers.IntegerField()
    points_spent = serializers.IntegerField()
    members_awarded = serializers.IntegerField()
    members_affected = serializers.IntegerField()
    members_short = serializers.IntegerField()
    finished = serializers.BooleanField()


class CampaignDetailSerializer(CampaignSerializer):
    """A campaign with its preview, its approval, how far it is, and what an undo has come to."""

    preview = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    approval = serializers.SerializerMethodField()
    undo = serializers.SerializerMethodField()

    class Meta(CampaignSerializer.Meta):
        fields = (*CampaignSerializer.Meta.fields, "preview", "progress", "approval", "undo")
        read_only_fields = fields

    @extend_schema_field(serializers.JSONField(allow_null=True))
    def get_preview(self, campaign: Campaign) -> Any:
        """The figures as they were when it was last previewed."""
        return camel_keys(campaign.preview)

    @extend_schema_field(CampaignProgressSerializer)
    def get_progress(self, campaign: Campaign) -> Any:
        """Chunks and members."""
        return CampaignProgressSerializer(progress_of(campaign)).data

    @extend_schema_field(CampaignApprovalSerializer(allow_null=True))
    def get_approval(self, campaign: Campaign) -> Any:
        """None where nobody was asked."""
        request = approval.request_of(campaign)
        return None if request is None else CampaignApprovalSerializer(request).data

    @extend_schema_field(CampaignUndoSerializer(allow_null=True))
    def get_undo(self, campaign: Campaign) -> Any:
        """None where nobody has asked for one."""
        return None if campaign.undo_asked_at is None else CampaignUndoSerializer(report_of(campaign)).data


class CampaignChangeSerializer(CamelSerializer):
    """What a campaign consists of; of a draft all of it can be changed."""

    name = serializers.CharField(max_length=MAX_NAME)
    description = serializers.CharField(max_length=MAX_DESCRIPTION, required=False, default="", allow_blank=True)
    campaign_type = serializers.ChoiceField(CampaignType.choices, required=False, default=CampaignType.BONUS.value)
    target_segment = serializers.JSONField(
        required=False, default=dict, help_text="Whom it is for: a segment; {} is everybody in the program."
    )
    bonus_points = serializers.IntegerField(
        min_value=1, max_value=MOST_BONUS, help_text="Of a multiplier: per cent of what was earned in its window."
    )
    window_start = serializers.DateTimeField(required=False, default=None, allow_null=True)
    window_end = serializers.DateTimeField(required=False, default=None, allow_null=True)
    start_date = serializers.DateTimeField(help_text="When it is launched, if others have agreed by then.")
    end_date = serializers.DateTimeField(
        required=False, default=None, allow_null=True, help_text="Nothing is awarded from then on."
    )


class NewCampaignSerializer(CampaignChangeSerializer):
    """A campaign to be."""

    program_id = serializers.UUIDField()


class CampaignEditSerializer(CampaignChangeSerializer):
    """Other facts for a draft; `{"status": "draft"}` takes a scheduled one back first."""

    status = serializers.ChoiceField([CampaignState.DRAFT.value], required=False)


class CampaignScheduleSerializer(CamelSerializer):
    """When to launch, where that is to be another time, and why."""

    start_date = serializers.DateTimeField(required=False, default=None, allow_null=True)
    reason = serializers.CharField(max_length=MAX_REASON, required=False, default="", allow_blank=True)


class CampaignTestSerializer(CamelSerializer):
    """The members to award before the launch."""

    user_ids = serializers.ListField(
        child=serializers.CharField(max_length=MAX_USER), min_length=1, max_length=MOST_MEMBERS
    )


class CampaignTestedMemberSerializer(CamelSerializer):
    """A member who was awarded in a test run."""

    user_id = serializers.CharField()
    balance_id = serializers.UUIDField()
    points = serializers.IntegerField()


class CampaignTestedSerializer(CamelSerializer):
    """What a test run has awarded."""

    awarded = CampaignTestedMemberSerializer(many=True)


class CampaignExecutionSerializer(CamelSerializer):
    """Which campaign a worker is to go on with."""

    campaign_id = serializers.UUIDField()


class CampaignExecutionAnswerSerializer(CamelSerializer):
    """A worker was told: `accepted`, and `campaign` says how far it is; or `approval_required`, and who must agree."""

    status = serializers.CharField()
    campaign = CampaignDetailSerializer(required=False)
    approval_request_id = serializers.UUIDField(required=False)
    required_roles = serializers.ListField(child=serializers.CharField(), required=False)


class CampaignSampleSerializer(CamelSerializer):
    """A member of the audience with what the ledger gave them."""

    user_id = serializers.CharField()
    awarded = serializers.IntegerField()
    points_balance = serializers.IntegerField()
    updated_at = serializers.DateTimeField()
    transaction_id = serializers.UUIDField(allow_null=True)


class CampaignChecklistItemSerializer(CamelSerializer):
    """One point; `holds` is null while it cannot be said."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # a member of the form, not the serializer's own
    holds = serializers.BooleanField(allow_null=True)
    detail = serializers.CharField()


class CampaignChecklistSerializer(CamelSerializer):
    """One of the three checklists of the runbook."""

    key = serializers.CharField()
    title = serializers.CharField()
    holds = serializers.BooleanField(allow_null=True)
    items = CampaignChecklistItemSerializer(many=True)


class CampaignChecklistsSerializer(CamelSerializer):
    """All three, and some members to look at."""

    checklists = CampaignChecklistSerializer(many=True)
    sample = CampaignSampleSerializer(many=True)


class CampaignSkipSerializer(CamelModelSerializer):
    """A member of the segment who is not awarded, and why."""

    balance_id = serializers.UUIDField(read_only=True)
    user_id = serializers.CharField(source="balance.user_id", read_only=True)
    reason = serializers.ChoiceField(SkipReason.choices, read_only=True)

    class Meta:
        model = Skip
        fields = ("balance_id", "user_id", "reason")
        read_only_fields = fields


def checklists_of(campaign: Campaign) -> dict[str, Any]:
    """The checklists and the sample, as the API tells them."""
    found = [
        {
            "key": one.key,
            "title": english(one.title),
            "holds": one.holds,
            "items": [
                {"key": item.key, "label": english(item.label), "holds": item.holds, "detail": english(item.detail)}
                for item in one.items
            ],
        }
        for one in checklist.checklists(campaign)
    ]
    return dict(CampaignChecklistsSerializer({"checklists": found, "sample": checklist.sample(campaign)}).data)
