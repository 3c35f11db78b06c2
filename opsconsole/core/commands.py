"""The base of every management command: a person at a shell is an actor like any other."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from rich.console import Console

from opsconsole.core.actors import Actor, shell_actor
from opsconsole.core.errors import Denied, DomainError
from opsconsole.core.requests import bind_request_id
from opsconsole.core.texts import english, one_after_another
from opsconsole.core.tokens import user_of_token


class ConsoleCommand(BaseCommand):
    """A command that names its actor, prints a refusal as a sentence with what is wrong where, and exits 1.

    `--as USER` acts as that user, who proves it with an API token of theirs in OPSCONSOLE_TOKEN. With demo data, and
    only then, the token of the demo user is at hand and `--as` may be left out where `demo_user` names one.
    """

    demo_user: str | None = None

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        """The parser, with `--as` for everybody."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument("--as", dest="as_user", metavar="USER", help="act as this user (OPSCONSOLE_TOKEN)")
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, and turn a refusal into what is wrong with it and exit status 1."""
        bind_request_id()
        try:
            return super().execute(*args, **options)
        except DomainError as error:
            self._refused(error)
            sys.exit(1)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted. What was committed stays; run the same command again to go on.")
            sys.exit(130)

    def _refused(self, error: DomainError) -> None:
        self.stderr.write(self.style.ERROR(f"{error.code}: {error.message}"))
        for field, wrong in error.fields.get("errors", {}).items():
            self.stderr.write(f"  {field}: {english(one_after_another(wrong))}")

    def actor(self, options: dict[str, Any]) -> Actor:
        """The user named by `--as` with their token; the demo user; else the shell itself."""
        name: str | None = options.get("as_user")
        token = os.environ.get("OPSCONSOLE_TOKEN", "")
        if name is None and self.demo_user and (demo := demo_tokens().get(self.demo_user)):
            name, token = self.demo_user, demo
            self.stderr.write(f"Acting as the demo user {name}.")
        if name is None:
            return shell_actor()
        user = user_of_token(token or demo_tokens().get(name, ""))
        if user is None or user.username != name:
            raise Denied(f"--as {name} needs a valid API token of {name} in OPSCONSOLE_TOKEN.")
        return Actor.of(user)

    @property
    def console(self) -> Console:
        """Where progress and tables go: the terminal's error stream, so that output stays pipeable."""
        return Console(stderr=True)


def demo_tokens() -> dict[str, str]:
    """The tokens of the demo users, by name; empty in production and without demo data."""
    path = settings.VAR / "demo" / "credentials.json"
    if settings.PRODUCTION or not path.exists():
        return {}
    return {entry["username"]: entry["token"] for entry in json.loads(path.read_text())}
