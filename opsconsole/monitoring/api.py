"""The doors of monitoring: alerts in, incidents, the daily checklist."""

from __future__ import annotations

import hmac
from typing import Any
from uuid import UUID

from django.conf import settings
from django_filters import rest_framework as filters
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response
from opsconsole.core.parsers import VerbatimJSONParser
from opsconsole.monitoring import access, selectors
from opsconsole.monitoring.alertmanager import read_notification
from opsconsole.monitoring.models import Check, Incident
from opsconsole.monitoring.serializers import (
    CheckSerializer,
    CommentSerializer,
    ConclusionSerializer,
    IncidentDetailSerializer,
    IncidentSerializer,
    ItemSerializer,
    NewIncidentSerializer,
    NotificationSerializer,
    ReceivedSerializer,
    TickSerializer,
)
from opsconsole.monitoring.services import alerts, checklists, incidents
from opsconsole.monitoring.states import IncidentState, Severity

TAGS = ["monitoring"]

ALERT = OpenApiExample(
    "A plan failed",
    value={
        "version": "4",
        "groupKey": '{}:{alertname="OpsPlanFailed"}',
        "status": "firing",
        "commonLabels": {"alertname": "OpsPlanFailed", "severity": "critical"},
        "commonAnnotations": {"summary": "Ops plan execution failed"},
        "externalURL": "http://alertmanager:9093",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "OpsPlanFailed", "severity": "critical"},
                "annotations": {"summary": "Ops plan execution failed"},
                "startsAt": "2026-03-01T02:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus:9090/graph",
                "fingerprint": "c0ffee0123456789",
            }
        ],
    },
    request_only=True,
)
TICK = OpenApiExample("Looked at", value={"in_order": True, "note": "no gaps, no alerts pending"}, request_only=True)
NEW = OpenApiExample(
    "By hand",
    value={"title": "Bank A answers slowly", "severity": "warning", "description": "timeouts since 02:10"},
    request_only=True,
)


class AlertmanagerAuthentication(BaseAuthentication):
    """`Authorization: Bearer` with ALERTMANAGER_TOKEN: Alertmanager is no person and has no other rights."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        """Nobody, by the shared token; AuthenticationFailed for any other."""
        scheme, _, token = get_authorization_header(request).strip().partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        wanted = settings.ALERTMANAGER_TOKEN
        if not wanted or not hmac.compare_digest(token.strip(), wanted.encode()):
            raise AuthenticationFailed("This is not the token of Alertmanager.")
        return None, "alertmanager"

    def authenticate_header(self, _request: Request) -> str:
        """What `WWW-Authenticate` says."""
        return 'Bearer realm="alertmanager"'


class AlertmanagerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document describes it."""

    target_class = "opsconsole.monitoring.api.AlertmanagerAuthentication"
    name = "alertmanager"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, str]:
        """The security scheme object."""
        return {"type": "http", "scheme": "bearer", "description": "ALERTMANAGER_TOKEN of the console's environment."}


class IsAlertmanager(BasePermission):
    """Only who showed the token."""

    def has_permission(self, request: Request, _view: APIView) -> bool:
        """Whether the token was shown."""
        return bool(request.auth == "alertmanager")


class IncidentFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of incidents can be narrowed."""

    status = filters.MultipleChoiceFilter(choices=IncidentState.choices)
    severity = filters.MultipleChoiceFilter(choices=Severity.choices)
    subject_id = filters.CharFilter(help_text="The id of what it is about.")

    class Meta:
        model = Incident
        fields: tuple[str, ...] = ()


class CheckFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the history of checklists can be narrowed."""

    day = filters.DateFilter()
    item = filters.CharFilter()

    class Meta:
        model = Check
        fields: tuple[str, ...] = ()


class Alerts(ConsoleView):
    """Where Alertmanager's webhook points."""

    authentication_classes = (AlertmanagerAuthentication,)
    permission_classes = (IsAlertmanager,)
    parser_classes = (VerbatimJSONParser,)

    @property
    def actor(self) -> Actor:
        """Alertmanager, which is no user."""
        return SYSTEM("alertmanager")

    @extend_schema(
        operation_id="alerts_receive",
        summary="Take in a notification of Alertmanager",
        tags=TAGS,
        request=NotificationSerializer,
        responses={200: ReceivedSerializer, 400: problem_response()},
        examples=[ALERT],
    )
    def post(self, request: Request) -> Response:
        """Opens the group's incident, adds to it, or quietens it; the same notification again changes nothing."""
        answer = alerts.receive_notification.once(
            self.request_key(),
            lambda incident: Answer(
                200,
                {
                    "incident": None if incident is None else str(incident.pk),
                    "status": None if incident is None else incident.status,
                },
            ),
            notification=read_notification(request.data),
            actor=self.actor,
        )
        return self.respond(answer)


