"""The doors of campaigns, and of the worker that executes them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty import access
from loyalty.api.base import LoyaltyView
from loyalty.models import Campaign, Skip
from loyalty.selectors import one_moment
from loyalty.serializers.asking import ASKED_EXAMPLE, WhySerializer, asked_answer, asked_response
from loyalty.serializers.campaigns import (
    CampaignChecklistsSerializer,
    CampaignDetailSerializer,
    CampaignEditSerializer,
    CampaignExecutionAnswerSerializer,
    CampaignExecutionSerializer,
    CampaignScheduleSerializer,
    CampaignSerializer,
    CampaignSkipSerializer,
    CampaignTestedSerializer,
    CampaignTestSerializer,
    NewCampaignSerializer,
    checklists_of,
)
from loyalty.services import campaigns, launches, trials, undoing
from loyalty.services.trials import Tested
from loyalty.states import CampaignState, SkipReason
from opsconsole.approvals.gate import Asked
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import APPROVAL_ID, problem_response
from opsconsole.core.pagination import NewestFirst

TAGS = ["loyalty"]
ACCEPTED = 202
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409, 422)}

NEW = OpenApiExample(
    "The same bonus for everybody who has bought lately",
    value={
        "programId": "0198c0de-0000-7000-8000-000000000001",
        "name": "Spring bonus",
        "description": "Thanks to everybody who has bought something in the last 90 days",
        "campaignType": "bonus_points",
        "targetSegment": {">=": [{"count": {"event": "earn", "days": 90}}, 1]},
        "bonusPoints": 50,
        "startDate": "2027-03-20T08:00:00Z",
        "endDate": "2027-03-27T08:00:00Z",
    },
    request_only=True,
)
DOUBLE = OpenApiExample(
    "Double points for a week, paid afterwards",
    value={
        "programId": "0198c0de-0000-7000-8000-000000000001",
        "name": "Double week",
        "description": "What was earned in the first week of March once more",
        "campaignType": "multiplier",
        "bonusPoints": 100,
        "windowStart": "2027-03-01T00:00:00Z",
        "windowEnd": "2027-03-08T00:00:00Z",
        "startDate": "2027-03-09T08:00:00Z",
    },
    request_only=True,
)
TEST = OpenApiExample("Two colleagues", value={"userIds": ["user-1", "user-2"]}, request_only=True)
STOP = OpenApiExample("Why", value={"reason": "The wrong segment: only gold members were meant"}, request_only=True)
STUCK = OpenApiExample("Why", value={"reason": "Stuck for two hours, and executing it did not help"}, request_only=True)
EXECUTE = OpenApiExample(
    "As the runbook calls it", value={"campaignId": "0198c0de-0000-7000-8000-000000000002"}, request_only=True
)


class CampaignFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of campaigns can be narrowed."""

    programId = filters.UUIDFilter(field_name="program_id")  # noqa: N815 - as the API spells it
    status = filters.MultipleChoiceFilter(choices=CampaignState.choices)

    class Meta:
        model = Campaign
        fields: tuple[str, ...] = ()


class SkipFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of those who are not awarded can be narrowed."""

    reason = filters.ChoiceFilter(choices=SkipReason.choices)

    class Meta:
        model = Skip
        fields: tuple[str, ...] = ()


class ByMember(NewestFirst):
    """Within one campaign by the balances' ids, which are in order of time."""

    ordering = ("balance_id",)


def _answer(campaign: Campaign, status: int = 200) -> Answer:
    return Answer(status, dict(CampaignDetailSerializer(campaign).data))


def _tested(tested: Sequence[Tested]) -> Answer:
    return Answer(200, dict(CampaignTestedSerializer({"awarded": tested}).data))


def _executed(found: Campaign | Asked) -> Answer:
    if isinstance(found, Asked):
        return asked_answer(found)
    return Answer(ACCEPTED, dict(CampaignExecutionAnswerSerializer({"status": "accepted", "campaign": found}).data))


