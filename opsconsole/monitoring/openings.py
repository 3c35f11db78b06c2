"""Opening an incident, or joining the live one about the same trouble. In the caller's operation."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import Model

from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.canonical import canonical
from opsconsole.core.operations import assert_in_operation
from opsconsole.journal.record import Subject, record
from opsconsole.monitoring.models import Incident
from opsconsole.monitoring.states import LIVE, Severity, Source


def open_or_join(
    *,
    key: str,
    title: str,
    severity: Severity,
    source: Source,
    actor: Actor,
    subject: Model | Subject | None = None,
    details: dict[str, Any] | None = None,
) -> tuple[Incident, bool]:
    """The live incident of this key, locked; and whether it was opened just now. At most one lives at a time."""
    assert_in_operation()
    about = Subject.of(subject) if isinstance(subject, Model) else subject
    with connection.cursor() as cursor:
        # Two that come at once: one inserts, the other waits for it here and then finds its row.
        cursor.execute(
            """
            insert into ops_incidents (key, title, severity, source, subject_kind, subject_id, details)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (key) where status in ('open', 'acknowledged') do nothing
            """,
            [
                key,
                title,
                severity.value,
                source.value,
                about.kind if about else "",
                about.id if about else "",
                canonical(details or {}).decode(),
            ],
        )
        opened = bool(cursor.rowcount)
    incident = Incident.objects.select_for_update(no_key=True).get(key=key, status__in=LIVE)
    if opened:
        record(
            actor,
            "incident.opened",
            incident,
            after={"title": title, "severity": severity.value, "source": source.value, "key": key},
        )
        tell(incident, "incident.opened")
    return incident, opened


def tell(incident: Incident, topic: str, **facts: Any) -> None:
    """An event about the incident, for whoever listens."""
    outbox.emit(
        topic,
        kind=incident._meta.db_table,
        id=incident.pk,
        data={"title": incident.title, "severity": incident.severity, "source": incident.source, **facts},
    )
