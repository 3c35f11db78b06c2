"""Ed25519 signatures (RFC 8032) over a text that a person can read and plain `openssl` can sign.

    opsconsole approval v1
    request: 0199d3a5-5c1e-7c3f-9a51-0f6f1f1f2a10
    digest: 3b0c...64 hexadecimal digits
    decision: approve

in UTF-8, each line ended by one LF, the last one too. Whoever approves again after having revoked signs one more line,
`round: 2` (3, 4 ...), so that a signature that was taken back cannot be sent in again by somebody else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from uuid import UUID

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.errors import SignatureInvalid, SignerKeyMalformed

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_FIELD = 2**255 - 19
_ORDER_EIGHT = int("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", 16)
# The y coordinates of the points whose order divides 8. A key made of one fits signatures that nobody made.
_SMALL_ORDER = frozenset({0, 1, _FIELD - 1, _ORDER_EIGHT, _FIELD - _ORDER_EIGHT})


def signing_text(*, request_id: UUID, digest: str, decision: str, nth: int = 1) -> str:
    """The text to sign; `nth` counts this person's approvals of the request, the one to be made included."""
    text = f"opsconsole approval v1\nrequest: {request_id}\ndigest: {digest}\ndecision: {decision}\n"
    return text if nth == 1 else f"{text}round: {nth}\n"


def parse_public_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key given as PEM or as base64; raises SignerKeyMalformed."""
    text = text.strip()
    if "PRIVATE KEY" in text:
        raise SignerKeyMalformed(
            _(
                "That is a private key. Keep it to yourself and treat it as disclosed; send the public one"
                " (openssl pkey -in key.pem -pubout)."
            )
        )
    raw = _pem(text) if text.startswith("-----BEGIN") else _base64(text)
    if len(raw) != KEY_BYTES or not _has_full_order(raw):
        raise SignerKeyMalformed(_("An Ed25519 public key is 32 bytes in base64, or PEM; this is neither."))
    return raw


def stored(public_key: bytes) -> str:
    """A key in the one form it is stored in, base64 of its 32 bytes."""
    return base64.b64encode(public_key).decode()


def fingerprint(public_key: bytes) -> str:
    """SHA-256 over the key's DER form (RFC 8410), as hexadecimal digits.

    The same as `openssl pkey -pubin -in key.pub -outform DER | sha256sum`.
    """
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def parse_signature(text: str) -> str:
    """A signature in the one form it is stored in, base64 of its 64 bytes; raises SignatureInvalid."""
    raw = _base64(text.strip())
    if len(raw) != SIGNATURE_BYTES:
        raise SignatureInvalid(_("A signature is the base64 of the 64 bytes that Ed25519 makes."))
    return base64.b64encode(raw).decode()


def verifies(*, public_key: str, signature: str, text: str) -> bool:
    """Whether the owner of the key signed exactly this text; key and signature in base64."""
    try:
        key = Ed25519PublicKey.from_public_bytes(_base64(public_key))
        key.verify(_base64(signature), text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _pem(text: str) -> bytes:
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        return b""
    if not isinstance(key, Ed25519PublicKey):
        raise SignerKeyMalformed(
            _("The key is of another kind; this takes Ed25519 (openssl genpkey -algorithm ed25519).")
        )
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _has_full_order(raw: bytes) -> bool:
    y = int.from_bytes(raw, "little") & (2**255 - 1)  # the top bit is the sign of x
    return y % _FIELD not in _SMALL_ORDER
