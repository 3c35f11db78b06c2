"""Incidents with the alerts that fire in them, and what the daily checklist came to."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from opsconsole.core.fields import Uuid7Model
from opsconsole.core.models import User
from opsconsole.core.states import Stateful, States
from opsconsole.monitoring.states import LIVE, IncidentState, Severity, Source, Verdict


class Incident(Uuid7Model, Stateful):
    """Something is wrong, and somebody should look. The same trouble (`key`) has one live incident at a time."""

    states: ClassVar[type[States]] = IncidentState

    key = models.TextField()
    title = models.TextField()
    severity = models.TextField(choices=Severity.choices)
    source = models.TextField(choices=Source.choices)
    status = models.TextField(choices=IncidentState.choices, db_default=IncidentState.OPEN)
    # What it is about, where that is a row: the kind is its table.
    subject_kind = models.TextField(db_default="", blank=True)
    subject_id = models.TextField(db_default="", blank=True)
    details = models.JSONField(default=dict, blank=True)
    opened_at = models.DateTimeField(db_default=Now(), editable=False)
    acknowledged_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    quiet_since = models.DateTimeField(null=True, blank=True)  # its last alert ended; a person still says what it was
    resolved_at = models.DateTimeField(null=True, blank=True)
    conclusion = models.TextField(db_default="", blank=True)

    class Meta:
        db_table = "ops_incidents"
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        default_permissions = ("view",)
        permissions = [("handle_incident", "Can open, acknowledge and resolve incidents")]
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(status__in=LIVE), name="one_live_incident_per_key"),
            models.CheckConstraint(
                condition=~Q(status=IncidentState.RESOLVED) | (Q(resolved_at__isnull=False) & ~Q(conclusion="")),
                name="resolved_incident_says_what_it_was",
            ),
        ]
        indexes = [
            models.Index(fields=["-opened_at", "-id"], name="incidents_newest"),
            models.Index(fields=["severity", "opened_at"], condition=Q(status__in=LIVE), name="incidents_live"),
            models.Index(fields=["key", "-id"], name="incidents_by_key"),
        ]

    def __str__(self) -> str:
        return self.title


class Alert(Uuid7Model):
    """One alert of an incident, as Alertmanager tells of it: firing while it has no end."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="alerts")
    fingerprint = models.TextField()
    name = models.TextField()
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    source_url = models.TextField(db_default="", blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "ops_incident_alerts"
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["incident", "fingerprint", "starts_at"], name="alert_stands_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Check(Uuid7Model):
    """One item of one day's checklist: what it came to, by the system's figures or by a person's word."""

    day = models.DateField()
    item = models.TextField()
    verdict = models.TextField(choices=Verdict.choices)
    detail = models.JSONField(default=dict, blank=True)
    note = models.TextField(db_default="", blank=True)
    ticked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "ops_checks"
        verbose_name = _("check")
        verbose_name_plural = _("daily checklist")
        default_permissions = ("view",)
        permissions = [("tick_check", "Can tick the items of a checklist")]
        constraints = [models.UniqueConstraint(fields=["day", "item"], name="one_check_per_day_and_item")]

    def __str__(self) -> str:
        return f"{self.day} {self.item}"
