"""`manage.py import_payouts FILE.csv[.gz]`: bring payouts in by the file."""

from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from opsconsole.core.importing import ImportCommand, ImportReport
from opsconsole.treasury.payouts.facts import COLUMNS
from opsconsole.treasury.payouts.files import PayoutFile
from opsconsole.treasury.services import imports
from opsconsole.treasury.services.imports import Totals


class Command(ImportCommand[Totals]):
    """Loads the good rows of a file, says of every other why not, and ends with status 0 only if there was none."""

    help = (
        f"Load payouts from a CSV file in UTF-8, plain or gzip, with the columns {', '.join(COLUMNS)}; merchant may be"
        " left out. Rows that are there already are left alone, so a file may be loaded again, also to go on after an"
        " interruption. Bad rows are reported with line, column and reason. Exit status: 0 if no row was refused, else"
        " 1."
    )
    demo_user = "finance_ops"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, and what to do about bad rows."""
        parser.add_argument("file", type=Path, metavar="FILE", help="CSV, or CSV in gzip")
        parser.add_argument("--atomic", action="store_true", help="load nothing if any row is bad")
        parser.add_argument(
            "--errors", type=Path, metavar="FILE", help="write every refused row to this CSV file: line,column,reason"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Load, show how far it is, report."""
        actor = self.actor(options)
        file = PayoutFile(options["file"])
        load = imports.import_payouts_whole if options["atomic"] else imports.import_payouts
        begin = partial(load, lines=file, file_name=options["file"].name, actor=actor)
        self.load(file, begin, Totals(), errors=options["errors"], atomic=options["atomic"])

    def summary(self, report: ImportReport[Totals], *, undone: bool) -> str:
        """The rows, and the sums that they come to."""
        totals = report.totals
        sums = ", ".join(f"{currency} {amount:,}" for currency, amount in sorted(totals.sums.items()))
        loaded = "nothing loaded" if undone else f"{totals.loaded:,} loaded" + (f" ({sums})" if sums else "")
        return (
            f"{loaded}, {totals.known:,} already there, {totals.refused:,} refused"
            f" in {report.seconds:.1f} s ({totals.lines / report.seconds:,.0f} rows/s)"
        )
