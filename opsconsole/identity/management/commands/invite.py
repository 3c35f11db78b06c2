"""`manage.py invite USER`: print the address at which somebody without a password chooses one, once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from opsconsole.core.commands import ConsoleCommand
from opsconsole.identity.invitations import address_of
from opsconsole.identity.tokens import invite_user


class Command(ConsoleCommand):
    """For a person whom an approved change has added or brought back; hand it to them alone."""

    help = "Print the one-time address at which a user who has no password chooses one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who."""
        parser.add_argument("user", metavar="USER")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the address alone."""
        user, secret = invite_user(username=options["user"], actor=self.actor(options))
        self.stdout.write(address_of(user, secret))
