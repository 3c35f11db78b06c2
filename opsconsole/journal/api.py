"""The journal's doors: the list, one entry, its proof. Reading only."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.core.http import ConsoleView
from opsconsole.core.models import User
from opsconsole.core.openapi import problem_response
from opsconsole.core.pagination import NewestFirst
from opsconsole.journal import proofs, selectors
from opsconsole.journal.models import Entry
from opsconsole.journal.serializers import EntrySerializer, ProofSerializer


class NewestEntries(NewestFirst):
    """Newest first, by the time of the entry."""

    ordering = selectors.NEWEST_FIRST


class EntryFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """What the list can be narrowed by."""

    subject_kind = filters.CharFilter(help_text="A table's name, or another kind of subject.")
    subject_id = filters.CharFilter(help_text="The subject's id, together with its kind.")
    actor = filters.CharFilter(method="by_actor", help_text="The actor's id, or the name of a user.")
    verb = filters.CharFilter(help_text="The verb, exactly.")
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte", help_text="At this time or later.")
    until = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt", help_text="Before this time.")

    class Meta:
        model = Entry
        fields = ("subject_kind", "subject_id", "actor", "verb", "since", "until")

    def by_actor(self, entries: QuerySet[Entry], _name: str, value: str) -> QuerySet[Entry]:
        """Entries by the actor of this id, or by the user who has this name today."""
        known = [str(pk) for pk in User.objects.filter(username=value).values_list("pk", flat=True)]
        return entries.filter(Q(actor_id__in=[value, *known]))


class EntryList(ConsoleView):
    """`GET /api/journal`."""

    @extend_schema(
        operation_id="journal_list",
        summary="Journal entries, newest first",
        tags=["journal"],
        parameters=[
            OpenApiParameter("subject_kind", str, description="A table's name, or another kind of subject."),
            OpenApiParameter("subject_id", str, description="The subject's id, together with its kind."),
            OpenApiParameter("actor", str, description="The actor's id, or the name of a user."),
            OpenApiParameter("verb", str, description="The verb, exactly."),
            OpenApiParameter("since", str, description="ISO 8601: at this time or later."),
            OpenApiParameter("until", str, description="ISO 8601: before this time."),
        ],
        responses={200: EntrySerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """What happened, by whom, to what: newest first."""
        return self.page(selectors.entries(actor=self.actor), EntrySerializer, NewestEntries, narrowed_by=EntryFilter)


class EntryDetail(ConsoleView):
    """`GET /api/journal/{id}`."""

    @extend_schema(
        operation_id="journal_retrieve",
        summary="One journal entry",
        tags=["journal"],
        responses=EntrySerializer,
    )
    def get(self, _request: Request, entry_id: UUID) -> Response:
        """One thing that happened."""
        return Response(EntrySerializer(selectors.entry(entry_id=entry_id, actor=self.actor)).data)


class EntryProof(ConsoleView):
    """`GET /api/journal/{id}/proof`."""

    @extend_schema(
        operation_id="journal_proof",
        summary="The inclusion proof of a journal entry",
        tags=["journal"],
        responses=ProofSerializer,
    )
    def get(self, _request: Request, entry_id: UUID) -> Response:
        """That the entry is in the signed tree; 409 `not_sealed` in the moments before it is."""
        return Response(proofs.prove_entry(selectors.entry(entry_id=entry_id, actor=self.actor)))
