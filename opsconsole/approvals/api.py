"""The generic door to approvals: the inbox, one request, the verdicts on it; and the caller's signer keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from opsconsole.approvals import access, selectors, services
from opsconsole.approvals.models import Request, SignerKey
from opsconsole.approvals.serializers import (
    CommentsSerializer,
    NewSignerKeySerializer,
    RequestDetailSerializer,
    RequestSerializer,
    SignerKeySerializer,
    VerdictSerializer,
)
from opsconsole.approvals.states import RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.pagination import NewestFirst

TAGS = ["approvals"]
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Optional: the same key has its effect once."
)
A_SIGNATURE = "pWJpUkHJ1bXlr3yF6mVXQ2pDYv2mQ0yRrG9l6M9jH3o9yqgq0v4m1u8n0w4Wb7r6m3uXc1sQ8e5o2Zq7t1kDBQ=="


class RequestFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """What the list can be narrowed by."""

    status = filters.ChoiceFilter(choices=RequestState.choices)
    action = filters.CharFilter(help_text="The action, exactly: `plan.payout_batch`.")
    mine = filters.BooleanFilter(method="by_mine", help_text="`1`: only those the caller may still approve.")

    class Meta:
        model = Request
        fields = ("status", "action", "mine")

    def by_mine(self, requests: QuerySet[Request], _name: str, value: bool) -> QuerySet[Request]:  # noqa: FBT001
        """Those the caller may still approve; `0` narrows nothing."""
        return selectors.decidable_by(requests, Actor.of(self.request.user)) if value else requests


class RequestList(ConsoleView, ListAPIView[Request]):
    """`GET /api/approvals`."""

    serializer_class = RequestSerializer
    pagination_class = NewestFirst
    filter_backends = (filters.DjangoFilterBackend,)
    filterset_class = RequestFilter
    queryset = Request.objects.none()  # tells the schema the model; what is listed comes from get_queryset

    def get_queryset(self) -> QuerySet[Request]:
        """The requests the caller may see."""
        return access.visible_requests(self.actor)

    @extend_schema(operation_id="approvals_list", summary="Approval requests, newest first", tags=TAGS)
    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> Response:
        """What people are asked to agree to, newest first."""
        return super().get(request, *args, **kwargs)


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
        responses=RequestDetailSerializer,
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
    def post(self, request: HttpRequest, request_id: UUID) -> Response:
        """Say yes or no; a no says why, and ends the request."""
        said = _parsed(VerdictSerializer, request)
        return self.respond(
            services.decide_request.once(
                self.request_key(),
                self.answer,
                request_id=request_id,
                approved=said["approved"],
                comments=said["comments"],
                signature=said["signature"] or "",
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
        responses=RequestDetailSerializer,
        examples=[OpenApiExample("Revoke", {"comments": "the total has to be checked again"}, request_only=True)],
    )
    def post(self, request: HttpRequest, request_id: UUID) -> Response:
        """Take back the caller's approval, as long as it was not used."""
        said = _parsed(CommentsSerializer, request)
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
        responses=RequestDetailSerializer,
        examples=[OpenApiExample("Comment", {"comments": "who is payee 17?"}, request_only=True)],
    )
    def post(self, request: HttpRequest, request_id: UUID) -> Response:
        """Say something that decides nothing."""
        said = _parsed(CommentsSerializer, request)
        return self.respond(
            services.comment_on_request.once(
                self.request_key(),
                self.answer,
                request_id=request_id,
                comments=said["comments"],
                actor=self.actor,
            )
        )


class SignerKeyList(ConsoleView, ListAPIView[SignerKey]):
    """`GET, POST /api/signer-keys`."""

    serializer_class = SignerKeySerializer
    pagination_class = NewestFirst
    filter_backends = ()
    queryset = SignerKey.objects.none()  # tells the schema the model; what is listed comes from get_queryset

    def get_queryset(self) -> QuerySet[SignerKey]:
        """The caller's own keys."""
        return selectors.keys_of(self.actor)

    @extend_schema(operation_id="signer_keys_list", summary="One's own signer keys", tags=TAGS)
    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> Response:
        """The caller's keys, revoked ones included, newest first."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="signer_keys_register",
        summary="Register a public key of one's own",
        tags=TAGS,
        parameters=[KEY],
        request=NewSignerKeySerializer,
        responses={201: SignerKeySerializer},
        examples=[
            OpenApiExample(
                "Raw",
                {"name": "laptop", "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
                request_only=True,
            ),
            OpenApiExample(
                "PEM, as `openssl pkey -pubout` prints it",
                {
                    "name": "laptop",
                    "public_key": "-----BEGIN PUBLIC KEY-----\n"
                    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                    "-----END PUBLIC KEY-----\n",
                },
                request_only=True,
            ),
        ],
    )
    def post(self, request: HttpRequest) -> Response:
        """Register an Ed25519 public key; the private one never leaves its owner."""
        given = _parsed(NewSignerKeySerializer, request)
        return self.respond(
            services.register_signer_key.once(
                self.request_key(),
                lambda key: Answer(201, dict(SignerKeySerializer(key).data)),
                name=given["name"],
                public_key=given["public_key"],
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


def _shown(request: Request, actor: Actor) -> dict[str, Any]:
    return dict(RequestDetailSerializer(request, context={"actor": actor}).data)


def _parsed(serializer_class: Any, request: HttpRequest) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
