"""`manage.py loyalty_reconcile`: do balances, budgets and campaigns agree with the ledger?"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from typing import Any

from rich.console import Console
from rich.table import Table

from loyalty import access
from loyalty.books.reconcile import Reconciled, reconcile
from loyalty.services import books
from opsconsole.core.commands import ConsoleCommand


class Command(ConsoleCommand):
    """Adds everything up anew and names every figure that is not what the ledger makes of it."""

    help = (
        "Prove in one snapshot that balances are the sums of their transactions, budgets what was spent and reserved,"
        " and campaigns what they awarded; differences are listed, the first 20 of them. With --check the exit status"
        " is 1 if there are any."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One program, or all; and whether drift is a failure."""
        parser.add_argument("--program", metavar="P", help="only this program, by name or id")
        parser.add_argument("--check", action="store_true", help="end with 1 if anything differs")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Add up, journal, tell."""
        actor = self.actor(options)
        actor.require(books.VERIFY)
        name = options["program"]
        program = access.program_named(actor, name) if name else None
        started = time.perf_counter()
        with self.console.status("Adding up"):
            outcome = reconcile(program.pk if program else None)
        books.record_reconciliation(outcome=outcome, actor=actor)
        self._tell(outcome, time.perf_counter() - started)
        if outcome.drift and options["check"]:
            sys.exit(1)

    def _tell(self, outcome: Reconciled, seconds: float) -> None:
        looked = f"{outcome.transactions:,} transactions of {outcome.members:,} members in {seconds:.1f} s"
        if not outcome.drift:
            self.stdout.write(self.style.SUCCESS(f"The books agree with the ledger: {looked}."))
            return
        table = Table("book", "of", "figure", "kept", "in the ledger", "difference")
        for one in outcome.first:
            figures = (f"{value:,.0f}" for value in (one.kept, one.summed, one.kept - one.summed))
            table.add_row(one.book, f"{one.name} {one.id}", one.figure, *figures)
        Console(file=self.stdout, width=160).print(table)  # type: ignore[arg-type] # Django's wrapper of a stream
        self.stdout.write(self.style.ERROR(f"{outcome.drift:,} figures differ: {looked}."))
