"""`manage.py seed_demo`: users, banks and payouts to try everything with."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from loyalty.models import Program
from opsconsole.console.demo.desk import seed_desk
from opsconsole.console.demo.money import seed_money
from opsconsole.console.demo.people import credentials_file, seed_people
from opsconsole.console.demo.points import NAME, seed_points
from opsconsole.console.demo.shop import seed_shop
from opsconsole.core.actors import SYSTEM
from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.errors import RuleBroken


class NotInProduction(RuleBroken):
    """Demo users with their passwords on file have no place there."""

    code = "not_in_production"


class Command(ConsoleCommand):
    """Puts in place what is missing of the demo data; safe and quick to repeat."""

    help = (
        "Put the demo data in place: users named after their roles, three banks with money, 200 real payments, a"
        " loyalty program with 500 real purchases."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the sandbox bank will be."""
        parser.add_argument(
            "--bank-url",
            default=settings.SANDBOX_BANK_URL,
            metavar="URL",
            help="address of the sandbox bank (default: SANDBOX_BANK_URL)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Seed; raises NotInProduction there."""
        if settings.PRODUCTION:
            raise NotInProduction("There is no demo data in production.")
        actor = SYSTEM("demo")
        people = seed_people(actor=actor)
        payouts = seed_money(bank_url=options["bank_url"], actor=actor)
        earned = seed_points(actor=actor)
        program = Program.objects.get(name=NAME)
        seed_shop(program)
        seed_desk(program, actor=actor)
        if options["verbosity"] > 0:
            self.stdout.write(
                f"{len(people)} demo users ({credentials_file()}), 3 banks, {payouts.loaded + payouts.known} payouts"
                f" of which {payouts.loaded} are new, {earned.loaded + earned.known} purchases that earn points, of"
                f" which {earned.loaded} are new."
            )
