"""The journal's keys, from settings: the one that signs, and all whose signatures we accept."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from opsconsole.journal.notes import Signer, VerifierKey


def signer() -> Signer:
    """The key of settings.JOURNAL_SIGNING_KEY, under the name of settings.JOURNAL_ORIGIN."""
    seed = base64.b64decode(settings.JOURNAL_SIGNING_KEY, validate=True)
    return Signer(settings.JOURNAL_ORIGIN, Ed25519PrivateKey.from_private_bytes(seed))


def trusted() -> list[VerifierKey]:
    """The current public key, then the retired ones of settings.JOURNAL_PUBLIC_KEYS; raises BadNote for a bad one."""
    return [signer().verifier, *(VerifierKey.parse(text) for text in settings.JOURNAL_PUBLIC_KEYS)]
