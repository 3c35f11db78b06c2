"""`manage.py backup`: make a backup here and now, and restore it once on trial."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from typing import Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from opsconsole.backups import taking
from opsconsole.backups.services import backups
from opsconsole.backups.states import BackupState
from opsconsole.backups.taking import Work
from opsconsole.core.commands import ConsoleCommand

TITLES: Final = {BackupState.DUMPING: "Writing", BackupState.CHECKING: "Restoring on trial"}
MEGABYTE: Final = 1024 * 1024


class Command(ConsoleCommand):
    """Writes the file, proves it, and ends with 0 only if it is a backup; Ctrl-C leaves neither file nor database."""

    help = (
        "Back up the database into BACKUP_DIRECTORY, in PostgreSQL's custom format, and restore it once into a scratch"
        " database: tables, rows and sums must come out as they went in. Only then the file gets its name. Exit status:"
        " 0 for a backup, else 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Why."""
        parser.add_argument("--reason", default="", metavar="WHY", help="goes into the journal")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make it, show how far it is, tell what it is."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end is interrupted, with all its tidying
        actor = self.actor(options)
        me = taking.maker()
        backup = backups.begin_backup_here(reason=options["reason"], maker=me, actor=actor)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("tables"))
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as progress:
            bars = {stage: progress.add_task(title, total=None) for stage, title in TITLES.items()}

            def follow(stage: BackupState, done: int, total: int) -> None:
                progress.update(bars[stage], completed=done, total=total)

            made = taking.make(Work(backup, actor, follow))
        assert made.size_bytes is not None
        assert made.duration is not None
        self.stdout.write(
            f"{made.tables:,} tables with {made.rows:,} rows restored as they were dumped;"
            f" {made.size_bytes / MEGABYTE:,.1f} MB, {made.duration.total_seconds():.1f} s."
        )
        self.stdout.write(f"sha256 {made.sha256}")
        self.stdout.write(self.style.SUCCESS(f"{made.directory}/{made.file_name}"))
