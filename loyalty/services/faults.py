"""What went wrong with a worker, for the record."""

from __future__ import annotations

from loyalty.workers import Outcome, Worker, count_execution
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import Subject, record

MAX_ERROR = 500


@operation
def note_fault(*, worker: Worker, about: str, error: str, refused: bool, actor: Actor) -> None:
    """Journal and count an execution that came to nothing: refused, so that somebody has to act, or broken off."""
    actor.require("loyalty.verify_ledger")
    facts = {"about": about, "error": error[:MAX_ERROR], "refused": refused}
    record(actor, "worker.faulted", Subject("loyalty_worker", worker.value), after=facts)
    count_execution(worker, Outcome.REFUSED if refused else Outcome.FAILED)
