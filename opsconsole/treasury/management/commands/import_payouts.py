"""`manage.py import_payouts FILE.csv[.gz]`: bring payouts in by the file."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.errors import DomainError
from opsconsole.core.importing import ImportBar, ImportReport
from opsconsole.treasury.payouts.facts import COLUMNS
from opsconsole.treasury.payouts.files import PayoutFile
from opsconsole.treasury.services import imports
from opsconsole.treasury.services.imports import Totals


class Command(ConsoleCommand):
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
        with ExitStack() as stack:
            report = ImportReport(stack, options["errors"], Totals())
            bar = stack.enter_context(ImportBar(self.console, file))

            def follow(totals: Totals) -> None:
                report.totals = totals
                bar.follow(totals)

            try:
                load(
                    lines=file,
                    file_name=options["file"].name,
                    on_bad=report.refuse,
                    on_progress=follow,
                    actor=actor,
                )
            except DomainError as error:
                report.failure = error
        self._tell(report, atomic=options["atomic"])
        if report.failure is not None:
            raise report.failure
        if report.totals.refused:
            sys.exit(1)

    def _tell(self, report: ImportReport[Totals], *, atomic: bool) -> None:
        report.tell(self.stderr)
        totals = report.totals
        if not totals.lines:
            return
        undone = atomic and report.failure is not None
        sums = ", ".join(f"{currency} {amount:,}" for currency, amount in sorted(totals.sums.items()))
        loaded = "nothing loaded" if undone else f"{totals.loaded:,} loaded" + (f" ({sums})" if sums else "")
        self.stdout.write(
            f"{loaded}, {totals.known:,} already there, {totals.refused:,} refused"
            f" in {report.seconds:.1f} s ({totals.lines / report.seconds:,.0f} rows/s)"
        )
