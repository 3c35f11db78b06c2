"""How the API reads bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from opsconsole.core.errors import Invalid

# Inside these the keys are the caller's own and stay as they are.
OPAQUE = frozenset({"payload", "scenario", "metadata"})

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_case(value: Any) -> Any:
    """The body with its camelCase keys in snake_case, except inside opaque members."""
    if isinstance(value, list):
        return [snake_case(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    renamed: dict[str, Any] = {}
    for key, item in value.items():
        name = _HUMP.sub("_", str(key)).lower()
        if name in renamed:
            raise ParseError(f"The body says {name} twice.")
        renamed[name] = item if name in OPAQUE else snake_case(item)
    return renamed


class StrictJSONParser(BaseParser):
    """JSON with numbers as Decimal, keys in either case, a size limit, and neither NaN nor duplicate keys."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The parsed body; raises ParseError saying where it stops being JSON."""
        limit = settings.API_MAX_BODY_BYTES
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise Invalid(f"The body is longer than {limit} bytes.", limit=limit)
        try:
            value = json.loads(
                raw.decode(), parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique
            )
        except UnicodeDecodeError as error:
            raise ParseError(f"The body is not UTF-8 at byte {error.start}.") from error
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}") from error
        if "\x00" in raw.decode() or "\\u0000" in raw.decode():
            raise ParseError("The body holds a NUL character.")
        return snake_case(value)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value
