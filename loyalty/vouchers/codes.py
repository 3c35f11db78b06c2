"""Codes that are worth points: 80 random bits in an alphabet in which nothing looks like anything else."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from django.db import connection

from opsconsole.core.operations import assert_in_operation

# Crockford's base 32: I, L, O and U are left out, and read as what they are taken for.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BYTES: Final = 10
LENGTH: Final = 16  # characters, of 5 bits each
GROUP: Final = 4

_FROM_RFC4648: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())
_AS_TAKEN: Final = str.maketrans("OIL", "011")
_CODE: Final = re.compile(f"[{ALPHABET}]{{{LENGTH}}}")
_BETWEEN: Final = re.compile(r"[\s-]+")


def new_codes(count: int) -> Iterator[str]:
    """So many codes out of the system's random source."""
    text = base64.b32encode(secrets.token_bytes(count * BYTES)).translate(_FROM_RFC4648).decode()
    return (text[at : at + LENGTH] for at in range(0, len(text), LENGTH))


def normal(typed: str) -> str | None:
    """The code as it is stored, however somebody typed it; None for what cannot be one."""
    code = _BETWEEN.sub("", typed).upper().translate(_AS_TAKEN)
    return code if _CODE.fullmatch(code) else None


def grouped(code: str) -> str:
    """The code as it is printed: in groups of four."""
    return "-".join(code[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def insert(batch_id: UUID, count: int) -> None:
    """Add so many new codes to a batch whose row the caller has locked."""
    assert_in_operation()
    rows = "".join(f"{batch_id}\t{code}\n" for code in new_codes(count))
    with connection.cursor() as cursor, cursor.copy("copy loyalty_vouchers (batch_id, code) from stdin") as copy:
        copy.write(rows)
