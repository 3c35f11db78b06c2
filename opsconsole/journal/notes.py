"""Signed notes and tree checkpoints as the C2SP specifications c2sp.org/signed-note and c2sp.org/tlog-checkpoint say.

A note is text ending in a newline, an empty line, then lines of `— NAME BASE64`, where the base64 holds four bytes of
key id and the signature over the text. Ours are signed with Ed25519 (signature type 0x01).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Told

ED25519 = b"\x01"
KEY_ID_BYTES = 4
KEY_BYTES = 32
MOST_SIGNATURES = 64
MOST_BYTES = 100_000

_SIGNATURE = re.compile(r"— (?P<name>[^\s+]+) (?P<blob>[A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]*")
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class BadNote(Told, ValueError):
    """The note is malformed, or no key we trust has signed it."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name; `str()` gives the verifier key string `NAME+ID+BASE64` that people hand around."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """SHA-256(name || 0x0A || 0x01 || public key), its first four bytes."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_ID_BYTES]

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key behind a verifier key string; raises BadNote when it is not one for Ed25519."""
        name, _plus, rest = text.strip().partition("+")
        key_id, _plus, blob = rest.partition("+")
        raw = _unbase64(blob)
        if not name or raw[:1] != ED25519 or len(raw) != 1 + KEY_BYTES:
            raise BadNote(format_lazy(_("{text} is not an Ed25519 verifier key (NAME+ID+BASE64)"), text=repr(text)))
        key = cls(name, raw[1:])
        if key.id.hex() != key_id:
            raise BadNote(
                format_lazy(
                    _("the verifier key of {name} says id {said}, and its bytes say {found}"),
                    name=name,
                    said=key_id,
                    found=key.id.hex(),
                )
            )
        return key

    def verifies(self, signature: bytes, text: str) -> bool:
        """Whether the signature over the text is by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_base64(ED25519 + self.public)}"


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key under a name."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The note: the text with our signature under it."""
        if not text.endswith("\n"):
            raise ValueError("the text of a note ends in a newline")
        blob = self.verifier.id + self.private.sign(text.encode())
        return f"{text}\n— {self.name} {_base64(blob)}\n"


def open_note(note: str, keys: Iterable[VerifierKey]) -> str:
    """The text of a note that a trusted key has signed; raises BadNote otherwise.

    Signatures by unknown keys are ignored; one by a trusted key that does not verify spoils the whole note.
    """
    text, signatures = _take_apart(note)
    known = {(key.name, key.id): key for key in keys}
    trusted = 0
    for name, blob in signatures:
        key = known.get((name, blob[:KEY_ID_BYTES]))
        if key is None:
            continue
        if not key.verifies(blob[KEY_ID_BYTES:], text):
            raise BadNote(format_lazy(_("the signature by {name} does not verify"), name=name))
        trusted += 1
    if not trusted:
        names = ", ".join(sorted({f"{name}+{blob[:KEY_ID_BYTES].hex()}" for name, blob in signatures}))
        raise BadNote(format_lazy(_("it is signed by {names}, which is no key we trust"), names=names))
    return text


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a checkpoint says: origin, number of leaves, root, and when it was made.

    The time is an extension line of ours, `at 2026-01-31T12:00:00.000000Z`, so that it cannot be changed unnoticed.
    """

    origin: str
    size: int
    root: bytes
    at: datetime

    @property
    def text(self) -> str:
        """The text of the note."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\nat {self.at.astimezone(UTC).strftime(_TIME)}\n"

    @classmethod
    def parse(cls, text: str) -> TreeHead:
        """The tree head in the text of an opened note; raises BadNote when it is none of ours."""
        lines = text.split("\n")
        if len(lines) != 5 or not lines[0] or not _SIZE.fullmatch(lines[1]) or not lines[3].startswith("at "):  # noqa: PLR2004 - four lines, each ended
            raise BadNote(_("the note is not a checkpoint of a journal"))
        root = _unbase64(lines[2])
        if len(root) != sha256().digest_size:
            raise BadNote(_("the root of the checkpoint is not a SHA-256 hash"))
        try:
            at = datetime.strptime(lines[3][3:], _TIME).replace(tzinfo=UTC)
        except ValueError as error:
            raise BadNote(format_lazy(_("the time of the checkpoint is not one: {line}"), line=lines[3])) from error
        return cls(lines[0], int(lines[1]), root, at)


def _take_apart(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    if len(note) > MOST_BYTES or any(character < " " and character != "\n" for character in note):
        raise BadNote(_("it is too long for a note, or holds control characters"))
    text, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise BadNote(_("it has no signatures"))
    lines = tail[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise BadNote(format_lazy(_("it has more than {most} signatures"), most=MOST_SIGNATURES))
    signatures: list[tuple[str, bytes]] = []
    for line in lines:
        match = _SIGNATURE.fullmatch(line)
        blob = _unbase64(match["blob"]) if match else b""
        if match is None or len(blob) <= KEY_ID_BYTES:
            raise BadNote(_("one of its signature lines is malformed"))
        signatures.append((match["name"], blob))
    return text + "\n", signatures


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unbase64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote(format_lazy(_("{text} is not base64"), text=repr(text))) from error
    if _base64(raw) != text:
        raise BadNote(format_lazy(_("{text} is not base64 in its one proper form"), text=repr(text)))
    return raw
