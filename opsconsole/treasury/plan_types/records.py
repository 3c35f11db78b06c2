"""What the plan types that change records of ours have in common: each step is one operation, once under its key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import InterfaceError, OperationalError

from opsconsole.core.actors import SYSTEM
from opsconsole.core.errors import DomainError
from opsconsole.core.operations import Operation
from opsconsole.plans.models import Run, Step
from opsconsole.plans.outcomes import Done, NeverHappened, Outcome, Probed, Refused, Unclear
from opsconsole.plans.states import StepState
from opsconsole.plans.types import PlanType
from opsconsole.treasury.closing import alterations

WORKER: Final = SYSTEM("worker")
NOT_UNDONE_SHOWN: Final = 200


class RecordPlanType(PlanType):
    """A step calls an operation that writes the record, the journal and the step's key in one commit.

    So there is nothing left for `record` to write, and a probe needs no more than the key.
    """

    def do(self) -> Operation[Any, Outcome]:
        """The operation that does a step."""
        raise NotImplementedError

    def undo(self) -> Operation[Any, Outcome]:
        """The operation that undoes one."""
        raise NotImplementedError

    def execute(self, steps: Sequence[Step]) -> list[Outcome]:
        """Do each step, in order."""
        return [_perform(self.do(), step) for step in steps]

    def compensate(self, steps: Sequence[Step]) -> list[Outcome]:
        """Undo what each step says, in order."""
        return [_perform(self.undo(), step) for step in steps]

    def probe(self, steps: Sequence[Step]) -> list[Probed]:
        """What is written under the key of each step: it was done, or it never was."""
        made = alterations.results([step.key for step in steps])
        return [Done(made[step.key]) if step.key in made else NeverHappened() for step in steps]

    def report(self, run: Run) -> dict[str, Any]:
        """What each step did, and what was left as it was, with the reason."""
        steps = Step.objects.filter(plan_id=run.plan_id, revision=run.revision, direction=run.direction)
        done: list[dict[str, Any]] = []
        left: list[dict[str, Any]] = []
        for step in steps.order_by("seq")[:NOT_UNDONE_SHOWN]:
            if step.status == StepState.SUCCEEDED:
                done.append({name: value for name, value in (step.result or {}).items() if value is not None})
            elif step.status in (StepState.SKIPPED, StepState.FAILED):
                left.append({"step": step.seq, **(step.result or {})})
        return {"changed": done, "left_as_it_was": left}


def _perform(operation: Operation[Any, Outcome], step: Step) -> Outcome:
    try:
        return operation(step=step, actor=WORKER)
    except (OperationalError, InterfaceError) as error:
        return Unclear(f"the records did not answer: {error}")  # perhaps only the commit's answer was lost: ask
    except DomainError as error:
        return Refused(error.code, error.message)  # raised before the commit: nothing was changed
