"""What monitoring does by the clock, and what it hears of from the rest of the console."""

from __future__ import annotations

from datetime import timedelta

import structlog

from opsconsole.core.actors import SYSTEM
from opsconsole.core.models import OutboxEvent
from opsconsole.core.schedule import periodic
from opsconsole.journal.errors import NoCheckpoint
from opsconsole.journal.outcomes import BROKEN
from opsconsole.journal.record import Subject
from opsconsole.journal.services import record_export
from opsconsole.monitoring.checklist import ITEMS
from opsconsole.monitoring.compliance import EXPORTER, next_day, write_day
from opsconsole.monitoring.services.checklists import note_finding
from opsconsole.monitoring.services.incidents import note_trouble
from opsconsole.monitoring.states import Severity

log = structlog.get_logger(__name__)

WATCH = SYSTEM("monitoring")
# Events name a plan by that word; the journal, the checklist and the pages go by the table.
TABLE_OF = {"plan": "ops_plans", "backup": "ops_backups"}

# What the console sees itself and somebody has to look at: topic, how bad, in words.
TROUBLES: dict[str, tuple[Severity, str]] = {
    "plan.failed": (Severity.CRITICAL, "The plan {name} failed"),
    "plan.partial": (Severity.WARNING, "The plan {name} ended in part"),
    "plan.rollback_partial": (Severity.CRITICAL, "Rolling back the plan {name} ended in part"),
    "plan.break_glass": (Severity.CRITICAL, "Somebody broke the glass for the plan {name}"),
    BROKEN: (Severity.CRITICAL, "The journal does not verify"),
    "backup.failed": (Severity.WARNING, "The backup {name} failed"),
}


def hear_of_plans(event: OutboxEvent) -> None:
    """Open an incident for what went wrong with a plan, or join the live one about it."""
    _hear(event)


def hear_of_the_journal(event: OutboxEvent) -> None:
    """Open an incident for a journal that does not verify."""
    _hear(event)


def hear_of_backups(event: OutboxEvent) -> None:
    """Open an incident for a backup that failed: a migration may wait for it."""
    _hear(event)


def _hear(event: OutboxEvent) -> None:
    trouble = TROUBLES.get(event.topic)
    if trouble is None:
        return
    severity, title = trouble
    note_trouble(
        key=f"{event.topic}:{event.subject_id}",
        title=title.format(name=event.data.get("name", event.subject_id)),
        severity=severity,
        subject=Subject(TABLE_OF.get(event.subject_kind, event.subject_kind), event.subject_id),
        details={"event": str(event.pk), **event.data},
        actor=WATCH,
    )


@periodic(every=timedelta(minutes=5))
def evaluate_checklist() -> int:
    """Evaluate the items that the system can judge; returns how many verdicts changed."""
    changed = 0
    for item in ITEMS:
        if item.evaluate is not None:
            changed += note_finding(item=item.name, finding=item.evaluate(), actor=WATCH)
    return changed


@periodic(every=timedelta(minutes=10))
def export_for_compliance() -> int:
    """Export the days that are over and not exported yet; returns how many."""
    exported = 0
    while day := next_day():
        try:
            written = write_day(day)
        except NoCheckpoint:
            return exported
        if written.unsealed:
            log.warning("compliance.unsealed", day=day.isoformat(), entries=written.unsealed)
            return exported
        record_export(
            since=written.since,
            until=written.until,
            form="jsonl",
            entries=written.entries,
            file=written.file,
            sha256=written.sha256,
            actor=EXPORTER,
        )
        exported += 1
    return exported
