"""The generic door to approvals: the inbox, one request, the verdicts on it; and revoking a key."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from opsconsole.approvals import access, selectors, services
from opsconsole.approvals.models import Request, Review
from opsconsole.approvals.serializers import (
    CommentsSerializer,
    RequestDetailSerializer,
    RequestSerializer,
    ReviewAnswerSerializer,
    ReviewSerializer,
    SignerKeySerializer,
    VerdictSerializer,
    signature_in,
)
from opsconsole.approvals.states import RequestState, ReviewCause, ReviewState, ReviewVerdict
from opsconsole.core.actors import Actor
from opsconsole.core.filters import TrueOrFalse
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response

TAGS = ["approvals"]
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Optional: the same key has its effect once."
)
A_SIGNATURE = "pWJpUkHJ1bXlr3yF6mVXQ2pDYv2mQ0yRrG9l6M9jH3o9yqgq0v4m1u8n0w4Wb7r6m3uXc1sQ8e5o2Zq7t1kDBQ=="


class RequestFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """What the list can be narrowed by."""

    status = filters.ChoiceFilter(choices=RequestState.choices)
    action = filters.CharFilter(help_text="The action, exactly: `plan.payout_batch`.")
    mine = TrueOrFalse(method="by_mine", help_text="`1`: only those the caller may still approve.")

    class Meta:
        model = Request
        fields = ("status", "action", "mine")

    def by_mine(self, requests: QuerySet[Request], _name: str, value: bool) -> QuerySet[Request]:  # noqa: FBT001
        """Those the caller may still approve; `0` narrows nothing."""
        return selectors.decidable_by(requests, Actor.of(self.request.user)) if value else requests


class RequestList(ConsoleView):
    """`GET /api/approvals`."""

    @extend_schema(
        operation_id="approvals_list",
        summary="Approval requests, newest first",
        tags=TAGS,
        parameters=[
            OpenApiParameter("status", str, enum=[state.value for state in RequestState]),
            OpenApiParameter("action", str, description="The action, exactly: `plan.payout_batch`."),
            OpenApiParameter("mine", bool, description="`true`: only those the caller may still approve."),
        ],
        responses={200: RequestSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: HttpRequest) -> Response:
        """What people are asked to agree to, newest first."""
        return self.page(access.visible_requests(self.actor), RequestSerializer, narrowed_by=RequestFilter)


class RequestDetail(ConsoleView):
    """`GET /api/approvals/{id}`."""

    @extend_schema(
        operation_id="approvals_retrieve",
        summary="One approval request",
        tags=TAGS,
        responses=RequestDetailSerializer,
    )
    def get(self, _request: HttpRequest, request_id: UUID) -> Response:
        """What is approved, who has agreed, who is still needed, and the text to sign."""
        return Response(_shown(access.request_for(self.actor, request_id), self.actor))


class DecisionDoor(ConsoleView):
    """What the doors of one request share."""

    def answer(self, request: Request) -> Answer:
        """The request as it is now."""
        return Answer(200, _shown(request, self.actor))


class RequestApprove(DecisionDoor):
    """`POST /api/approvals/{id}/approve`."""

    @extend_schema(
        operation_id="approvals_approve",
        summary="Approve or reject",
        tags=TAGS,
        parameters=[KEY],
        request=VerdictSerializer,
        responses={200: RequestDetailSerializer, 409: problem_response(), 422: problem_response()},
        examples=[
            OpenApiExample("Approve", {"approved": True, "comments": "checked against the ledger"}, request_only=True),
            OpenApiExample(
                "Approve, signed",
                {"approved": True, "comments": "", "signature": A_SIGNATURE},
                description=(
                    "The signature is over `signing_text`, byte for byte:"
                    " `openssl pkeyutl -sign -rawin -inkey key.pem -in text | base64 -w0`."
                ),
                request_only=True,
            ),
            OpenApiExample("Reject", {"approved": False, "comments": "wrong cutoff date"}, request_only=True),
        ],
    )
    def post(self, _request: HttpRequest, request_id: UUID) -> Response:
        """Say yes or no; a no says why, and ends the request."""
        said = self.read(VerdictSerializer)
        return self.respond(
            services.decide_request.once(
                self.request_key(),
                self.answer,
                request_id=request_id,
                approved=said["approved"],
                comments=said["comments"],
                signature=signature_in(said),
                actor=self.actor,
            )
        )


class RequestRevoke(DecisionDoor):
    """`POST /api/approvals/{id}/revoke`."""

    @extend_schema(
        operation_id="approvals_revoke",
        summary="Take back one's own approval",
        tags=TAGS,
        parameters=[KEY],
        request=CommentsSerializer,
        responses={200: RequestDetailSerializer, 409: problem_response()},
        examples=[OpenApiExample("Revoke", {"comments": "the total has to be checked again"}, request_only=True)],
    )
    def post(self, _request: HttpRequest, request_id: UUID) -> Response:
        """Take back the caller's approval, as long as it was not used."""
        said = self.read(CommentsSerializer)
        return self.respond(
            services.revoke_decision.once(
                self.request_key(),
                self.answer,
                request_id=request_id,
                comments=said["comments"],
                actor=self.actor,
            )
        )


