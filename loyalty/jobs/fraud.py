"""Fraud is looked for all the time; verdicts that nobody gives are asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from loyalty.errors import NothingToDo
from loyalty.fraud.figures import rules_that_look
from loyalty.services import disputes, fraud
from opsconsole.core.actors import SYSTEM
from opsconsole.core.queue import enqueue
from opsconsole.core.schedule import periodic

log = structlog.get_logger(__name__)

FRAUD = SYSTEM("fraud")
LOOK: Final = "loyalty.jobs.fraud.look_by_rule"


@periodic(every=timedelta(minutes=5))
def look_for_fraud() -> None:
    """Wake a worker for each rule that is switched on: over a large ledger a look takes a while."""
    for rule_id in rules_that_look():
        enqueue(LOOK, str(rule_id))


def look_by_rule(rule_id: str) -> None:
    """Look by one rule; safe to call at any time, by any number of workers."""
    try:
        found = fraud.look_for(rule_id=UUID(rule_id), actor=FRAUD)
    except NothingToDo:
        log.info("fraud.rule_is_off", rule=rule_id)  # since it was asked for
        return
    if found.hits:
        log.warning("fraud.found", rule=rule_id, hits=found.hits, points_locked=found.points_locked)


@periodic(every=timedelta(minutes=5))
def remind_of_verdicts() -> None:
    """Tell of hits and disputes whose deadline has passed."""
    fraud.remind_of_overdue(actor=FRAUD)
    disputes.remind_of_overdue(actor=FRAUD)
