"""`psql "$(manage.py dburl)"`: the address of the database for people."""

import os
from argparse import ArgumentParser
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.core.management.base import BaseCommand

from opsconsole import embedded, supervisor

OURS = {"pool", "prepare_threshold"}  # options of the application's connection, unknown to psql


class Command(BaseCommand):
    """Prints what psql connects to, as the role for people; their changes are journalled as direct SQL."""

    help = 'Print the address of the database for psql: psql "$(manage.py dburl)"'
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--stop", action="store_true", help="let the embedded servers stop again, print nothing")

    def handle(self, **options: Any) -> None:
        """Print the address alone on standard output; what else there is to say goes to standard error."""
        if options["stop"]:
            embedded.unkeep(settings.VAR)
            return
        self.stdout.write(settings.DATABASE_OPERATOR_URL or operator_url())
        if "DATABASE_URL" in os.environ:
            return
        # psql holds no share in the servers, so without this they would stop as we leave.
        embedded.keep(settings.VAR)
        if not supervisor.runs(settings.VAR):
            self.stderr.write("PostgreSQL stays up for psql until `manage.py dburl --stop` or the end of a `make up`.")


def operator_url() -> str:
    """The application's database, addressed as the operators' role; psql asks for the password."""
    database = settings.DATABASES["default"]
    host = {"host": database["HOST"], "port": database["PORT"]}
    options = {name: value for name, value in (host | database["OPTIONS"]).items() if value and name not in OURS}
    name = quote(database["NAME"], safe="")
    return f"postgresql://{quote(settings.DB_OPERATOR_ROLE, safe='')}@/{name}?{urlencode(options, safe='/')}"
