"""`manage.py loyalty_expire_points --program P`: what expires, and with --apply have it expire now."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.utils import timezone
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from loyalty import access
from loyalty.expiry import liability, preview
from loyalty.management.days import a_day
from loyalty.models import Program
from loyalty.services import expiry
from loyalty.services.expiry import Expired
from opsconsole.core.actors import Actor
from opsconsole.core.commands import ConsoleCommand


class Command(ConsoleCommand):
    """Shows what would expire and what is owed by month; with --apply it takes what is old enough."""

    help = (
        "Show how many points of a program are old enough to expire, which of them are held back (locked, or a frozen"
        " member's), and what is owed by the month in which it expires. With --apply they expire now, as they do every"
        " day by themselves; a run that was interrupted goes on where it stopped."
    )
    demo_user = "ops_marketing"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The program, the day, and whether to do it."""
        parser.add_argument("--program", required=True, metavar="P", help="the program, by name or id")
        parser.add_argument("--as-of", type=a_day, metavar="DAY", help="as it was on this day (YYYY-MM-DD), not today")
        parser.add_argument("--apply", action="store_true", help="have the points expire")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Show, or do it."""
        actor = self.actor(options)
        program = access.program_named(actor, options["program"])
        actor.require(expiry.PERMISSION, program)
        if program.points_valid_months is None:
            self.stdout.write(f"Points of {program.name} do not expire.")
            return
        if options["apply"]:
            self._apply(program, options["as_of"], actor)
        else:
            self._show(program, options["as_of"] or timezone.now())

    def _show(self, program: Program, as_of: datetime) -> None:
        seen = preview(program, as_of)
        self.stdout.write(
            f"{seen.points:,} points of {seen.members:,} members would expire. Held back: {seen.locked_points:,} points"
            f" that are locked ({seen.locked_members:,} members), {seen.frozen_points:,} of frozen members"
            f" ({seen.frozen_members:,})."
        )
        table = Table("expires in", "members", "points")
        for month in liability(program, as_of):
            name = "old enough" if month.month is None else f"{month.month:%Y-%m}"
            table.add_row(name, f"{month.members:,}", f"{month.points:,}")
        Console(file=self.stdout, width=80).print(table)  # type: ignore[arg-type] # Django's wrapper of a stream

    def _apply(self, program: Program, as_of: datetime | None, actor: Actor) -> None:
        with Progress(console=self.console, transient=True) as progress:
            bar = progress.add_task("Expiring", total=100)

            def follow(_done: Expired, percent: int) -> None:
                progress.update(bar, completed=percent)

            done = expiry.expire_points(program_id=program.pk, as_of=as_of, on_progress=follow, actor=actor)
        self.stdout.write(f"{done.points:,} points of {done.members:,} members have expired.")
