"""One byte form for one value: a digest means the same to everybody, and to openssl."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.core.canonical import canonical, digest, to_plain

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False, places=2)
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def test_the_form() -> None:
    value = {
        "b": Decimal("1.50"),
        "a": [None, True, 7, "é\n"],
        "day": date(2025, 8, 1),
        "at": datetime(2025, 8, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        "id": UUID("0198c0de-0000-7000-8000-000000000000"),
    }
    assert canonical(value).decode() == (
        '{"a":[null,true,7,"é\\n"],"at":"2025-08-01T10:00:00.000000Z","b":"1.50","day":"2025-08-01",'
        '"id":"0198c0de-0000-7000-8000-000000000000"}'
    )


def test_a_digest_can_be_checked_with_openssl() -> None:
    value = {"amount": Decimal("0.10"), "name": "Müller"}
    told = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=canonical(value), capture_output=True, check=True)
    assert told.stdout.decode().split()[0] == digest(value)


@pytest.mark.parametrize("value", [1.5, {"a": 1.0}, [float("nan")], {1, 2}, object(), b"bytes"])
def test_what_has_no_form(value: object) -> None:
    with pytest.raises(TypeError):
        canonical(value)


@given(VALUES)
def test_stable_and_the_same_for_what_is_equal(value: object) -> None:
    form = canonical(value)
    assert canonical(to_plain(value)) == form
    assert canonical(json.loads(form)) == form


@given(st.dictionaries(st.text(), LEAVES))
def test_the_order_of_keys_says_nothing(value: dict[str, object]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_times_are_told_in_utc_to_the_microsecond() -> None:
    assert to_plain(datetime(2025, 1, 1, tzinfo=UTC)) == "2025-01-01T00:00:00.000000Z"
