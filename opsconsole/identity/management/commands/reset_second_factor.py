"""`manage.py reset_second_factor USER --reason TEXT`: for somebody whose authenticator is lost."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from opsconsole.core.commands import ConsoleCommand
from opsconsole.identity.second_factor import reset_second_factor


class Command(ConsoleCommand):
    """Take a second factor away; journalled, with an alert."""

    help = "Take a person's second factor away, because it is lost. They set up another at their next login."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose, and why."""
        parser.add_argument("user", metavar="USER")
        parser.add_argument("--reason", required=True, help="goes into the journal and the alert")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it, and say so."""
        reset_second_factor(username=options["user"], reason=options["reason"], actor=self.actor(options))
        self.stderr.write(f"{options['user']} has no second factor any more.")