class Incidents(ConsoleView):
    """All incidents."""

    @extend_schema(
        operation_id="incidents_list",
        summary="List incidents",
        tags=TAGS,
        filters=True,
        responses={200: IncidentSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_incidents(self.actor), IncidentSerializer, narrowed_by=IncidentFilter)

    @extend_schema(
        operation_id="incidents_open",
        summary="Open an incident by hand",
        tags=TAGS,
        request=NewIncidentSerializer,
        responses={201: IncidentDetailSerializer, 400: problem_response(), 403: problem_response()},
        examples=[NEW],
    )
    def post(self, _request: Request) -> Response:
        """A live incident of the same title is joined."""
        said = self.read(NewIncidentSerializer)
        answer = incidents.open_incident.once(
            self.request_key(),
            lambda incident: _answer(incident, 201),
            title=said["title"],
            severity=Severity(said["severity"]),
            description=said["description"],
            actor=self.actor,
        )
        return self.respond(answer)


class OneIncident(ConsoleView):
    """One incident."""

    @extend_schema(
        operation_id="incidents_retrieve",
        summary="One incident with its alerts",
        tags=TAGS,
        responses={200: IncidentDetailSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, incident_id: UUID) -> Response:
        """What is wrong, since when, and who looks after it."""
        return Response(IncidentDetailSerializer(access.incident_seen_by(self.actor, incident_id)).data)


class AcknowledgeIncident(ConsoleView):
    """Taking it up."""

    @extend_schema(
        operation_id="incidents_acknowledge",
        summary="Take an incident up",
        tags=TAGS,
        request=None,
        responses={
            200: IncidentDetailSerializer,
            403: problem_response(),
            404: problem_response(),
            409: problem_response(),
        },
    )
    def post(self, _request: Request, incident_id: UUID) -> Response:
        """From now on it is the caller's."""
        return self.respond(
            incidents.acknowledge_incident.once(self.request_key(), _answer, incident_id=incident_id, actor=self.actor)
        )


class CommentIncident(ConsoleView):
    """A remark in its timeline."""

    @extend_schema(
        operation_id="incidents_comment",
        summary="Comment on an incident",
        tags=TAGS,
        request=CommentSerializer,
        responses={
            200: IncidentDetailSerializer,
            400: problem_response(),
            403: problem_response(),
            404: problem_response(),
        },
    )
    def post(self, _request: Request, incident_id: UUID) -> Response:
        """Goes into the journal, and cannot be taken back."""
        said = self.read(CommentSerializer)
        return self.respond(
            incidents.comment_incident.once(
                self.request_key(), _answer, incident_id=incident_id, comment=said["comment"], actor=self.actor
            )
        )


class ResolveIncident(ConsoleView):
    """Its end."""

    @extend_schema(
        operation_id="incidents_resolve",
        summary="Resolve an incident",
        tags=TAGS,
        request=ConclusionSerializer,
        responses={
            200: IncidentDetailSerializer,
            400: problem_response(),
            403: problem_response(),
            404: problem_response(),
            409: problem_response(),
            422: problem_response(),
        },
    )
    def post(self, _request: Request, incident_id: UUID) -> Response:
        """With a word on what it was; 422 `still_firing` while its alerts fire, unless `although_firing` is true."""
        said = self.read(ConclusionSerializer)
        return self.respond(
            incidents.resolve_incident.once(
                self.request_key(), _answer, incident_id=incident_id, actor=self.actor, **said
            )
        )


class DailyChecklist(ConsoleView):
    """Today's checklist."""

    pagination_class = None  # it is short, and is whole

    @extend_schema(
        operation_id="checklist_today",
        summary="Today's checklist as it stands now",
        tags=TAGS,
        responses={200: ItemSerializer(many=True), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Each item, with what the system finds now or what a person said today."""
        return Response(selectors.as_items(self.actor))


class TickItem(ConsoleView):
    """A person's word on an item."""

    @extend_schema(
        operation_id="checklist_tick",
        summary="Tick an item that the system cannot judge",
        tags=TAGS,
        request=TickSerializer,
        responses={
            200: CheckSerializer,
            400: problem_response(),
            403: problem_response(),
            404: problem_response(),
            422: problem_response(),
        },
        examples=[TICK],
    )
    def post(self, _request: Request, item: str) -> Response:
        """In order or not, with a note; 422 for an item that the system evaluates."""
        said = self.read(TickSerializer)
        return self.respond(
            checklists.tick_item.once(
                self.request_key(),
                lambda check: Answer(200, dict(CheckSerializer(check).data)),
                item=item,
                actor=self.actor,
                **said,
            )
        )


class ChecklistHistory(ConsoleView):
    """What checklists came to."""

    @extend_schema(
        operation_id="checklist_history",
        summary="What the checklists came to",
        tags=TAGS,
        filters=True,
        responses={200: CheckSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_checks(self.actor), CheckSerializer, narrowed_by=CheckFilter)


def _answer(incident: Incident, status: int = 200) -> Answer:
    return Answer(status, dict(IncidentDetailSerializer(incident).data))