class RequestComment(DecisionDoor):
    """`POST /api/approvals/{id}/comment`."""

    @extend_schema(
        operation_id="approvals_comment",
        summary="Comment on a request",
        tags=TAGS,
        parameters=[KEY],
        request=CommentsSerializer,
        responses={200: RequestDetailSerializer, 409: problem_response()},
        examples=[OpenApiExample("Comment", {"comments": "who is payee 17?"}, request_only=True)],
    )
    def post(self, _request: HttpRequest, request_id: UUID) -> Response:
        """Say something that decides nothing."""
        said = self.read(CommentsSerializer)
        return self.respond(
            services.comment_on_request.once(
                self.request_key(),
                self.answer,
                request_id=request_id,
                comments=said["comments"],
                actor=self.actor,
            )
        )


class SignerKeyRevoke(ConsoleView):
    """`POST /api/signer-keys/{id}/revoke`."""

    @extend_schema(
        operation_id="signer_keys_revoke",
        summary="Revoke a key of one's own",
        tags=TAGS,
        parameters=[KEY],
        request=None,
        responses=SignerKeySerializer,
    )
    def post(self, _request: HttpRequest, key_id: UUID) -> Response:
        """End its use; approvals signed with it that were not used yet stop counting."""
        return self.respond(
            services.revoke_signer_key.once(
                self.request_key(),
                lambda key: Answer(200, dict(SignerKeySerializer(key).data)),
                key_id=key_id,
                actor=self.actor,
            )
        )


class ReviewFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """What the list of reviews can be narrowed by."""

    status = filters.ChoiceFilter(choices=ReviewState.choices)
    cause = filters.ChoiceFilter(choices=ReviewCause.choices)
    subject_id = filters.CharFilter(help_text="The id of the plan that was executed.")
    mine = TrueOrFalse(method="by_mine", help_text="`true`: only those the caller may still answer.")

    class Meta:
        model = Review
        fields: tuple[str, ...] = ()

    def by_mine(self, reviews: QuerySet[Review], _name: str, value: bool) -> QuerySet[Review]:  # noqa: FBT001
        """Those the caller may still answer; `false` narrows nothing."""
        return selectors.answerable_by(reviews, Actor.of(self.request.user)) if value else reviews


class ReviewList(ConsoleView):
    """`GET /api/ops/reviews`."""

    @extend_schema(
        operation_id="reviews_list",
        summary="Reviews after the fact, newest first",
        tags=["reviews"],
        parameters=[
            OpenApiParameter("status", str, enum=[state.value for state in ReviewState]),
            OpenApiParameter("cause", str, enum=[cause.value for cause in ReviewCause]),
            OpenApiParameter("subject_id", str, description="The id of the plan that was executed."),
            OpenApiParameter("mine", bool, description="`true`: only those the caller may still answer."),
        ],
        responses={200: ReviewSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: HttpRequest) -> Response:
        """What was done by break-glass, or is to be looked at afterwards by its policy."""
        rows = access.visible_reviews(self.actor).prefetch_related("answers__user")
        return self.page(rows, ReviewSerializer, narrowed_by=ReviewFilter)


class ReviewAnswerDoor(ConsoleView):
    """`POST /api/ops/reviews/{id}/review`."""

    @extend_schema(
        operation_id="reviews_answer",
        summary="Answer a review",
        tags=["reviews"],
        request=ReviewAnswerSerializer,
        responses={200: ReviewSerializer, 403: problem_response(), 404: problem_response(), 409: problem_response()},
        examples=[
            OpenApiExample(
                "Approve", {"verdict": "approve", "comment": "the incident is real, the freeze was right"},
                request_only=True,
            ),
            OpenApiExample(
                "Object", {"verdict": "object", "comment": "the bank was up; nothing asked for this"},
                request_only=True,
            ),
        ],
    )  # fmt: skip
    def post(self, _request: HttpRequest, review_id: UUID) -> Response:
        """Two people who had no part in it look at it; the first objection ends the review."""
        said = self.read(ReviewAnswerSerializer)
        return self.respond(
            services.answer_review.once(
                self.request_key(),
                lambda review: Answer(200, dict(ReviewSerializer(review).data)),
                review_id=review_id,
                verdict=ReviewVerdict(said["verdict"]),
                comment=said["comment"],
                actor=self.actor,
            )
        )


def _shown(request: Request, actor: Actor) -> dict[str, Any]:
    return dict(RequestDetailSerializer(request, context={"actor": actor}).data)
