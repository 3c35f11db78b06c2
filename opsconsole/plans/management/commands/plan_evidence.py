"""`manage.py plan_evidence PLAN`: everything that there is to know of a plan in one zip that proves itself offline."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from opsconsole.core.commands import ConsoleCommand
from opsconsole.core.errors import Invalid
from opsconsole.plans import access, evidence


class Command(ConsoleCommand):
    """Pack the evidence of a plan; the export is journalled."""

    help = "Write the evidence of a plan (its id or external id) to a zip that can be checked offline."
    demo_user = "auditor"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which plan, and where to."""
        parser.add_argument("plan", help="the plan's id, or its external id")
        parser.add_argument("--out", type=Path, metavar="FILE", help="write there; else evidence-<id>.zip here")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write it and say what it holds."""
        actor = self.actor(options)
        plan = access.plan_named(actor, options["plan"])
        pack = evidence.export(plan_id=plan.pk, actor=actor)
        out: Path = options["out"] or Path(pack.name)
        try:
            with pack.file, out.open("wb") as target:
                shutil.copyfileobj(pack.file, target)
        except OSError as error:
            raise Invalid(f"{out} cannot be written: {error.strerror}.") from error
        left_out = f"; {pack.unsealed} not sealed yet and left out" if pack.unsealed else ""
        self.stdout.write(f"{out}: {pack.size} bytes, {pack.files} files, {pack.entries} journal entries{left_out}.")
        for name in pack.missing:
            self.stderr.write(self.style.WARNING(f"Missing in the storage, and said so inside: {name}"))
        self.stdout.write(f"sha256 {pack.digest}")
