"""Hostile input at every door: whatever stands in a body, a query or a header, no answer is a fault of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from rest_framework.test import APIClient

from tests.access.conftest import Doors, savepoint
from tests.access.test_matrix import Row, body_of

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**30, "", " ", "x" * 5_000, "0", "-1", "1e999999", "NaN", "Infinity", "١٢", "é\u202e\ufeff",
    "😀", "'; drop table ops_plans; --", "{{7*7}}", "%s%n", "../../etc/passwd", "<script>", "9999-99-99", "0000-00-00",
    "2025-08-01T99:00:00Z", "00000000-0000-0000-0000-000000000000", [], [[]], {}, {"a": {"b": []}}, [None], 0.1,
)  # fmt: skip
QUERIES = ("", "\x00", "x" * 3_000, "-1", "9" * 30, "١", "é", "'", "%00", "[]", "true", "2025-13-01", "0001-01-01")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    output = StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=output)
    return dict(json.loads(output.getvalue()))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, address as in the matrix, operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), re.sub(r"\{(\w+)\}", r"<\1>", path.lstrip("/")), operation


def knock(doors: Doors, row: Row, *, body: Any = None, query: dict[str, str] | None = None, **headers: str) -> Any:
    """Call a door as pay_admin, whom the most doors stand open, and undo what it did."""
    method, address = row
    known = doors.defaults | doors.ids.get(address, {})
    path = "/" + re.sub(r"<(\w+)>", lambda match: str(known[match[1]]), address)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {doors.tokens['pay_admin']}")
    more: dict[str, Any] = {"Idempotency-Key": "k"} if address.endswith("execute") else {}
    with savepoint():
        if method == "GET":
            answer = client.get(path, query or {}, headers=more | headers)
        else:
            sent = {"data": json.dumps(body), "content_type": "application/json"} if body is not None else {}
            answer = client.generic(method, path, **sent, headers=more | headers)
        transaction.set_rollback(True)
    return answer


def calm(answer: Any, what: object) -> None:
    """No fault of ours, and a problem where it refuses."""
    assert answer.status_code < 500, f"{what}: {answer.status_code} {answer.content[:300]!r}"
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json", what


def fields_of(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    """The fields of the body that an operation takes."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    if reference := schema.get("$ref"):
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    return list(schema.get("properties", {}))


def some_of(values: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    """A third of the values, another third for the next: every door sees all of them in one field or another."""
    return values[number % 3 :: 3]


def test_any_value_in_any_field(document: dict[str, Any], doors: Doors, django_db_blocker: Any) -> None:
    tried = 0
    with django_db_blocker.unblock():
        for method, address, operation in operations(document):
            for number, field in enumerate(fields_of(document, operation), start=len(address)):
                for value in some_of(VALUES, number):
                    body = {**(body_of((method, address), doors) or {}), field: value}
                    calm(knock(doors, (method, address), body=body), (method, address, field, value))
                    tried += 1
    assert tried > 250


def test_any_value_in_any_field_of_a_payload(doors: Doors, django_db_blocker: Any) -> None:
    row = ("POST", "api/ops/plans")
    good = body_of(row, doors)
    assert good is not None
    with django_db_blocker.unblock():
        for number, field in enumerate(
            ("currency", "cutoff_date", "total_amount", "simulate_before_execute", "\u202e")
        ):
            for value in some_of(VALUES, number):
                body = {**good, "payload": {**good["payload"], field: value}}
                calm(knock(doors, row, body=body), (field, value))


def test_any_value_in_any_parameter(document: dict[str, Any], doors: Doors, django_db_blocker: Any) -> None:
    tried = 0
    with django_db_blocker.unblock():
        for method, address, operation in operations(document):
            for number, parameter in enumerate(operation.get("parameters", []), start=len(address)):
                if method != "GET" or parameter["in"] != "query" or address == "api/schema":
                    continue
                for value in some_of(QUERIES, number):
                    calm(knock(doors, (method, address), query={parameter["name"]: value}), (address, parameter, value))
                    tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer \x00"}, {"Authorization": "é" * 300}, {"Request-Id": "\x00\n"},
        {"Accept": "application/*;q=zzz"}, {"Accept": "\x00"}, {"Accept-Language": "xx-" * 99},
        {"Content-Type": "application/json; charset=klingon"}, {"Idempotency-Key": "é\u0080"},
        {"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"Cookie": "sessionid=\x00; csrftoken=é"},
    ],
    ids=str,
)  # fmt: skip
def test_any_header(doors: Doors, django_db_blocker: Any, headers: dict[str, str]) -> None:
    with django_db_blocker.unblock():
        calm(knock(doors, ("GET", "api/ops/plans"), **headers), headers)
        calm(knock(doors, ("POST", "api/ops/plans/<plan_id>/cancel"), body={}, **headers), headers)
