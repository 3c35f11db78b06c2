"""Incidents, alerts and checks as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from opsconsole.monitoring.models import Alert, Check, Incident
from opsconsole.monitoring.services.checklists import MAX_NOTE
from opsconsole.monitoring.services.incidents import MAX_TEXT, MAX_TITLE
from opsconsole.monitoring.states import Severity


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """An alert of an incident."""

    class Meta:
        model = Alert
        fields = ("fingerprint", "name", "labels", "annotations", "source_url", "starts_at", "ends_at")


class IncidentSerializer(serializers.ModelSerializer[Incident]):
    """An incident, without its alerts."""

    acknowledged_by = serializers.CharField(
        source="acknowledged_by.username", default=None, allow_null=True, read_only=True
    )

    class Meta:
        model = Incident
        fields = (
            "id",
            "title",
            "severity",
            "source",
            "status",
            "subject_kind",
            "subject_id",
            "details",
            "opened_at",
            "acknowledged_by",
            "acknowledged_at",
            "quiet_since",
            "resolved_at",
            "conclusion",
        )


class IncidentDetailSerializer(IncidentSerializer):
    """An incident with its alerts."""

    alerts = serializers.SerializerMethodField()

    class Meta:
        model = Incident
        fields = (*IncidentSerializer.Meta.fields, "alerts")

    @extend_schema_field(AlertSerializer(many=True))
    def get_alerts(self, incident: Incident) -> list[dict[str, Any]]:
        """The newest hundred."""
        return list(AlertSerializer(incident.alerts.order_by("-starts_at", "-id")[:100], many=True).data)


class NewIncidentSerializer(serializers.Serializer[Any]):
    """What a person says who opens an incident."""

    title = serializers.CharField(max_length=MAX_TITLE)
    severity = serializers.ChoiceField(choices=Severity.choices)
    description = serializers.CharField(max_length=MAX_TEXT, required=False, allow_blank=True, default="")


class CommentSerializer(serializers.Serializer[Any]):
    """A remark."""

    comment = serializers.CharField(max_length=MAX_TEXT)


class ConclusionSerializer(serializers.Serializer[Any]):
    """What it was, and that alerts which still fire are known."""

    conclusion = serializers.CharField(max_length=MAX_TEXT)
    although_firing = serializers.BooleanField(required=False, default=False)


class TickSerializer(serializers.Serializer[Any]):
    """A person's word on an item."""

    in_order = serializers.BooleanField()
    note = serializers.CharField(max_length=MAX_NOTE)


class CheckSerializer(serializers.ModelSerializer[Check]):
    """What an item came to on a day."""

    ticked_by = serializers.CharField(source="ticked_by.username", default=None, read_only=True)

    class Meta:
        model = Check
        fields = ("id", "day", "item", "verdict", "detail", "note", "ticked_by", "at")


class ItemSerializer(serializers.Serializer[Any]):
    """An item of today's checklist, as it stands now."""

    item = serializers.CharField()
    title = serializers.CharField()
    by = serializers.ChoiceField(choices=["system", "person"])
    verdict = serializers.ChoiceField(choices=["good", "bad", "open"])
    figures = serializers.DictField()
    rows = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))
    note = serializers.CharField()
    ticked_by = serializers.CharField(allow_null=True)


class ReceivedSerializer(serializers.Serializer[Any]):
    """What became of a notification."""

    incident = serializers.UUIDField(allow_null=True)
    status = serializers.CharField(allow_null=True)


class NotificationSerializer(serializers.Serializer[Any]):
    """What Alertmanager's webhook sends, version 4; only what is read here, further members are passed over."""

    groupKey = serializers.CharField()  # noqa: N815 - Alertmanager's name
    status = serializers.CharField(required=False)
    commonLabels = serializers.DictField(required=False)  # noqa: N815
    commonAnnotations = serializers.DictField(required=False)  # noqa: N815
    externalURL = serializers.CharField(required=False)  # noqa: N815
    alerts = serializers.ListField(child=serializers.DictField())
