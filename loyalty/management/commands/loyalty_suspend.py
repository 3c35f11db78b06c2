"""`manage.py loyalty_suspend PROGRAM --reason R`: nothing is earned or redeemed in a program, once two teams agree."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from loyalty import access
from loyalty.services import programs
from opsconsole.approvals.gate import Asked
from opsconsole.core.commands import ConsoleCommand


class Command(ConsoleCommand):
    """Asks for it first; once it is approved, the same person runs it again with the approval's id."""

    help = (
        "Suspend a program: nothing is earned or redeemed in it from then on (runbook 2). Without --approval it asks"
        " marketing and finance, prints the id of the request, and stops nothing. Takes --as USER, the same one both"
        " times."
    )
    demo_user = "ops_marketing"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which, and why."""
        parser.add_argument("program", metavar="PROGRAM", help="name or id")
        parser.add_argument("--reason", required=True, metavar="R")
        parser.add_argument("--approval", type=UUID, metavar="ID", help="what the first call has printed")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Ask, or suspend."""
        actor = self.actor(options)
        program = access.program_named(actor, options["program"])
        answer = programs.suspend_program(
            program_id=program.pk, reason=options["reason"], approval_id=options["approval"], actor=actor
        )
        if isinstance(answer, Asked):
            self.stderr.write(f"Nothing is stopped yet: {', '.join(answer.roles)} have to agree. Then, as you:")
            again = ["loyalty_suspend", str(program.pk), "--reason", options["reason"]]
            again += ["--approval", str(answer.request.pk)]
            again += ["--as", options["as_user"]] if options["as_user"] else []
            self.stderr.write(f"manage.py {shlex.join(again)}")
            self.stdout.write(str(answer.request.pk))
            return
        self.stdout.write(f"{answer.name} is {answer.status}.")
