"""`manage.py write_docs`: the reference pages and the OpenAPI document, made from the code."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from opsconsole.console.reference import pages
from opsconsole.core.commands import ConsoleCommand


class Command(ConsoleCommand):
    """Write docs/generated/, or check that it is what the code says."""

    help = "Write the reference pages under docs/generated/ from the code."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Write, or only look."""
        parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is out of date")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write what differs and say which."""
        folder = Path(settings.BASE_DIR) / "docs" / "generated"
        stale = [
            name
            for name, text in pages().items()
            if not (folder / name).exists() or (folder / name).read_text() != text
        ]
        if options["check"]:
            for name in stale:
                self.stderr.write(self.style.ERROR(f"docs/generated/{name} is out of date: manage.py write_docs"))
            sys.exit(1 if stale else 0)
        folder.mkdir(parents=True, exist_ok=True)
        for name in stale:
            (folder / name).write_text(pages()[name])
            self.stdout.write(f"wrote docs/generated/{name}")
