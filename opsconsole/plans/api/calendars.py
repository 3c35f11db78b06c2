"""Freeze calendars as the API has them: made, listed, ended."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.core.filters import TrueOrFalse
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response
from opsconsole.plans import access, examples
from opsconsole.plans.models import Calendar
from opsconsole.plans.serializers import CalendarDraftSerializer, CalendarSerializer, MandatoryReasonSerializer
from opsconsole.plans.services import freezing
from opsconsole.plans.services.freezing import CalendarDraft

TAGS = ["calendars"]


class CalendarFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of calendars can be narrowed."""

    in_force = TrueOrFalse(method="by_force")

    class Meta:
        model = Calendar
        fields: tuple[str, ...] = ()

    def by_force(self, calendars: QuerySet[Calendar], _name: str, value: bool) -> QuerySet[Calendar]:  # noqa: FBT001
        """Those that are not over, or those that are."""
        over = Q(ended_at__isnull=False) | Q(ends_at__lte=timezone.now())
        return calendars.exclude(over) if value else calendars.filter(over)


class Calendars(ConsoleView):
    """All freeze calendars."""

    @extend_schema(
        operation_id="calendars_list",
        summary="List freeze calendars",
        tags=TAGS,
        parameters=[OpenApiParameter("in_force", bool, description="`true`: not over; `false`: over or ended.")],
        responses={200: CalendarSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_calendars(self.actor), CalendarSerializer, narrowed_by=CalendarFilter)

    @extend_schema(
        operation_id="calendars_create",
        summary="Make a freeze calendar",
        tags=TAGS,
        request=CalendarDraftSerializer,
        responses={201: CalendarSerializer, 400: problem_response(), 403: problem_response()},
        examples=[examples.CALENDAR_ONCE, examples.CALENDAR_WEEKLY],
    )
    def post(self, _request: Request) -> Response:
        """While it holds, plans of its types are not executed; a run that is under way goes on."""
        said = self.read(CalendarDraftSerializer)
        answer = freezing.create_calendar.once(
            self.request_key(), lambda calendar: _shown(calendar, 201), draft=CalendarDraft(**said), actor=self.actor
        )
        return self.respond(answer)


class EndCalendar(ConsoleView):
    """Ending one."""

    @extend_schema(
        operation_id="calendars_end",
        summary="End a freeze calendar",
        tags=TAGS,
        request=MandatoryReasonSerializer,
        responses={200: CalendarSerializer, 404: problem_response(), 409: problem_response()},
        examples=[examples.REASON],
    )
    def post(self, _request: Request, calendar_id: UUID) -> Response:
        """Plans can be executed again at once; what the calendar said stays on record."""
        answer = freezing.end_calendar.once(
            self.request_key(),
            _shown,
            calendar_id=calendar_id,
            reason=self.read(MandatoryReasonSerializer)["reason"],
            actor=self.actor,
        )
        return self.respond(answer)


def _shown(calendar: Calendar, status: int = 200) -> Answer:
    return Answer(status, dict(CalendarSerializer(calendar).data))
