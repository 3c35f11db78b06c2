"""Signatures after the Standard Webhooks specification: HMAC-SHA256 over id, time and body, in base64.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Told

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES, MADE_BYTES = 24, 64, 32


class NotASecret(Told, ValueError):
    """Nothing can be signed with this."""


def make_secret() -> str:
    """A fresh signing secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(MADE_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key in a secret; raises NotASecret unless it is `whsec_` and base64 of 24 to 64 bytes."""
    if not secret.startswith(PREFIX):
        raise NotASecret(format_lazy(_("a signing secret begins with {beginning}"), beginning=PREFIX))
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise NotASecret(_("a signing secret is base64 behind its beginning")) from error
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise NotASecret(
            format_lazy(_("a signing secret has {least} to {most} bytes"), least=LEAST_BYTES, most=MOST_BYTES)
        )
    return key


def headers(*, message_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The three headers; one signature for each secret, the newest first."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, "sha256")).decode() for secret in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
