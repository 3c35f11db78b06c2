"""`manage.py loyalty_freeze USER --program P --reason R`: nothing is earned or redeemed by a member any more."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from loyalty import access
from loyalty.services import members
from opsconsole.core.commands import ConsoleCommand


class Command(ConsoleCommand):
    """Stopping takes no more than a shell; letting somebody go on takes a user."""

    help = (
        "Freeze a member of a program: nothing is earned or redeemed by them from then on (runbook 2). A shell may do"
        " this without naming a user."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whom, and why."""
        parser.add_argument("user", metavar="USER", help="the member's id, as the program knows them")
        parser.add_argument("--program", required=True, metavar="P", help="name or id")
        parser.add_argument("--reason", required=True, metavar="R")
        parser.add_argument("--flag", metavar="FLAG", help="put on the member (emergency_freeze_ and the date)")
        parser.add_argument("--lock", action="store_true", help="lock all their points as well")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Freeze, and say how they stand."""
        actor = self.actor(options)
        program = access.program_named(actor, options["program"])
        member = access.member_named(actor, program, options["user"])
        flag = options["flag"] or f"emergency_freeze_{timezone.now():%Y-%m-%d}"
        (frozen,) = members.freeze_members(
            balance_ids=[member.pk], reason=options["reason"], flag=flag, lock_all=options["lock"], actor=actor
        )
        self.stdout.write(
            f"{frozen.user_id} of {program.name} is frozen: {frozen.points_balance:,} points, {frozen.locked:,} locked,"
            f" flags: {', '.join(frozen.fraud_flags)}."
        )
