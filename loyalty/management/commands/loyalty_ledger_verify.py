"""`manage.py loyalty_ledger_verify`: is the ledger still what the journal's digests say?"""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from loyalty.books import digests
from loyalty.services import books
from opsconsole.core.commands import ConsoleCommand


class Command(ConsoleCommand):
    """Works every digest out anew; names each stretch of the ledger that is not what was digested, and exits 1."""

    help = (
        "Work out anew the digests of the ledger that the journal holds, and compare. Exit status: 0 if all of them"
        " agree, else 1 with each stretch of ids named that does not."
    )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Verify, journal, tell."""
        actor = self.actor(options)
        actor.require(books.VERIFY)
        started = time.perf_counter()
        columns = (SpinnerColumn(), TextColumn("{task.completed:,} rows"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            bar = progress.add_task("Verifying", total=None)
            outcome = digests.verify(lambda rows: progress.update(bar, completed=rows))
        books.record_verification(outcome=outcome, actor=actor)
        seconds = time.perf_counter() - started
        self.stdout.write(
            f"{outcome.rows:,} rows in {outcome.stretches:,} stretches, {outcome.beyond:,} rows not digested yet;"
            f" {seconds:.1f} s."
        )
        if outcome.sound:
            self.stdout.write(self.style.SUCCESS("The ledger is as it was digested."))
            return
        for broken in outcome.broken:
            self.stderr.write(self.style.ERROR(str(broken)))
        sys.exit(1)
