"""Alerts in: what Alertmanager tells opens an incident, adds to it, reopens it, or quietens it."""

from __future__ import annotations

from django.db.models.functions import Now

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.monitoring.alertmanager import Notification
from opsconsole.monitoring.models import Alert, Incident
from opsconsole.monitoring.openings import open_or_join, tell
from opsconsole.monitoring.states import LIVE, IncidentState, Severity, Source


@operation
def receive_notification(*, notification: Notification, actor: Actor) -> Incident | None:
    """Write what a notification tells; the incident it belongs to.

    The same one again changes nothing. None for alerts that ended before anybody told us that they had begun.
    Raises Denied without `monitoring.receive_alert`.
    """
    actor.require("monitoring.receive_alert")
    firing = [alert for alert in notification.alerts if alert.ends_at is None]
    incident = _known(notification, firing=bool(firing), actor=actor)
    if incident is None:
        if not firing:
            return None
        incident, _ = open_or_join(
            key=notification.key,
            title=notification.title,
            severity=notification.severity,
            source=Source.ALERT,
            details={"links": notification.links, "alerts_left_out": notification.left_out},
            actor=actor,
        )
    changed = _note_alerts(incident, notification)
    if _worse(notification.severity, Severity(incident.severity)) and firing:
        record(
            actor,
            "incident.grew_worse",
            incident,
            before={"severity": incident.severity},
            after={"severity": notification.severity.value},
        )
        incident.severity = notification.severity.value
        incident.save(update_fields=["severity"])
        tell(incident, "incident.grew_worse")
    if changed:
        record(actor, "incident.alerts", incident, after={"firing": sorted(a.name for a in firing), "changed": changed})
    _quieten(incident, actor)
    return incident


def _known(notification: Notification, *, firing: bool, actor: Actor) -> Incident | None:
    """The live incident of this key; or the last one, open again, where an alert of it fires on."""
    found = Incident.objects.select_for_update(no_key=True).filter(key=notification.key).order_by("-id").first()
    if found is None or found.status in LIVE:
        return found
    known = Alert.objects.filter(
        incident=found,
        ends_at__isnull=True,
        fingerprint__in=[alert.fingerprint for alert in notification.alerts if alert.ends_at is None],
    )
    if firing and known.exists():
        found.move_to(IncidentState.OPEN)
        found.resolved_at, found.acknowledged_by, found.acknowledged_at = None, None, None
        found.save(update_fields=["status", "resolved_at", "acknowledged_by", "acknowledged_at"])
        record(
            actor,
            "incident.reopened",
            found,
            before={"status": "resolved"},
            after={"status": "open"},
            reason="its alert fires on",
        )
        tell(found, "incident.reopened")
        return found
    return None if firing else found


def _note_alerts(incident: Incident, notification: Notification) -> int:
    """Write the alerts; how many are new or have ended."""
    changed = 0
    for alert in notification.alerts:
        row, made = Alert.objects.get_or_create(
            incident=incident,
            fingerprint=alert.fingerprint,
            starts_at=alert.starts_at,
            defaults={
                "name": alert.name,
                "labels": alert.labels,
                "annotations": alert.annotations,
                "source_url": alert.source_url,
                "ends_at": alert.ends_at,
            },
        )
        ended = not made and alert.ends_at is not None and row.ends_at is None
        if not made:
            row.seen_at = Now()
            row.ends_at = alert.ends_at if ended else row.ends_at
            row.save(update_fields=["seen_at", "ends_at"])
        changed += made or ended
    return changed


def _quieten(incident: Incident, actor: Actor) -> None:
    """Note since when no alert of a live incident fires, or that one does again."""
    if incident.status not in LIVE:
        return
    fires = Alert.objects.filter(incident=incident, ends_at__isnull=True).exists()
    if fires == (incident.quiet_since is None):
        return
    incident.quiet_since = None if fires else Now()
    incident.save(update_fields=["quiet_since"])
    record(actor, "incident.fires_again" if fires else "incident.quiet", incident)
    tell(incident, "incident.fires_again" if fires else "incident.quiet")


def _worse(now: Severity, was: Severity) -> bool:
    order = list(Severity)
    return order.index(now) < order.index(was)
