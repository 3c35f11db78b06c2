"""`manage.py loyalty_import_purchases FILE --program P`: turn purchases into earned points."""

from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from django.utils import timezone

from loyalty import access
from loyalty.importing.files import COLUMNS, PurchaseFile
from loyalty.services import purchases
from loyalty.services.purchases import Source, Totals
from opsconsole.core.importing import ImportCommand, ImportReport


class Command(ImportCommand[Totals]):
    """Loads the good lines of a file, says of every other why not, and ends with 0 only if none was refused."""

    help = (
        f"Load purchases from a file, plain or gzip, with the columns {', '.join(COLUMNS)} and blanks between them:"
        " each earns points by the program's rate and rules, on the day of the purchase. A line is known by the name of"
        " the source and its number, so a file may be loaded again, also to go on after an interruption. Purchases that"
        " earn nothing are skipped; bad lines are reported with line, column and reason. Exit status: 0 if no line was"
        " refused, else 1."
    )
    demo_user = "ops_marketing"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, where to, and what to do about bad lines."""
        parser.add_argument("file", type=Path, metavar="FILE", help="text, or text in gzip")
        parser.add_argument("--program", required=True, metavar="P", help="the program, by name or id")
        parser.add_argument("--source", metavar="NAME", help="what its lines are known by; the file's name if left out")
        parser.add_argument("--atomic", action="store_true", help="load nothing if any line is bad")
        parser.add_argument(
            "--errors", type=Path, metavar="FILE", help="write every refused line to this CSV file: line,column,reason"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Load, show how far it is, report."""
        actor = self.actor(options)
        program = access.program_named(actor, options["program"])
        actor.require(purchases.PERMISSION, program)  # before the file is opened
        file = PurchaseFile(options["file"], until=timezone.now())
        load = purchases.import_purchases_whole if options["atomic"] else purchases.import_purchases
        source = Source(options["source"] or file.source, file.path.name, file.head())
        begin = partial(load, program_id=program.pk, lines=file, source=source, actor=actor)
        self.load(file, begin, Totals(), errors=options["errors"], atomic=options["atomic"])

    def summary(self, report: ImportReport[Totals], *, undone: bool) -> str:
        """The lines, and the points that they gave."""
        totals = report.totals
        loaded = f"{totals.loaded:,} loaded ({totals.points:,} points for {totals.paid:,})"
        return (
            f"{'nothing loaded' if undone else loaded}, {totals.known:,} already there, {totals.skipped:,} skipped (no"
            f" points), {totals.refused:,} refused in {report.seconds:.1f} s"
            f" ({totals.lines / report.seconds:,.0f} lines/s)"
        )
