"""The keys that stored secrets are encrypted with."""

from __future__ import annotations

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.rotation import encrypt_anew, encrypted_columns
from opsconsole.journal.record import Subject, record


@operation
def rotate_field_keys(*, actor: Actor) -> dict[str, tuple[int, int]]:
    """Bring every stored secret under the first key of FIELD_ENCRYPTION_KEYS, all of them or none.

    By column, how many secrets that took and how many there are. Only whoever sits at the server may, who can read
    the keys anyway. Raises KeyLost for a secret that no configured key opens.
    """
    actor.require("core.rotate_field_keys")
    done = {str(column): encrypt_anew(column) for column in encrypted_columns()}
    after = {column: {"rotated": rotated, "secrets": secrets} for column, (rotated, secrets) in done.items()}
    record(actor, "secrets.rotated", Subject("settings", "FIELD_ENCRYPTION_KEYS"), after=after)
    return done
