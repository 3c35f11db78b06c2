"""That evidence left the house is itself on record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.plans import access


@operation
def note_evidence(*, plan_id: UUID, facts: dict[str, Any], actor: Actor) -> None:
    """Journal that somebody took the evidence of a plan, and which file it was; raises PlanNotFound, Denied."""
    plan = access.plan_seen_by(actor, plan_id)
    actor.require("plans.export_evidence", plan)
    record(actor, "plan.evidence_exported", plan, after=facts)