class Campaigns(LoyaltyView):
    """All campaigns."""

    @extend_schema(
        operation_id="campaigns_list",
        summary="List campaigns",
        tags=TAGS,
        parameters=[
            OpenApiParameter("programId", UUID, description="Those of one program."),
            OpenApiParameter("status", str, many=True, enum=CampaignState.values),
        ],
        responses={200: CampaignSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Those the caller may see, newest first."""
        return self.page(access.visible_campaigns(self.actor), CampaignSerializer, narrowed_by=CampaignFilter)

    @extend_schema(
        operation_id="campaigns_create",
        summary="Draft a campaign",
        tags=TAGS,
        request=NewCampaignSerializer,
        responses={201: CampaignDetailSerializer, **REFUSALS},
        examples=[NEW, DOUBLE],
    )
    def post(self, _request: Request) -> Response:
        """Nothing comes of it before it is scheduled and others have agreed."""
        facts = self.read(NewCampaignSerializer)
        answer = campaigns.create_campaign.once(
            self.request_key(), lambda made: _answer(made, 201), **facts, actor=self.actor
        )
        return self.respond(answer)


class OneCampaign(LoyaltyView):
    """One campaign."""

    @extend_schema(
        operation_id="campaigns_retrieve",
        summary="Read a campaign",
        tags=TAGS,
        responses={200: CampaignDetailSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, campaign_id: UUID) -> Response:
        """With its preview, its approval and how far it is, all as it was at one moment."""
        with one_moment():
            return Response(CampaignDetailSerializer(access.campaign_seen_by(self.actor, campaign_id)).data)

    @extend_schema(
        operation_id="campaigns_edit",
        summary="Edit a draft, or take a scheduled campaign back to draft",
        tags=TAGS,
        request=CampaignEditSerializer,
        responses={200: CampaignDetailSerializer, **REFUSALS},
    )
    def patch(self, _request: Request, campaign_id: UUID) -> Response:
        """Change some facts; a preview and an approval are of what it was before."""
        changes = self.read(CampaignEditSerializer, partial=True)
        back_to_draft = changes.pop("status", None) is not None
        answer = campaigns.edit_campaign.once(
            self.request_key(),
            _answer,
            campaign_id=campaign_id,
            changes=changes,
            back_to_draft=back_to_draft,
            actor=self.actor,
        )
        return self.respond(answer)


class PreviewCampaign(LoyaltyView):
    """Looking at what a campaign would do."""

    @extend_schema(
        operation_id="campaigns_preview",
        summary="Preview a campaign",
        tags=TAGS,
        request=None,
        responses={200: CampaignDetailSerializer, **REFUSALS},
    )
    def post(self, _request: Request, campaign_id: UUID) -> Response:
        """How many members would get how many points now, whom it leaves out and why, and what the budget has left."""
        answer = campaigns.preview_campaign.once(self.request_key(), _answer, campaign_id=campaign_id, actor=self.actor)
        return self.respond(answer)


class TryCampaign(LoyaltyView):
    """Trying a campaign on a few."""

    @extend_schema(
        operation_id="campaigns_test",
        summary="Award one or two named members before the launch",
        tags=TAGS,
        request=CampaignTestSerializer,
        responses={200: CampaignTestedSerializer, **REFUSALS},
        examples=[TEST],
    )
    def post(self, _request: Request, campaign_id: UUID) -> Response:
        """They must be in the segment; the launch passes them over."""
        body = self.read(CampaignTestSerializer)
        answer = trials.award_test.once(
            self.request_key(), _tested, campaign_id=campaign_id, user_ids=body["user_ids"], actor=self.actor
        )
        return self.respond(answer)


class ScheduleCampaign(LoyaltyView):
    """Having a campaign launched."""

    @extend_schema(
        operation_id="campaigns_schedule",
        summary="Schedule a campaign, and ask for approval of its launch",
        tags=TAGS,
        request=CampaignScheduleSerializer,
        responses={202: asked_response(), **REFUSALS},
        examples=[ASKED_EXAMPLE],
    )
    def post(self, _request: Request, campaign_id: UUID) -> Response:
        """Others agree to what its preview says now; then a worker launches it at its start, without asking again."""
        answer = launches.schedule_campaign.once(
            self.request_key(),
            asked_answer,
            campaign_id=campaign_id,
            **self.read(CampaignScheduleSerializer),
            actor=self.actor,
        )
        return self.respond(answer)


class PauseCampaign(LoyaltyView):
    """Stopping a running campaign."""

    @extend_schema(
        operation_id="campaigns_pause",
        summary="Pause a running campaign",
        tags=TAGS,
        request=WhySerializer,
        responses={200: CampaignDetailSerializer, **REFUSALS},
        examples=[STOP],
    )
    def post(self, _request: Request, campaign_id: UUID) -> Response:
        """Nothing is awarded any more until it is resumed."""
        answer = campaigns.pause_campaign.once(
            self.request_key(), _answer, campaign_id=campaign_id, **self.read(WhySerializer), actor=self.actor
        )
        return self.respond(answer)


class ResumeCampaign(LoyaltyView):
    """Letting a paused campaign go on."""

    @extend_schema(
        operation_id="campaigns_resume",
        summary="Resume a paused campaign",
        tags=TAGS,
        request=WhySerializer,
        responses={200: CampaignDetailSerializer, **REFUSALS},
    )
    def post(self, _request: Request, campaign_id: UUID) -> Response:
        """It goes on where it stopped."""
        answer = campaigns.resume_campaign.once(
            self.request_key(), _answer, campaign_id=campaign_id, **self.read(WhySerializer), actor=self.actor
        )
        return self.respond(answer)


class CancelCampaign(LoyaltyView):
    """Giving a campaign up."""

    @extend_schema(
        operation_id="campaigns_cancel",
        summary="Cancel a campaign",
        tags=TAGS,
        request=WhySerializer,
        responses={200: CampaignDetailSerializer, **REFUSALS},
        examples=[STOP],
    )
    def post(self, _request: Request, campaign_id: UUID) -> Response:
        """For good; what was awarded stays until it is undone."""
        answer = campaigns.cancel_campaign.once(
            self.request_key(), _answer, campaign_id=campaign_id, **self.read(WhySerializer), actor=self.actor
        )
        return self.respond(answer)


class UndoCampaign(LoyaltyView):
    """Taking awards back."""

    @extend_schema(
        operation_id="campaigns_undo",
        summary="Take back what an ended campaign has awarded",
        tags=TAGS,
        request=WhySerializer,
        responses={200: CampaignDetailSerializer, **REFUSALS},
        examples=[STOP],
    )
    def post(self, _request: Request, campaign_id: UUID) -> Response:
        """A worker takes back what is neither spent nor locked; `undo` of the campaign tells how much that is."""
        answer = undoing.request_undo.once(
            self.request_key(), _answer, campaign_id=campaign_id, **self.read(WhySerializer), actor=self.actor
        )
        return self.respond(answer)


class FailCampaign(LoyaltyView):
    """Having a campaign failed."""

    @extend_schema(
        operation_id="campaigns_fail",
        summary="Mark a campaign as failed that cannot be mended",
        tags=TAGS,
        request=WhySerializer,
        responses={200: CampaignDetailSerializer, **REFUSALS},
        examples=[STUCK],
    )
    def post(self, _request: Request, campaign_id: UUID) -> Response:
        """For good; what was awarded stays until it is undone, what is reserved is free again."""
        answer = campaigns.mark_campaign_failed.once(
            self.request_key(), _answer, campaign_id=campaign_id, **self.read(WhySerializer), actor=self.actor
        )
        return self.respond(answer)


class CampaignChecklist(LoyaltyView):
    """The checklists."""

    @extend_schema(
        operation_id="campaigns_checklist",
        summary="Go through the checklists of a campaign",
        tags=TAGS,
        responses={200: CampaignChecklistsSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, campaign_id: UUID) -> Response:
        """A day before the launch, at the launch, an hour after it; with a sample of members."""
        with one_moment():
            return Response(checklists_of(access.campaign_seen_by(self.actor, campaign_id)))


class CampaignSkips(LoyaltyView):
    """Who is not awarded."""

    @extend_schema(
        operation_id="campaigns_skips",
        summary="List the members of the segment who are not awarded",
        tags=TAGS,
        parameters=[OpenApiParameter("reason", str, enum=SkipReason.values)],
        responses={200: CampaignSkipSerializer(many=True), 400: problem_response(), 404: problem_response()},
    )
    def get(self, _request: Request, campaign_id: UUID) -> Response:
        """Each with the reason; known once the campaign is launched."""
        campaign = access.campaign_seen_by(self.actor, campaign_id)
        skips = Skip.objects.filter(campaign=campaign).select_related("balance")
        return self.page(skips, CampaignSkipSerializer, pages=ByMember, narrowed_by=SkipFilter)


class CampaignExecution(LoyaltyView):
    """The worker that executes campaigns."""

    @extend_schema(
        operation_id="workers_campaign_execution",
        summary="Have a campaign executed now that is due or under way",
        tags=TAGS,
        parameters=[APPROVAL_ID],
        request=CampaignExecutionSerializer,
        responses={202: CampaignExecutionAnswerSerializer, **REFUSALS},
        examples=[EXECUTE, ASKED_EXAMPLE],
    )
    def post(self, _request: Request) -> Response:
        """202 either way: `accepted`, and a worker goes on with it; or `approval_required`, as for a schedule."""
        answer = launches.request_execution.once(
            self.request_key(),
            _executed,
            campaign_id=self.read(CampaignExecutionSerializer)["campaign_id"],
            approval_id=self.approval_id,
            actor=self.actor,
        )
        return self.respond(answer)
