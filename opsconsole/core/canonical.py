"""One byte form for a JSON value, so that a digest means the same to everybody.

The form: keys sorted by code point, no blanks, UTF-8, no ASCII escapes; a Decimal is its plain string, a UUID its
hyphenated form, a translated text its English, a date ISO 8601, a time ISO 8601 in UTC with microseconds and `Z`.
Floats are refused: money that went through one is not money.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.functional import Promise

from opsconsole.core.texts import english


def to_plain(value: Any) -> Any:
    """The value with everything JSON lacks replaced by its canonical string; raises TypeError for a float."""
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal():
            return format(value, "f")
        case float():
            raise TypeError("a float has no canonical form; use Decimal or a string")
        case UUID():
            return str(value)
        case Promise():
            return english(value)
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case date():
            return value.isoformat()
        case dict():
            return {str(key): to_plain(item) for key, item in value.items()}
        case list() | tuple():
            return [to_plain(item) for item in value]
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical(value: Any) -> bytes:
    """The canonical bytes of a JSON-like value."""
    plain = to_plain(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(value: Any) -> str:
    """SHA-256 over the canonical bytes, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()
