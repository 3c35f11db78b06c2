"""`manage.py loyalty_evaluate_tiers --program P`: give every member the tier they have earned, here and now."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from loyalty import access
from loyalty.management.days import a_day
from loyalty.services import tiers
from opsconsole.core.commands import ConsoleCommand


class Command(ConsoleCommand):
    """Evaluates without a worker, and for a day that is past where one is named."""

    help = (
        "Evaluate the tiers of a program's members: up at once, down after 30 days below. Needs no worker. With"
        " --as-of, members get the tier that they had earned on that day; a second evaluation changes nothing."
    )
    demo_user = "ops_marketing"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The program, and the day."""
        parser.add_argument("--program", required=True, metavar="P", help="the program, by name or id")
        parser.add_argument("--as-of", type=a_day, metavar="DAY", help="as of this day (YYYY-MM-DD), not now")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Evaluate and tell."""
        actor = self.actor(options)
        program = access.program_named(actor, options["program"])
        started = time.perf_counter()
        with self.console.status("Evaluating"):
            done = tiers.evaluate_tiers(program_id=program.pk, as_of=options["as_of"], actor=actor)
        self.stdout.write(
            f"{done.members:,} members: {done.upgraded:,} went up, {done.downgraded:,} went down, {done.in_grace:,} are"
            f" below their tier in grace; {time.perf_counter() - started:.1f} s."
        )
