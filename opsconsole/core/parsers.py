"""How the API reads bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

# Inside these the keys are the caller's own and stay as they are.
OPAQUE = frozenset({"payload", "scenario", "metadata", "target_segment"})
MAX_DEPTH = 40
MAX_EXPONENT = 400  # beyond any amount, and small enough to be written out

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SURROGATE = re.compile("[\ud800-\udfff]")


class BodyTooLarge(APIException):
    """The body is longer than API_MAX_BODY_BYTES."""

    status_code = 413
    default_code = "body_too_large"


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
    """JSON with decimals as Decimal and keys in either case.

    Refuses a body over API_MAX_BODY_BYTES, NaN and Infinity, a key that stands twice in one object, text that is no
    Unicode or holds NUL, numbers and nesting beyond use.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], _media_type: str | None = None, _parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The parsed body; raises ParseError saying where it stops being JSON, or BodyTooLarge."""
        limit = settings.API_MAX_BODY_BYTES
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise BodyTooLarge(f"The body is longer than {limit} bytes.")
        try:
            value = json.loads(
                raw.decode(), parse_float=_decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique
            )
        except UnicodeDecodeError as error:
            raise ParseError(f"The body is not UTF-8 at byte {error.start}.") from error
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}") from error
        _check(value, MAX_DEPTH)
        return self.renamed(value)

    def renamed(self, value: Any) -> Any:
        """The body with its keys as the API names them."""
        return snake_case(value)


class VerbatimJSONParser(StrictJSONParser):
    """The same strictness, for bodies whose keys are somebody else's: they stay as they are."""

    def renamed(self, value: Any) -> Any:
        """The body as it came."""
        return value


def _check(value: Any, depth: int) -> None:
    """Raise ParseError for nesting beyond the depth, and for text that PostgreSQL could not store."""
    if depth == 0:
        raise ParseError("The body is nested too deeply.")
    match value:
        case str():
            if "\x00" in value:
                raise ParseError("The body holds a NUL character.")
            if _SURROGATE.search(value):
                raise ParseError("The body holds half of a surrogate pair, which is no character.")
        case dict():
            for key, item in value.items():
                _check(key, depth)
                _check(item, depth - 1)
        case list():
            for item in value:
                _check(item, depth - 1)


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise ValueError(f"{text[:20]} is out of range")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value
