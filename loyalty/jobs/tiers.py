"""Tiers are evaluated every day; by hand at any time (runbook 6). Log lines carry TIER_EVALUATOR."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q

from loyalty.due import programs_asked_for, programs_not_since
from loyalty.jobs.watched import watched
from loyalty.services import tiers
from loyalty.services.tiers import ASKED, EVALUATED, EVALUATION
from loyalty.workers import Worker
from opsconsole.core.actors import SYSTEM
from opsconsole.core.queue import enqueue
from opsconsole.core.schedule import periodic

EVALUATOR: Final = SYSTEM("tier-evaluator")
EVERY: Final = timedelta(days=1)


@periodic(every=timedelta(minutes=10))
def wake_tier_evaluation() -> None:
    """Have members evaluated in every program with tiers where nobody has for a day, or somebody asks for it."""
    with_tiers = Q(tiers__isnull=False)
    due = {*programs_not_since(EVALUATED, EVERY, with_tiers), *programs_asked_for(ASKED, EVALUATED)}
    for program_id in sorted(due):
        enqueue(EVALUATION, str(program_id))


def evaluate(program_id: str) -> None:
    """Evaluate a program's tiers; safe at any time, for any number of workers."""
    with watched(Worker.TIER_EVALUATOR, program_id, EVALUATOR):
        tiers.evaluate_tiers(program_id=UUID(program_id), actor=EVALUATOR)
