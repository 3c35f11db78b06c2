"""`manage.py create_first_people`: who lets the others in, on a console that has no admin yet."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from opsconsole.core.commands import ConsoleCommand
from opsconsole.identity.invitations import address_of
from opsconsole.identity.tokens import create_first_people


class Command(ConsoleCommand):
    """At the server, once; afterwards people are added by approved changes."""

    help = "Make the first two admins and the first pay_admin, and print each one's invitation; refused afterwards."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who."""
        parser.add_argument("--admin", action="append", required=True, metavar="NAME", help="twice at the least")
        parser.add_argument("--pay-admin", action="append", required=True, metavar="NAME", help="once at the least")

    def handle(self, *_args: Any, **options: Any) -> None:
        """A line for each: name and address."""
        made = create_first_people(admins=options["admin"], pay_admins=options["pay_admin"], actor=self.actor(options))
        for user, secret in made:
            self.stdout.write(f"{user.username} {address_of(user, secret)}")
