"""`manage.py loyalty_unfreeze USER --program P --reason R`: a member earns and redeems again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from loyalty import access
from loyalty.services import members
from opsconsole.core.commands import ConsoleCommand


class Command(ConsoleCommand):
    """For a user who may; a shell alone may only stop."""

    help = "Unfreeze a member of a program: they earn and redeem again. Takes --as USER."
    demo_user = "risk_manager"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whom, and why."""
        parser.add_argument("user", metavar="USER", help="the member's id, as the program knows them")
        parser.add_argument("--program", required=True, metavar="P", help="name or id")
        parser.add_argument("--reason", required=True, metavar="R")
        parser.add_argument("--unlock", action="store_true", help="unlock all their points as well")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Unfreeze, and say how they stand."""
        actor = self.actor(options)
        program = access.program_named(actor, options["program"])
        member = access.member_named(actor, program, options["user"])
        (free,) = members.unfreeze_members(
            balance_ids=[member.pk], reason=options["reason"], unlock=options["unlock"], actor=actor
        )
        self.stdout.write(
            f"{free.user_id} of {program.name} is not frozen: {free.points_balance:,} points, {free.locked:,} locked."
        )
