"""Who may see and handle incidents: fetched, permitted and locked in one call."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.monitoring.errors import IncidentNotFound
from opsconsole.monitoring.models import Alert, Check, Incident


def visible_incidents(actor: Actor) -> QuerySet[Incident]:
    """All incidents; raises Denied for whom they are no business of."""
    actor.require("monitoring.view_incident")
    return Incident.objects.select_related("acknowledged_by")


def visible_alerts(actor: Actor) -> QuerySet[Alert]:
    """All alerts; raises Denied for whom incidents are no business of."""
    actor.require("monitoring.view_incident")
    return Alert.objects.select_related("incident")


def visible_checks(actor: Actor) -> QuerySet[Check]:
    """All that checklists came to; raises Denied."""
    actor.require("monitoring.view_check")
    return Check.objects.select_related("ticked_by")


def incident_seen_by(actor: Actor, incident_id: UUID) -> Incident:
    """The incident, to read; raises IncidentNotFound for one the actor may not see."""
    incident = Incident.objects.select_related("acknowledged_by").filter(pk=incident_id).first()
    if incident is None or not actor.may("monitoring.view_incident"):
        raise IncidentNotFound(_("There is no such incident."))
    return incident


def incident_for(actor: Actor, incident_id: UUID) -> Incident:
    """The incident, locked to be handled; raises IncidentNotFound or Denied."""
    seen = incident_seen_by(actor, incident_id)
    actor.require("monitoring.handle_incident")
    return Incident.objects.select_for_update(no_key=True).get(pk=seen.pk)
