"""Backups as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from opsconsole.backups.models import Backup
from opsconsole.backups.services.backups import MAX_REASON


class BackupSerializer(serializers.ModelSerializer[Backup]):
    """A backup, without what is in it."""

    tables = serializers.IntegerField(read_only=True)
    rows = serializers.IntegerField(read_only=True)

    class Meta:
        model = Backup
        fields = (
            "id",
            "status",
            "asked_by",
            "reason",
            "asked_at",
            "deadline_at",
            "started_at",
            "ended_at",
            "steps_done",
            "steps_total",
            "host",
            "directory",
            "file_name",
            "size_bytes",
            "sha256",
            "server_version",
            "tables",
            "rows",
            "error_code",
            "error",
        )


class BackupDetailSerializer(BackupSerializer):
    """A backup with the rows of each table, and the sums that came out of it as they went in."""

    counts = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    figures = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Backup
        fields = (*BackupSerializer.Meta.fields, "counts", "figures")


class NewBackupSerializer(serializers.Serializer[Any]):
    """What a person says who asks for a backup."""

    reason = serializers.CharField(max_length=MAX_REASON, required=False, allow_blank=True, default="")
