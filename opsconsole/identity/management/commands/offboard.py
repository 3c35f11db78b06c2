"""`manage.py offboard USER --reason WHY`: end all that a person may here, at once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from opsconsole.core.commands import ConsoleCommand
from opsconsole.identity.counting import counted
from opsconsole.identity.holdings import user_by
from opsconsole.identity.offboarding import offboard_user


class Command(ConsoleCommand):
    """For whoever sits at the server, and with --as for whoever may."""

    help = "End a person's login, sessions, tokens, keys, roles, grants, approvals and requests, at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who, and why."""
        parser.add_argument("user", metavar="USER", help="user name or id")
        parser.add_argument("--reason", required=True, help="goes into the journal")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Say what ended."""
        user = user_by(options["user"])
        done = offboard_user(user_id=user.pk, reason=options["reason"], actor=self.actor(options))
        if done.again:
            self.stdout.write(f"{user.username} had left before, and held nothing.")
            return
        ended = counted(done.ended) or "nothing but the login"
        self.stdout.write(f"{user.username} has left. Ended: {ended}.")
