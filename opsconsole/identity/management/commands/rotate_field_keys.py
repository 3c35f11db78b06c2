"""`manage.py rotate_field_keys`: bring every stored secret under the first of FIELD_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from opsconsole.core.commands import ConsoleCommand
from opsconsole.identity.keys import rotate_field_keys


class Command(ConsoleCommand):
    """Put a new key first, restart everything, run this, then take the old keys away."""

    help = "Encrypt every stored secret with the first key of FIELD_ENCRYPTION_KEYS."

    def handle(self, *_args: Any, **options: Any) -> None:
        """Say what was done, column by column."""
        for column, (rotated, secrets) in rotate_field_keys(actor=self.actor(options)).items():
            self.stdout.write(f"{column}: {rotated} of {secrets} encrypted anew")
        self.stdout.write("Keys after the first are no longer needed.")
