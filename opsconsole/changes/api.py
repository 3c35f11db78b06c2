"""The API of changes: ask, look, decide, apply."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.approvals.serializers import signature_in
from opsconsole.changes import access, moves
from opsconsole.changes.kinds.base import kind_named, registered
from opsconsole.changes.models import Change
from opsconsole.changes.serializers import (
    AppliedChangeSerializer,
    ChangeDetailSerializer,
    ChangeDraftSerializer,
    ChangeReasonSerializer,
    ChangeSerializer,
    ChangeVerdictSerializer,
    KindSerializer,
    KindsSerializer,
)
from opsconsole.changes.services import decisions, requests
from opsconsole.changes.states import ChangeState
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.filters import TrueOrFalse
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response
from opsconsole.core.problems import problem

TAGS = ["changes"]
DRAFT = OpenApiExample(
    "Another IBAN",
    value={
        "kind": "iban",
        "subject": "0198c0de-0000-7000-8000-00000000000a",
        "payload": {"iban": "DE89370400440532013000"},
        "reason": "the bank has merged, letter of 2025-07-01",
    },
    request_only=True,
)
REASON = OpenApiExample("Why", value={"reason": "the letter is forged"}, request_only=True)


class ChangeFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list can be narrowed."""

    status = filters.MultipleChoiceFilter(choices=ChangeState.choices)
    kind = filters.CharFilter()
    subject_id = filters.CharFilter()
    mine = TrueOrFalse(method="by_mine")

    class Meta:
        model = Change
        fields: tuple[str, ...] = ()

    def by_mine(self, changes: QuerySet[Change], _name: str, value: bool) -> QuerySet[Change]:  # noqa: FBT001
        """Those that the caller asked for, or that are about them; `0` narrows nothing."""
        me = Actor.of(self.request.user)
        return changes.filter(Q(requested_by=me.user) | Q(concerned__contains=[me.id])) if value else changes


class ChangeDoor(ConsoleView):
    """What the doors of one change share."""

    def answer(self, change: Change, status: int = 200) -> Answer:
        """The change as it is now; a problem where applying it came to nothing, which the change itself keeps."""
        if error := moves.outcome_error(change):
            return Answer(error.status, problem(error.status, error.code, error.message, **error.fields))
        return Answer(status, dict(ChangeDetailSerializer(change, context={"actor": self.actor}).data))


