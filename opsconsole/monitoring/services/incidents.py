"""Incidents: opened by a person or by what the console itself sees, taken up, commented on, and ended."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.texts import Text
from opsconsole.journal.record import Subject, record
from opsconsole.monitoring import access
from opsconsole.monitoring.errors import ReasonMissing, StillFiring
from opsconsole.monitoring.models import Alert, Incident
from opsconsole.monitoring.openings import open_or_join, tell
from opsconsole.monitoring.states import IncidentState, Severity, Source

MAX_TITLE = 200
MAX_TEXT = 4_000
NAMES: Final[dict[str, Text]] = {
    "title": _("title"),
    "description": _("description"),
    "comment": _("comment"),
    "conclusion": _("conclusion"),
}


@operation
def open_incident(*, title: str, severity: Severity, description: str, actor: Actor) -> Incident:
    """Open an incident by hand; a live one of the same title is joined instead."""
    actor.require("monitoring.handle_incident")
    said = _text(title, "title", MAX_TITLE)
    about = _text(description, "description", MAX_TEXT, needed=False)
    incident, opened = open_or_join(
        key=f"person:{said.casefold()}",
        title=said,
        severity=severity,
        source=Source.PERSON,
        details={"description": about} if about else {},
        actor=actor,
    )
    if not opened and about:
        record(actor, "incident.commented", incident, reason=about)
    return incident


@operation
def note_trouble(
    *,
    key: str,
    title: str,
    severity: Severity,
    subject: Subject | None,
    details: dict[str, Any],
    actor: Actor,
) -> Incident:
    """Open an incident about what the console saw itself; the same trouble again joins the live one."""
    actor.require("monitoring.handle_incident")
    incident, opened = open_or_join(
        key=key,
        title=title[:MAX_TITLE],
        severity=severity,
        source=Source.CONSOLE,
        subject=subject,
        details=details,
        actor=actor,
    )
    if not opened:
        record(actor, "incident.happened_again", incident, after=details)
    return incident


@operation
def acknowledge_incident(*, incident_id: UUID, actor: Actor) -> Incident:
    """Take an open incident up; raises WrongState for one that is not open."""
    incident = access.incident_for(actor, incident_id)
    was = incident.status
    incident.move_to(IncidentState.ACKNOWLEDGED)
    incident.acknowledged_by, incident.acknowledged_at = actor.user, Now()
    incident.save(update_fields=["status", "acknowledged_by", "acknowledged_at"])
    record(actor, "incident.acknowledged", incident, before={"status": was}, after={"status": incident.status})
    tell(incident, "incident.acknowledged", by=actor.name)
    return access.incident_seen_by(actor, incident_id)


@operation
def comment_incident(*, incident_id: UUID, comment: str, actor: Actor) -> Incident:
    """Write a remark into the incident's timeline, which is the journal."""
    incident = access.incident_for(actor, incident_id)
    record(actor, "incident.commented", incident, reason=_text(comment, "comment", MAX_TEXT))
    return incident


@operation
def resolve_incident(*, incident_id: UUID, conclusion: str, actor: Actor, although_firing: bool = False) -> Incident:
    """End an incident with a word on what it was; raises StillFiring while alerts of it fire, unless that is known."""
    incident = access.incident_for(actor, incident_id)
    was = incident.status
    incident.move_to(IncidentState.RESOLVED)
    firing = list(Alert.objects.filter(incident=incident, ends_at__isnull=True).values_list("name", flat=True)[:20])
    if firing and not although_firing:
        alerts = sorted(set(firing))
        raise StillFiring(format_lazy(_("{alerts} still fires."), alerts=", ".join(alerts)), alerts=alerts)
    incident.conclusion = _text(conclusion, "conclusion", MAX_TEXT)
    incident.resolved_at = Now()
    incident.save(update_fields=["status", "conclusion", "resolved_at"])
    record(
        actor,
        "incident.resolved",
        incident,
        before={"status": was},
        after={"status": incident.status, "still_firing": sorted(set(firing))},
        reason=incident.conclusion,
    )
    tell(incident, "incident.resolved", by=actor.name, conclusion=incident.conclusion)
    return access.incident_seen_by(actor, incident_id)


def _text(value: str, name: str, most: int, *, needed: bool = True) -> str:
    text = value.strip()
    if (needed and not text) or len(text) > most:
        limits = {"least": 1 if needed else 0, "most": most}
        raise ReasonMissing(
            format_lazy(_("The {field} must have {least} to {most} characters."), field=NAMES[name], **limits),
            errors={name: [format_lazy(_("must have {least} to {most} characters"), **limits)]},
        )
    return text
