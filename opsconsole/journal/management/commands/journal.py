"""`manage.py journal verify | prove | export | key | seal`: what an auditor and a person on call ask of the journal."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from opsconsole.core.actors import Actor
from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.errors import Invalid
from opsconsole.journal import keys, proofs, selectors, services
from opsconsole.journal.exports import Export
from opsconsole.journal.gateways import OutsideCheckpoints
from opsconsole.journal.outcomes import SHOWN, Outcome
from opsconsole.journal.verify import verify

TO_STDOUT = "-"


class Command(ConsoleCommand):
    """The journal from the command line; `verify`, `seal` and `key` need no user, the others one who may read it."""

    help = "Verify the journal, prove an entry, export entries, print the public key, seal now."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """One sub-command each."""
        commands = parser.add_subparsers(dest="task", required=True, metavar="COMMAND")
        whose = argparse.ArgumentParser(add_help=False)
        whose.add_argument("--as", dest="as_user", metavar="USER", default=argparse.SUPPRESS, help="act as this user")
        into = argparse.ArgumentParser(add_help=False)
        into.add_argument("--out", default=TO_STDOUT, metavar="FILE", help="write there instead of standard output")

        commands.add_parser("verify", parents=[whose], help="check every entry, the tree and all checkpoints")
        commands.add_parser("seal", parents=[whose], help="seal what is pending now; the scheduler does it each second")
        commands.add_parser("key", parents=[whose], help="print the public keys, for the offline verifier")

        prove = commands.add_parser("prove", parents=[whose, into], help="print the inclusion proof of an entry")
        prove.add_argument("id", type=UUID, help="the entry's id")

        growth = commands.add_parser(
            "growth", parents=[whose, into], help="print the proof that the journal only grew since a checkpoint"
        )
        growth.add_argument("size", type=int, help="the size the old checkpoint names")

        export = commands.add_parser("export", parents=[whose, into], help="entries of a stretch of time, with a proof")
        export.add_argument("--since", type=_moment, help="at this time or later (ISO 8601; UTC where it says none)")
        export.add_argument("--until", type=_moment, help="before this time")
        export.add_argument("--format", choices=["jsonl", "csv"], default="jsonl", dest="form")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the sub-command."""
        getattr(self, options["task"])(options)

    def verify(self, options: dict[str, Any]) -> None:
        """Check the whole journal; exit 1 and name what is wrong when something is."""
        actor = self.actor(options)
        actor.require("journal.verify_journal")
        started = time.monotonic()
        with self._progress() as progress:
            bar = progress.add_task("Verifying", total=None)
            outcome = verify(progress=lambda done, total: progress.update(bar, completed=done, total=total))
        services.record_verification(outcome=outcome, actor=actor)
        self._report(outcome, time.monotonic() - started)
        if not outcome.sound:
            sys.exit(1)

    def seal(self, options: dict[str, Any]) -> None:
        """Seal and publish now."""
        actor = self.actor(options)
        sealed = 0
        while batch := services.seal(actor=actor):
            sealed += batch
        outside = OutsideCheckpoints().publish(selectors.notes_newest_first())
        self.stdout.write(f"{sealed} entries sealed, {outside} checkpoints put outside the database.")

    def key(self, _options: dict[str, Any]) -> None:
        """Print the verifier keys: the current one first, then the retired ones."""
        for key in keys.trusted():
            self.stdout.write(str(key))

    def prove(self, options: dict[str, Any]) -> None:
        """Print the inclusion proof of one entry."""
        entry = selectors.entry(entry_id=options["id"], actor=self._reader(options))
        self._write_json(proofs.prove_entry(entry), options)

    def growth(self, options: dict[str, Any]) -> None:
        """Print the consistency proof from an old checkpoint to the newest."""
        self._reader(options).require("journal.view_entry")
        self._write_json(proofs.prove_growth(options["size"]), options)

    def export(self, options: dict[str, Any]) -> None:
        """Stream the entries of a stretch of time, and their proof at the end; the export is journalled."""
        actor = self._reader(options)
        actor.require("journal.export_journal")
        export = Export(options["since"], options["until"], options["form"])
        with self._progress() as progress, self._output(options) as write:
            bar = progress.add_task("Exporting", total=None)
            for line in export:
                write(line)
                progress.update(bar, completed=export.entries)
        services.record_export(
            since=export.since, until=export.until, form=export.form, entries=export.entries, actor=actor
        )
        left_out = f"; {export.unsealed} not sealed yet and left out" if export.unsealed else ""
        self.stderr.write(f"{export.entries} entries exported{left_out}.")

    def _reader(self, options: dict[str, Any]) -> Actor:
        self.demo_user = "auditor"
        return self.actor(options)

    def _report(self, outcome: Outcome, seconds: float) -> None:
        write = self.stdout.write
        write(
            f"{outcome.entries} entries: {outcome.sealed} sealed, {outcome.unsealed} not sealed yet."
            f" {outcome.checkpoints} checkpoints in the table, {outcome.outside} outside."
            f" {outcome.sealed / max(seconds, 0.001):,.0f} entries a second."
        )
        for remark in outcome.remarks:
            write(f"Note: {remark}.")
        if outcome.sound:
            write(self.style.SUCCESS(f"The journal is whole, and signed up to leaf {outcome.size}."))
            return
        first, *more = outcome.findings
        self.stderr.write(self.style.ERROR(f"The journal was tampered with. First: {first}"))
        for finding in more[: SHOWN - 1]:
            self.stderr.write(self.style.ERROR(f"  {finding}"))
        if len(more) >= SHOWN:
            self.stderr.write(self.style.ERROR(f"  and {len(more) - SHOWN + 1} more"))

    def _progress(self) -> Progress:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(show_speed=True),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        return Progress(*columns, console=self.console, transient=True)

    def _write_json(self, value: dict[str, Any], options: dict[str, Any]) -> None:
        with self._output(options) as write:
            write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    @contextlib.contextmanager
    def _output(self, options: dict[str, Any]) -> Iterator[Callable[[str], object]]:
        """What writes a piece of text that ends in a newline, to the file asked for or to standard output."""
        if options["out"] == TO_STDOUT:
            yield self.stdout.write
            return
        path = Path(options["out"])
        try:
            out = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise Invalid(f"{path} cannot be written: {error.strerror}.") from error
        with out:
            yield out.write


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write 2026-01-31 or 2026-01-31T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
