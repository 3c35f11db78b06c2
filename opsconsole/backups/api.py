"""The doors of backups."""

from __future__ import annotations

from uuid import UUID

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from opsconsole.backups import access
from opsconsole.backups.models import Backup
from opsconsole.backups.serializers import BackupDetailSerializer, BackupSerializer, NewBackupSerializer
from opsconsole.backups.services import backups
from opsconsole.backups.states import BackupState
from opsconsole.core.http import ConsoleView
from opsconsole.core.idempotency import Answer
from opsconsole.core.openapi import problem_response

TAGS = ["backups"]

BEFORE = OpenApiExample("Before a migration", value={"reason": "before 002_upgrade_industrial"}, request_only=True)


class BackupFilter(filters.FilterSet):  # type: ignore[misc] # django-filter is untyped
    """How the list of backups can be narrowed."""

    status = filters.MultipleChoiceFilter(choices=BackupState.choices)

    class Meta:
        model = Backup
        fields: tuple[str, ...] = ()


class Backups(ConsoleView):
    """All backups."""

    @extend_schema(
        operation_id="backups_list",
        summary="List backups",
        tags=TAGS,
        filters=True,
        responses={200: BackupSerializer(many=True), 400: problem_response(), 403: problem_response()},
    )
    def get(self, _request: Request) -> Response:
        """Newest first."""
        return self.page(access.visible_backups(self.actor), BackupSerializer, narrowed_by=BackupFilter)

    @extend_schema(
        operation_id="backups_make",
        summary="Have the database backed up",
        tags=TAGS,
        request=NewBackupSerializer,
        responses={
            202: BackupDetailSerializer,
            400: problem_response(),
            403: problem_response(),
            409: problem_response(),
        },
        examples=[BEFORE],
    )
    def post(self, _request: Request) -> Response:
        """A worker writes the file, restores it on trial, and says here what came of it."""
        answer = backups.ask_for_backup.once(
            self.request_key(),
            lambda backup: Answer(202, dict(BackupDetailSerializer(backup).data)),
            reason=self.read(NewBackupSerializer)["reason"],
            actor=self.actor,
        )
        return self.respond(answer)


class OneBackup(ConsoleView):
    """One backup."""

    @extend_schema(
        operation_id="backups_retrieve",
        summary="One backup with what is in it",
        tags=TAGS,
        responses={200: BackupDetailSerializer, 404: problem_response()},
    )
    def get(self, _request: Request, backup_id: UUID) -> Response:
        """How far it is, or what came of it."""
        return Response(BackupDetailSerializer(access.backup_seen_by(self.actor, backup_id)).data)
