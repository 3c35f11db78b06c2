"""What a command shows of a file that it loads: how far it is, the first bad lines, and all of them in another file."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.errors import DomainError
from opsconsole.core.lines import BadLine, FileRefused, LineFile
from opsconsole.core.texts import english

SHOWN: Final = 100


class Counted(Protocol):
    """What became of the lines so far."""

    refused: int

    @property
    def lines(self) -> int:
        """Every line that was looked at."""


T = TypeVar("T", bound=Counted)


class ImportReport(Generic[T]):
    """What came of the file: the counts, the first bad rows to show, all of them for the file of --errors."""

    def __init__(self, stack: ExitStack, errors: Path | None, totals: T) -> None:
        self.totals = totals
        self.failure: DomainError | None = None
        self._shown: list[BadLine] = []
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
        if len(self._shown) < SHOWN:
            self._shown.append(bad)
        if self._writer is not None:
            self._writer.writerows((bad.number, column, english(reason)) for column, reason in bad.problems)

    def tell(self, stderr: Any) -> None:
        """Name the bad rows, or as many as a person reads."""
        for bad in self._shown:
            stderr.write(str(bad))
        if self.totals.refused > len(self._shown):
            hint = "the file of --errors has them all" if self._writer else "--errors FILE writes them all"
            stderr.write(f"... and {self.totals.refused - len(self._shown):,} more refused rows; {hint}.")


class ImportBar(Progress):
    """How far the file has been read, by its bytes on disk; the rows, their rate, and the refused ones."""

    def __init__(self, console: Any, file: LineFile[Any]) -> None:
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

    def follow(self, totals: Counted) -> None:
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


class ImportCommand(ConsoleCommand, Generic[T]):
    """A command that loads a file, says of every bad line why it is, and ends with 0 only if none was refused."""

    def load(
        self, file: LineFile[Any], begin: Callable[..., object], totals: T, *, errors: Path | None, atomic: bool
    ) -> None:
        """Load, show how far it is, report; raises what the service refuses with, SystemExit if lines were refused.

        `begin` is the service, but for `on_bad`, called with each bad line, and `on_progress`, called with the totals.
        """
        if errors is not None and errors.exists() and file.path.exists() and errors.samefile(file.path):
            raise FileRefused(f"{errors} is the file to load: --errors takes another one.", file=str(errors))
        with ExitStack() as stack:
            report = ImportReport(stack, errors, totals)
            bar = stack.enter_context(ImportBar(self.console, file))

            def follow(totals: T) -> None:
                report.totals = totals
                bar.follow(totals)

            try:
                begin(on_bad=report.refuse, on_progress=follow)
            except DomainError as error:
                report.failure = error
        report.tell(self.stderr)
        if report.totals.lines or report.failure is None:
            self.stdout.write(self.summary(report, undone=atomic and report.failure is not None))
        if report.failure is not None:
            raise report.failure
        if report.totals.refused:
            sys.exit(1)

    def summary(self, report: ImportReport[T], *, undone: bool) -> str:
        """What became of the lines, in a sentence; `undone` says that nothing of it stays."""
        raise NotImplementedError
