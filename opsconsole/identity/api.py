"""The API of people: who there is, their own keys, offboarding, and taking away. Giving is asked for as a change."""

from __future__ import annotations

from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.approvals.selectors import keys_of
from opsconsole.approvals.serializers import SignerKeySerializer
from opsconsole.changes.models import Change
from opsconsole.changes.serializers import ChangeDetailSerializer
from opsconsole.changes.services.requests import request_change
from opsconsole.core.errors import NotFound
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.models import User
from opsconsole.core.openapi import problem_response
from opsconsole.core.pagination import NewestFirst
from opsconsole.identity import offboarding
from opsconsole.identity.changes.keys import SignerKeyChange
from opsconsole.identity.offboarding import Offboarding, Taken, TakenAway
from opsconsole.identity.serializers import (
    EndedSerializer,
    NewSignerKeySerializer,
    OffboardSerializer,
    PersonSerializer,
    TakeAwaySerializer,
)

TAGS = ["people"]
LEAVES = OpenApiExample("Leaving", value={"reason": "left the company on 2025-07-31"}, request_only=True)
STOLEN = OpenApiExample(
    "A stolen laptop",
    value={"tokens": ["3f2a91c0aa41b7d"], "sessions": True, "reason": "laptop stolen, incident 4711"},
    request_only=True,
)

RAW = OpenApiExample(
    "Raw", {"name": "laptop", "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}, request_only=True
)
PEM = OpenApiExample(
    "PEM, as `openssl pkey -pubout` prints it",
    {
        "name": "laptop",
        "public_key": "-----BEGIN PUBLIC KEY-----\n"
        "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
        "-----END PUBLIC KEY-----\n",
        "reason": "a new laptop; my number is on the list of people on call",
    },
    request_only=True,
)


class ByName(NewestFirst):
    """Pages in the order of names."""

    ordering = ("username",)


class People(ConsoleView):
    """Everybody."""

    @extend_schema(
        operation_id="users_list",
        summary="List people",
        tags=TAGS,
        responses={200: PersonSerializer(many=True), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """By name, those who left included."""
        self.actor.require("core.view_user")
        return self.page(User.objects.prefetch_related("groups").defer("password"), PersonSerializer, ByName)


class PersonDoor(ConsoleView):
    """What the doors of one person share."""

    def require_seen(self, user_id: UUID) -> None:
        """Raise NotFound for somebody who is not there, or whom the caller may not see."""
        own = self.actor.id == str(user_id)
        if not (own or self.actor.may("core.view_user")) or not User.objects.filter(pk=user_id).exists():
            raise NotFound("There is no such user.", user=str(user_id))

    @staticmethod
    def answer(done: Offboarding | TakenAway) -> Answer:
        """Who, and what ended."""
        user = done.user
        facts = {"id": user.pk, "username": user.username, "active": user.is_active, "ended": done.ended}
        return Answer(200, dict(EndedSerializer(facts).data))


class Offboard(PersonDoor):
    """Leaving."""

    @extend_schema(
        operation_id="users_offboard",
        summary="End all that a person may, at once",
        tags=TAGS,
        request=OffboardSerializer,
        responses={200: EndedSerializer, 403: problem_response(), 404: problem_response(), 422: problem_response()},
        examples=[LEAVES],
    )
    def post(self, _request: Request, user_id: UUID) -> Response:
        """Login, sessions, tokens, keys, roles, grants, approvals they gave, and what they asked for."""
        self.require_seen(user_id)
        reason = self.read(OffboardSerializer)["reason"]
        return self.respond(
            offboarding.offboard_user.once(
                self.request_key(), self.answer, user_id=user_id, reason=reason, actor=self.actor
            )
        )


class TakeAway(PersonDoor):
    """Taking single things away."""

    @extend_schema(
        operation_id="users_take_away",
        summary="Take roles, grants, tokens, keys or logins away, at once",
        tags=TAGS,
        request=TakeAwaySerializer,
        responses={
            200: EndedSerializer,
            400: problem_response(),
            403: problem_response(),
            404: problem_response(),
            422: problem_response(),
        },
        examples=[STOLEN],
    )
    def post(self, _request: Request, user_id: UUID) -> Response:
        """Giving any of it back is a change that others must agree to. One's own need no permission."""
        self.require_seen(user_id)
        asked = self.read(TakeAwaySerializer)
        reason = asked.pop("reason")
        return self.respond(
            offboarding.take_away.once(
                self.request_key(),
                self.answer,
                user_id=user_id,
                taken=Taken(**asked),
                reason=reason,
                actor=self.actor,
            )
        )


class SignerKeys(ConsoleView):
    """`GET, POST /api/signer-keys`."""

    @extend_schema(
        operation_id="signer_keys_list",
        summary="One's own signer keys",
        tags=["approvals"],
        responses={200: SignerKeySerializer(many=True), 400: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """The caller's keys, revoked ones included, newest first."""
        return self.page(keys_of(self.actor), SignerKeySerializer)

    @extend_schema(
        operation_id="signer_keys_register",
        summary="Ask for a public key of one's own",
        tags=["approvals"],
        parameters=[
            OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[202], description="The change.")
        ],
        request=NewSignerKeySerializer,
        responses={
            202: ChangeDetailSerializer,
            400: problem_response(),
            403: problem_response(),
            409: problem_response("Among others `signer_key_taken`."),
            422: problem_response(),
        },
        examples=[RAW, PEM],
    )
    def post(self, _request: Request) -> Response:
        """An Ed25519 public key; it counts once others have agreed to the change that this answers with."""
        given = self.read(NewSignerKeySerializer)
        answer = request_change.once(
            self.request_key(),
            self._accepted,
            kind=SignerKeyChange.name,
            subject="",
            payload={"name": given["name"], "public_key": given["public_key"]},
            reason=given["reason"],
            actor=self.actor,
        )
        response = self.respond(answer)
        response["Location"] = reverse("change", args=[answer.body["id"]])
        return response

    def _accepted(self, change: Change) -> Answer:
        return Answer(202, dict(ChangeDetailSerializer(change, context={"actor": self.actor}).data))
