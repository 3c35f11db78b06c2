"""`manage.py loyalty_issue_vouchers`: order a batch of vouchers and make its codes."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from loyalty import access
from loyalty.services import vouchers
from opsconsole.core.commands import ConsoleCommand


class Command(ConsoleCommand):
    """Orders the batch, then makes its codes; a worker that is at it too does no harm."""

    help = (
        "Issue a batch of vouchers: so many codes, each worth so many points. The same command again goes on with what"
        " an interruption has left, and adds nothing to a batch that is complete. The codes are taken away as a file by"
        " the API or from the batch's page."
    )
    demo_user = "ops_marketing"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What is issued."""
        parser.add_argument("--program", required=True, metavar="P", help="name or id")
        parser.add_argument("--name", required=True, help="of the batch; once in a program")
        parser.add_argument("--points", required=True, type=int, help="that each code is worth")
        parser.add_argument("--count", required=True, type=int, help="how many codes")
        parser.add_argument("--per-member", type=int, default=1, help="how many one member may redeem (1)")
        parser.add_argument("--valid-from", type=_moment, help="ISO 8601, UTC where it names no zone (now)")
        parser.add_argument("--expires-at", type=_moment, help="the same (never)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Order, make, show how far it is."""
        actor = self.actor(options)
        program = access.program_named(actor, options["program"])
        batch, new = vouchers.issue_batch(
            program_id=program.pk,
            name=options["name"],
            points=options["points"],
            count=options["count"],
            per_member=options["per_member"],
            valid_from=options["valid_from"],
            expires_at=options["expires_at"],
            actor=actor,
        )
        if not new and batch.is_made and batch.withdrawn_at is None:
            self.stdout.write(f"{batch.name}: all {batch.count:,} codes were made before; nothing was added.")
            return
        started, had = time.perf_counter(), batch.made
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console) as bar:
            task = bar.add_task(batch.name, total=batch.count, completed=had)
            while not batch.is_made and batch.withdrawn_at is None:
                batch = vouchers.make_codes(batch_id=batch.pk, actor=actor)
                bar.update(task, completed=batch.made)
        if batch.withdrawn_at is not None:
            self.stderr.write(f"{batch.name} was withdrawn: none of its {batch.made:,} codes counts.")
            sys.exit(1)
        seconds = time.perf_counter() - started
        self.stdout.write(f"{batch.name}: {batch.made:,} codes in batch {batch.pk}, {seconds:.1f} s.")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text} is no time in ISO 8601") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