class Changes(ChangeDoor):
    """All changes."""

    @extend_schema(
        operation_id="changes_list",
        summary="List changes",
        tags=TAGS,
        parameters=[
            OpenApiParameter("status", str, many=True, enum=ChangeState.values),
            OpenApiParameter("kind", str),
            OpenApiParameter("subject_id", str, description="The key of the record."),
            OpenApiParameter("mine", bool, description="`1`: those the caller asked for, or that are about them."),
        ],
        responses={200: ChangeSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_changes(self.actor), ChangeSerializer, narrowed_by=ChangeFilter)

    @extend_schema(
        operation_id="changes_request",
        summary="Ask for a change",
        tags=TAGS,
        request=ChangeDraftSerializer,
        responses={
            201: ChangeDetailSerializer,
            400: problem_response(),
            403: problem_response(),
            404: problem_response(),
            409: problem_response(),
            422: problem_response(),
        },
        examples=[DRAFT],
    )
    def post(self, _request: Request) -> Response:
        """Nothing is changed until others have agreed."""
        asked = self.read(ChangeDraftSerializer)
        return self.respond(
            requests.request_change.once(
                self.request_key(),
                lambda change: self.answer(change, 201),
                kind=asked["kind"],
                subject=asked["subject"],
                payload=asked["payload"],
                reason=asked["reason"],
                actor=self.actor,
            )
        )


class OneChange(ChangeDoor):
    """One change."""

    @extend_schema(
        operation_id="changes_retrieve",
        summary="Read a change",
        tags=TAGS,
        responses={200: ChangeDetailSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, change_id: UUID) -> Response:
        """What was, what would be, who has agreed and who is still needed."""
        change = access.change_seen_by(self.actor, change_id)
        return Response(ChangeDetailSerializer(change, context={"actor": self.actor}).data)


class ApproveChange(ChangeDoor):
    """Agreeing."""

    @extend_schema(
        operation_id="changes_approve",
        summary="Approve a change",
        tags=TAGS,
        request=ChangeVerdictSerializer,
        responses={
            200: ChangeDetailSerializer,
            403: problem_response(),
            404: problem_response(),
            409: problem_response("Among others `change_stale` and `change_failed`: it has ended, nothing is changed."),
            422: problem_response(),
        },
    )
    def post(self, _request: Request, change_id: UUID) -> Response:
        """The last approval that is needed applies it, where the policy lets that person carry it out."""
        said = self.read(ChangeVerdictSerializer)
        return self.respond(
            decisions.approve_change.once(
                self.request_key(),
                self.answer,
                change_id=change_id,
                digest=said["digest"],
                signature=signature_in(said),
                comment=said["comment"],
                actor=self.actor,
            )
        )


class RejectChange(ChangeDoor):
    """Refusing."""

    @extend_schema(
        operation_id="changes_reject",
        summary="Reject a change for good",
        tags=TAGS,
        request=ChangeReasonSerializer,
        responses={
            200: ChangeDetailSerializer,
            403: problem_response(),
            404: problem_response(),
            409: problem_response(),
        },
        examples=[REASON],
    )
    def post(self, _request: Request, change_id: UUID) -> Response:
        """With a reason."""
        reason = self.read(ChangeReasonSerializer)["reason"]
        return self.respond(
            decisions.reject_change.once(
                self.request_key(), self.answer, change_id=change_id, reason=reason, actor=self.actor
            )
        )


class CancelChange(ChangeDoor):
    """Taking back."""

    @extend_schema(
        operation_id="changes_cancel",
        summary="Take a change back",
        tags=TAGS,
        request=ChangeReasonSerializer,
        responses={
            200: ChangeDetailSerializer,
            403: problem_response(),
            404: problem_response(),
            409: problem_response(),
        },
        examples=[REASON],
    )
    def post(self, _request: Request, change_id: UUID) -> Response:
        """For whoever asked for it, or may ask for such."""
        reason = self.read(ChangeReasonSerializer)["reason"]
        return self.respond(
            requests.cancel_change.once(
                self.request_key(), self.answer, change_id=change_id, reason=reason, actor=self.actor
            )
        )


class ApplyChange(ChangeDoor):
    """Carrying out."""

    @extend_schema(
        operation_id="changes_apply",
        summary="Apply an approved change",
        tags=TAGS,
        request=None,
        responses={
            200: AppliedChangeSerializer,
            403: problem_response(),
            404: problem_response(),
            409: problem_response("Among others `change_stale` and `change_failed`: it has ended, nothing is changed."),
        },
    )
    def post(self, _request: Request, change_id: UUID) -> Response:
        """Needed where whoever completed the quorum may not execute, and for what only the person it is for may take.

        A change of the kind `token` answers with the token. No answer that holds one is kept, so an Idempotency-Key
        has no effect there: asked again, the change has ended.
        """
        if kind_named(access.change_seen_by(self.actor, change_id).kind).collected:
            change, given = decisions.apply_change(change_id=change_id, actor=self.actor)
            answer = self.answer(change)
            if given:
                answer.body["token"] = given
            return self.respond(answer)
        return self.respond(
            decisions.apply_change.once(
                self.request_key(), lambda done: self.answer(done[0]), change_id=change_id, actor=self.actor
            )
        )


class ChangeKinds(ConsoleView):
    """What can be asked for."""

    @extend_schema(
        operation_id="change_kinds_list",
        summary="List the kinds of change",
        tags=TAGS,
        responses={200: KindsSerializer, 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """With an example of each, for whoever may see changes or ask for any."""
        actor, kinds = self.actor, registered()
        if not actor.may("changes.view_change") and not any(actor.may(kind.permission) for kind in kinds):
            raise Denied(
                format_lazy(_("{actor} has no business with changes."), actor=actor.name),
                permission="changes.view_change",
            )
        return Response({"results": [KindSerializer(kind).data for kind in kinds]})
