"""Reads over incidents and the checklist."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, When

from opsconsole.core.actors import Actor
from opsconsole.monitoring import access
from opsconsole.monitoring.checklist import ITEMS, Finding, Item, today
from opsconsole.monitoring.models import Check, Incident
from opsconsole.monitoring.states import LIVE, Severity, Verdict


def live_incidents(actor: Actor) -> list[Incident]:
    """Incidents that have not ended, the worst and oldest first; at most fifty. Raises Denied."""
    rank = Case(*(When(severity=severity, then=place) for place, severity in enumerate(Severity)))
    found = access.visible_incidents(actor).filter(status__in=LIVE).order_by(rank, "opened_at")
    return list(found[:50])


def todays_checks(actor: Actor) -> list[tuple[Item, Finding, Check | None]]:
    """Each item with what it comes to now, and what was noted of it today; raises Denied."""
    noted = {check.item: check for check in access.visible_checks(actor).filter(day=today())}
    found: list[tuple[Item, Finding, Check | None]] = []
    for item in ITEMS:
        check = noted.get(item.name)
        if item.evaluate is not None:
            finding = item.evaluate()
        else:
            finding = Finding(Verdict(check.verdict) if check else Verdict.OPEN)
        found.append((item, finding, check))
    return found


def as_items(actor: Actor) -> list[dict[str, Any]]:
    """Today's checklist in its plain form."""
    return [
        {
            "item": item.name,
            "title": str(item.title),
            "by": "person" if item.evaluate is None else "system",
            "verdict": finding.verdict.value,
            "figures": finding.figures,
            "rows": finding.rows,
            "note": check.note if check else "",
            "ticked_by": check.ticked_by.username if check and check.ticked_by else None,
        }
        for item, finding, check in todays_checks(actor)
    ]
