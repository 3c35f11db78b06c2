"""The API of people: who there is, offboarding, and taking single things away. Giving is asked for as a change."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.core.errors import NotFound
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.models import User
from opsconsole.core.openapi import problem_response
from opsconsole.core.pagination import NewestFirst
from opsconsole.identity import offboarding
from opsconsole.identity.offboarding import Offboarding, Taken, TakenAway
from opsconsole.identity.serializers import (
    EndedSerializer,
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
