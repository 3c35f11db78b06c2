"""The parser on whatever comes: it answers with a value or a ParseError, and never with anything else."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from opsconsole.core.parsers import OPAQUE, BodyTooLarge, StrictJSONParser, snake_case

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
NAMES = st.from_regex(r"[a-z]{2,5}(_[a-z]{2,5}){0,3}", fullmatch=True).filter(lambda name: name not in OPAQUE)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


def parse(raw: bytes) -> object:
    """What the parser makes of it."""
    return StrictJSONParser().parse(io.BytesIO(raw))


def camel(name: str) -> str:
    """some_name as someName."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def in_camel_case(value: object) -> object:
    """The value with its keys in camelCase."""
    match value:
        case dict():
            return {camel(key): in_camel_case(item) for key, item in value.items()}
        case list():
            return [in_camel_case(item) for item in value]
        case _:
            return value


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    with suppress(ParseError):
        parse(raw)


@given(st.text(st.sampled_from('{}[]",:0123456789eE+-.\\u truefalsn'), max_size=60))
def test_anything_that_looks_like_json(text: str) -> None:
    try:
        value = parse(text.encode())
    except ParseError:
        return
    json.dumps(value, default=str).encode()


@given(JSON)
def test_json_comes_through_as_it_is(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value


@given(JSON)
def test_both_cases_mean_the_same(value: object) -> None:
    assert parse(json.dumps(in_camel_case(value)).encode()) == value


@pytest.mark.parametrize("member", sorted(OPAQUE))
def test_what_is_the_callers_own_stays(member: str) -> None:
    inner = {"someKey": {"otherKey": 1}, "some_key": 2}
    assert snake_case({member: inner, "outerKey": {member: inner}}) == {member: inner, "outer_key": {member: inner}}


def test_decimals_are_exact() -> None:
    assert parse(b'{"a": 0.1, "b": 1e2, "c": 12345678901234567.89}') == {
        "a": Decimal("0.1"),
        "b": Decimal("1e2"),
        "c": Decimal("12345678901234567.89"),
    }


def test_a_megabyte_is_enough() -> None:
    assert parse(b'"' + b"x" * (1_048_576 - 2) + b'"') == "x" * (1_048_576 - 2)
    with pytest.raises(BodyTooLarge):
        parse(b'"' + b"x" * (1_048_576 - 1) + b'"')


@pytest.mark.parametrize("depth", [39, 40, 41, 900, 990, 1_000, 20_000])
def test_depth(depth: int) -> None:
    raw = b"[" * depth + b"]" * depth
    if depth <= 40:
        parse(raw)
    else:
        with pytest.raises(ParseError):
            parse(raw)
