"""`manage.py issue_token USER`: print a Bearer token for the API."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.errors import Invalid
from opsconsole.identity.services import issue_token


class Command(ConsoleCommand):
    """Issue a token; it is shown once and stored hashed."""

    help = "Issue an API token to a user and print it; it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose, and for how long."""
        parser.add_argument("user", metavar="USER")
        parser.add_argument("--days", type=int, default=None, help="how long it is good for (default: API_TOKEN_DAYS)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the token alone, so that a shell can take it."""
        days: int | None = options["days"]
        if days is not None and days < 1:
            raise Invalid("--days takes at least 1.")
        expiry = None if days is None else timedelta(days=days)
        self.stdout.write(issue_token(username=options["user"], expiry=expiry, actor=self.actor(options)))
