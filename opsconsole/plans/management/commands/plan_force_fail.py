"""`manage.py plan_force_fail RUN`: end a stuck run as failed, which the runbook did by SQL."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from opsconsole.core.commands import ConsoleCommand
from opsconsole.plans import access, selectors
from opsconsole.plans.services.force_fail import force_fail_run


class Command(ConsoleCommand):
    """End a run that hangs; the worker that may still have it stops at its next write."""

    help = "End a stuck run as failed: --as USER, who may do that, and --reason."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which run, and why."""
        parser.add_argument("run", type=UUID, help="the run's id")
        parser.add_argument("--reason", required=True, help="why; it goes into the journal")

    def handle(self, *_args: Any, **options: Any) -> None:
        """End it and say what is left in doubt."""
        actor = self.actor(options)
        run = access.run_seen_by(actor, options["run"])
        run = force_fail_run(plan_id=run.plan_id, run_id=run.pk, reason=options["reason"], actor=actor)
        plan = access.plan_seen_by(actor, run.plan_id)
        self.stdout.write(f"The run is {run.status}; the plan “{plan.name}” is {plan.state.label}.")
        if doubtful := selectors.steps_in_doubt(plan):
            self.stdout.write(f"{doubtful} steps are unknown; their target is asked within two minutes.")
