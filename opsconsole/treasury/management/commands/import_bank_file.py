"""`manage.py import_bank_file FILE`: take in what a bank reports about payments."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.lines import FileRefused
from opsconsole.treasury.models import BankFile
from opsconsole.treasury.services import bank_files

SHOWN: Final = 50


class Command(ConsoleCommand):
    """Takes a file in, shows what came of it, and names what did not match."""

    help = (
        "Import a status report (pain.002), a statement (camt.053) or a notification (camt.054) of a bank: payouts and"
        " sweeps settle, fail or come back by it. A file that is there already adds nothing; one that was interrupted"
        " goes on. What does not match becomes a break, for a person. Exit status: 0 if the file was taken in, breaks"
        " or none, else 1."
    )
    demo_user = "finance_ops"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file."""
        parser.add_argument("file", type=Path, metavar="FILE", help="XML of ISO 20022")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Take it in, show how far it is, report."""
        actor, path = self.actor(options), options["file"]
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.completed:,} lines"),
            TimeRemainingColumn(),
            console=self.console,
        )
        actor.require(bank_files.PERMISSION)  # before the file is opened
        try:
            stream = path.open("rb")
        except OSError as error:
            raise FileRefused(f"{path}: {error.strerror}.", file=str(path)) from error
        with stream, bar:
            task = bar.add_task(path.name, total=None)
            file, new = bank_files.import_bank_file(
                stream=stream,
                name=path.name,
                actor=actor,
                on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        self._tell(file, new=new)

    def _tell(self, file: BankFile, *, new: bool) -> None:
        said = "" if new else " It was imported before; nothing was added."
        self.stdout.write(
            f"{file.schema}, {file.lines_read:,} lines: {file.settled:,} settled, {file.failed:,} failed,"
            f" {file.returned:,} returned, {file.already:,} known already, {file.pending:,} on their way,"
            f" {file.breaks:,} breaks.{said}"
        )
        for balance in file.balances.select_related("account").order_by("as_of"):
            self.stdout.write(
                f"{balance.account.iban}: the bank states {balance.stated:,}, the ledger expects {balance.expected:,},"
                f" difference {balance.difference:,}."
            )
        breaks = file.found_breaks.select_related("line").order_by("line__number")
        for one in breaks[:SHOWN]:
            self.stderr.write(f"line {one.line.number} {one.line.reference}: {one.get_reason_display()}, {one.detail}")
        if file.breaks > SHOWN:
            self.stderr.write(f"... and {file.breaks - SHOWN:,} more breaks; the console lists them all.")
