"""`manage.py import_payouts FILE.csv[.gz]`: bring payouts in by the file."""

from __future__ import annotations

import csv
import sys
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.errors import DomainError
from opsconsole.core.texts import english
from opsconsole.treasury.errors import FileRefused
from opsconsole.treasury.payouts.facts import COLUMNS
from opsconsole.treasury.payouts.files import BadLine, PayoutFile
from opsconsole.treasury.services import imports
from opsconsole.treasury.services.imports import Totals

SHOWN: Final = 100


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
            report = _Report(stack, options["errors"])
            bar = stack.enter_context(_Bar(self.console, file))

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

    def _tell(self, report: _Report, *, atomic: bool) -> None:
        for bad in report.shown:
            self.stderr.write(str(bad))
        totals = report.totals
        if totals.refused > len(report.shown):
            hint = "the file of --errors has them all" if report.writes else "--errors FILE writes them all"
            self.stderr.write(f"... and {totals.refused - len(report.shown):,} more refused rows; {hint}.")
        if not totals.lines:
            return
        undone = atomic and report.failure is not None
        sums = ", ".join(f"{currency} {amount:,}" for currency, amount in sorted(totals.sums.items()))
        loaded = "nothing loaded" if undone else f"{totals.loaded:,} loaded" + (f" ({sums})" if sums else "")
        self.stdout.write(
            f"{loaded}, {totals.known:,} already there, {totals.refused:,} refused"
            f" in {report.seconds:.1f} s ({totals.lines / report.seconds:,.0f} rows/s)"
        )


class _Report:
    """What came of the file: the counts, the first bad rows to show, all of them for the file of --errors."""

    def __init__(self, stack: ExitStack, errors: Path | None) -> None:
        self.totals = Totals()
        self.shown: list[BadLine] = []
        self.failure: DomainError | None = None
        self.writes = errors is not None
        self._started = time.perf_counter()
        self._writer = None
        if errors is not None:
            try:
                written = stack.enter_context(errors.open("w", newline="", encoding="utf-8"))
            except OSError as error:
                raise FileRefused(f"{errors}: {error.strerror}.", file=str(errors)) from error
            self._writer = csv.writer(written)
            self._writer.writerow(("line", "column", "reason"))

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self._started

    def refuse(self, bad: BadLine) -> None:
        """Note a bad row."""
        if len(self.shown) < SHOWN:
            self.shown.append(bad)
        if self._writer is not None:
            self._writer.writerows((bad.number, column, english(reason)) for column, reason in bad.problems)


class _Bar(Progress):
    """How far the file has been read, by its bytes on disk; the rows, their rate, and the refused ones."""

    def __init__(self, console: Any, file: PayoutFile) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TextColumn("[red]{task.fields[refused]:,} refused"),
            TimeRemainingColumn(),
            console=console,
        )
        self._file = file
        self._started = time.perf_counter()
        self._bar = self.add_task(file.path.name, total=None, rows=0, rate=0.0, refused=0)

    def follow(self, totals: Totals) -> None:
        """Draw it."""
        rate = totals.lines / max(time.perf_counter() - self._started, 0.001)
        self.update(
            self._bar,
            total=self._file.size,
            completed=self._file.position,
            rows=totals.lines,
            rate=rate,
            refused=totals.refused,
        )
