"""The doors of rewards and redemptions."""

from __future__ import annotations

from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from loyalty import access
from loyalty.api.base import LoyaltyView
from loyalty.models import Redemption, Reward
from loyalty.serializers.asking import WhySerializer
from loyalty.serializers.members import MAX_USER
from loyalty.serializers.rewards import (
    NewRewardSerializer,
    RedemptionSerializer,
    RewardChangeSerializer,
    RewardSerializer,
    TakeRewardSerializer,
)
from loyalty.services import rewards
from loyalty.states import RedemptionState
from opsconsole.core.filters import TrueOrFalse
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response

TAGS = ["loyalty"]
REFUSALS = {code: problem_response() for code in (400, 403, 404, 409, 422)}

NEW = OpenApiExample(
    "A reward",
    value={
        "programId": "0198c0de-0000-7000-8000-000000000001",
        "name": "Coffee",
        "points": 300,
        "stock": 500,
        "perMember": 2,
    },
    request_only=True,
)


class RewardFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of rewards can be narrowed."""

    programId = filters.UUIDFilter(field_name="program_id")  # noqa: N815 - as the API spells it
    active = TrueOrFalse()

    class Meta:
        model = Reward
        fields: tuple[str, ...] = ()


class RedemptionFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of redemptions can be narrowed."""

    status = filters.ChoiceFilter(choices=RedemptionState.choices)
    balanceId = filters.UUIDFilter(field_name="balance_id")  # noqa: N815
    rewardId = filters.UUIDFilter(field_name="reward_id")  # noqa: N815
    userId = filters.CharFilter(field_name="balance__user_id", max_length=MAX_USER)  # noqa: N815

    class Meta:
        model = Redemption
        fields: tuple[str, ...] = ()


def _reward(reward: Reward, status: int = 200) -> Answer:
    return Answer(status, dict(RewardSerializer(reward).data))


def _redemption(redemption: Redemption, status: int = 200) -> Answer:
    return Answer(status, dict(RedemptionSerializer(redemption).data))


class Rewards(LoyaltyView):
    """All rewards."""

    @extend_schema(
        operation_id="rewards_list",
        summary="List rewards",
        tags=TAGS,
        parameters=[
            OpenApiParameter("programId", UUID, description="Those of one program."),
            OpenApiParameter("active", bool, description="Those that are given, or are not."),
        ],
        responses={200: RewardSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_rewards(self.actor), RewardSerializer, narrowed_by=RewardFilter)

    @extend_schema(
        operation_id="rewards_create",
        summary="Offer a reward",
        tags=TAGS,
        request=NewRewardSerializer,
        responses={201: RewardSerializer, **REFUSALS},
        examples=[NEW],
    )
    def post(self, _request: Request) -> Response:
        """Members have it from then on."""
        answer = rewards.create_reward.once(
            self.request_key(),
            lambda reward: _reward(reward, 201),
            **self.read(NewRewardSerializer),
            actor=self.actor,
        )
        return self.respond(answer)


class OneReward(LoyaltyView):
    """One reward."""

    @extend_schema(
        operation_id="rewards_retrieve",
        summary="Read a reward",
        tags=TAGS,
        responses={200: RewardSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, reward_id: UUID) -> Response:
        """What it costs, and how many there are."""
        return Response(RewardSerializer(access.reward_seen_by(self.actor, reward_id)).data)

    @extend_schema(
        operation_id="rewards_change",
        summary="Change a reward",
        tags=TAGS,
        request=RewardChangeSerializer,
        responses={200: RewardSerializer, **REFUSALS},
    )
    def patch(self, _request: Request, reward_id: UUID) -> Response:
        """What was redeemed stays as it was."""
        changes = self.read(RewardChangeSerializer)
        reason = changes.pop("reason")
        answer = rewards.change_reward.once(
            self.request_key(), _reward, reward_id=reward_id, changes=changes, reason=reason, actor=self.actor
        )
        return self.respond(answer)


class RedeemReward(LoyaltyView):
    """Taking a reward."""

    @extend_schema(
        operation_id="rewards_redeem",
        summary="Redeem a reward",
        tags=TAGS,
        request=TakeRewardSerializer,
        responses={201: RedemptionSerializer, **REFUSALS},
    )
    def post(self, _request: Request, reward_id: UUID) -> Response:
        """For the member's points; no more than there are, and than one member may have."""
        answer = rewards.redeem_reward.once(
            self.request_key(),
            lambda redemption: _redemption(redemption, 201),
            reward_id=reward_id,
            **self.read(TakeRewardSerializer),
            actor=self.actor,
        )
        return self.respond(answer)


class Redemptions(LoyaltyView):
    """All redemptions of rewards."""

    @extend_schema(
        operation_id="redemptions_list",
        summary="List redemptions",
        tags=TAGS,
        parameters=[
            OpenApiParameter("status", str, enum=RedemptionState.values),
            OpenApiParameter("balanceId", UUID, description="Those of one member."),
            OpenApiParameter("rewardId", UUID, description="Those of one reward."),
            OpenApiParameter("userId", str, description="The member, in every program."),
        ],
        responses={200: RedemptionSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_redemptions(self.actor), RedemptionSerializer, narrowed_by=RedemptionFilter)


class FulfilRedemption(LoyaltyView):
    """Handing over."""

    @extend_schema(
        operation_id="redemptions_fulfil",
        summary="Note that a reward was handed over",
        tags=TAGS,
        request=None,
        responses={200: RedemptionSerializer, **REFUSALS},
    )
    def post(self, _request: Request, redemption_id: UUID) -> Response:
        """From then on it is not taken back."""
        answer = rewards.fulfil_redemption.once(
            self.request_key(), _redemption, redemption_id=redemption_id, actor=self.actor
        )
        return self.respond(answer)


class TakeRedemptionBack(LoyaltyView):
    """Taking back."""

    @extend_schema(
        operation_id="redemptions_take_back",
        summary="Take a redemption back",
        tags=TAGS,
        request=WhySerializer,
        responses={200: RedemptionSerializer, **REFUSALS},
    )
    def post(self, _request: Request, redemption_id: UUID) -> Response:
        """The member has their points again, and the stock its reward."""
        answer = rewards.take_redemption_back.once(
            self.request_key(),
            _redemption,
            redemption_id=redemption_id,
            **self.read(WhySerializer),
            actor=self.actor,
        )
        return self.respond(answer)
