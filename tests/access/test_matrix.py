"""Every address and method x every role, against the table in matrix.txt. Denied means that nothing changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from opsconsole.core.roles import ROLES
from opsconsole.journal import downloads
from tests.access.conftest import ANONYMOUS, EXPIRED, Doors, savepoint
from tests.api.unchanged import fingerprint
from tests.loyalty import doors as loyalty
from tests.treasury.bank_files.conftest import statement

WHO = ("pay_admin", "finance_ops", "ops", "auditor", "ops_marketing", "dev", "trader", "risk_manager", "admin")
COLUMNS = (*WHO, ANONYMOUS, EXPIRED)
STATUS = {"x": 403, ".": 404, "?": 401}
# A method that a door has; HEAD is GET, and OPTIONS no door has.
METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
# Outside the API; the admin has tests of its own.
ELSEWHERE = re.compile(r"^(|admin/.*|i18n/.*|invitation/.*)$")

Row = tuple[str, str]


def table() -> dict[Row, dict[str, str]]:
    """The table: method and address -> who -> cell."""
    rows: dict[Row, dict[str, str]] = {}
    for line in Path(__file__).with_name("matrix.txt").read_text().splitlines():
        fields = line.split()
        if not fields or fields[0] not in METHODS:
            continue
        method, address, *cells = fields
        assert len(cells) == len(COLUMNS), line
        assert set(cells) <= {"+", *STATUS}, line
        assert (method, address) not in rows, f"{line} stands twice"
        rows[method, address] = dict(zip(COLUMNS, cells, strict=True))
    return rows


TABLE = table()


def addresses(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every address of the URLconf, converters left out."""
    for pattern in resolver.url_patterns:
        address = re.sub(r"<\w+:", "<", f"{prefix}{pattern.pattern}")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, address)
        else:
            yield address, pattern


def doors_of_the_urlconf() -> set[Row]:
    """Every method and address there is, outside the admin."""
    found: set[Row] = set()
    for address, pattern in addresses(get_resolver()):
        if ELSEWHERE.match(address):
            continue
        view: Any = getattr(pattern.callback, "cls", None)
        methods = ["get"] if view is None else [name for name in view.http_method_names if hasattr(view, name)]
        found |= {(name.upper(), address) for name in methods if name.upper() in METHODS}
    return found


def test_the_table_has_every_door_and_no_other() -> None:
    there = doors_of_the_urlconf()
    assert sorted(there - TABLE.keys()) == [], "not in tests/access/matrix.txt"
    assert sorted(TABLE.keys() - there) == [], "in tests/access/matrix.txt only"


def test_the_table_has_every_role() -> None:
    assert set(WHO) == set(ROLES)


def body_of(row: Row, doors: Doors) -> dict[str, Any] | None:
    """A body that the door understands."""
    reason = {"reason": "because"}
    plan = {"currency": "EUR", "cutoff_date": "2025-12-31"}
    bodies: dict[Row, dict[str, Any]] = {
        ("POST", "api/approvals/<request_id>/approve"): {"approved": True},
        ("POST", "api/approvals/<request_id>/comment"): {"comments": "who is payee 17?"},
        ("POST", "api/signer-keys"): {"name": "phone", "public_key": doors.public_key},
        ("POST", "api/changes"): {"kind": "gateway", "subject": "sandbox", "payload": {"priority": 7}, **reason},
        ("POST", "api/changes/<change_id>/reject"): reason,
        ("POST", "api/changes/<change_id>/cancel"): reason,
        ("POST", "api/changes/<change_id>/approve"): {},
        ("POST", "api/users/<user_id>/offboard"): reason,
        ("POST", "api/users/<user_id>/take-away"): {"sessions": True, **reason},
        ("PATCH", "api/notifications/channels/<channel_id>"): {"active": False},
        ("POST", "api/notifications/subscriptions"): {"patterns": ["plan.*"], "minimum": "critical"},
        ("POST", "api/incidents"): {"title": "A bank answers slowly", "severity": "warning"},
        ("POST", "api/incidents/<incident_id>/comment"): {"comment": "still slow"},
        ("POST", "api/incidents/<incident_id>/resolve"): {"conclusion": "a slow disk"},
        ("POST", "api/checklists/daily/<item>"): {"in_order": True, "note": "looked at"},
        ("POST", "api/ops/payouts"): {
            "external_id": "new-1", "beneficiary_name": "Somebody", "iban": "DE89370400440532013000",
            "bic": "COBADEFFXXX", "amount": "10.00", "currency": "EUR", "due_date": "2026-01-01",
        },
        ("POST", "api/ops/breaks/<break_id>/resolve"): reason,
        ("POST", "api/ops/payouts/<payout_id>/hold"): reason,
        ("POST", "api/ops/payouts/<payout_id>/retry"): reason,
        ("PATCH", "api/ops/routes/<route_id>"): {"account_id": str(doors.defaults["account_id"]), **reason},
        ("POST", "api/ops/plans"): {
            "external_id": "new-1", "name": "Payouts", "plan_type": "payout_batch", "payload": plan,
        },
        ("PATCH", "api/ops/plans/<plan_id>"): {"name": "Other payouts"},
        ("POST", "api/ops/plans/<plan_id>/reject"): reason,
        ("POST", "api/ops/plans/<plan_id>/break-glass"): {"incident": "INC-7", **reason},
        ("POST", "api/ops/plans/<plan_id>/runs/<run_id>/force-fail"): reason,
        ("POST", "api/ops/calendars"): {"name": "Closing", "ends_at": "2999-01-01T00:00:00Z", **reason},
        ("POST", "api/ops/calendars/<calendar_id>/end"): reason,
        ("POST", "api/ops/reviews/<review_id>/review"): {"verdict": "approve", "comment": "it was right"},
        ("POST", "api/ops/plans/<plan_id>/steps/<step_id>/resolve"): {"outcome": "succeeded", "evidence": "seen"},
    }  # fmt: skip
    return {**bodies, **loyalty.bodies()}.get(row)


def knock(row: Row, who: str, doors: Doors) -> Any:
    """Call a door as somebody."""
    method, address = row
    known = doors.defaults | doors.ids.get(address, {})
    path = "/" + re.sub(r"<(\w+)>", lambda match: str(known[match[1]]), address)
    client = APIClient(raise_request_exception=False)
    if token := doors.tokens[who]:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    headers = {"Idempotency-Key": f"{who}-1"} if method != "GET" else {}
    body = body_of(row, doors)
    sent = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    if row == ("POST", "api/ops/bank-files"):
        sent = {"data": statement().decode(), "content_type": "application/xml"}
    return client.generic(method, path, **sent, headers=headers)


def ask(query: str) -> list[tuple[Any, ...]]:
    """Ask on the connection that holds the uncommitted world, with every right."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


@pytest.mark.parametrize("row", sorted(TABLE, key=lambda row: (row[1], row[0])), ids=" ".join)
def test_every_cell(row: Row, doors: Doors, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # An export reads one unchanging view of the committed journal, which this world has not: it is told of too many.
    monkeypatch.setattr(downloads, "MOST", dict.fromkeys(downloads.MOST, 0))
    made = row == ("GET", "api/journal/export")
    with django_db_blocker.unblock():
        before = fingerprint(ask)
        for who, cell in TABLE[row].items():
            with savepoint():
                answer = knock(row, who, doors)
                told = f"{' '.join(row)} as {who}: {answer.status_code} {getattr(answer, 'content', b'')[:300]!r}"
                if cell == "+":
                    assert answer.status_code in (200, 201, 202, 409, 503), told
                    assert answer.status_code != 503 or row == ("GET", "readyz"), told
                    made = made or answer.status_code < 300 or row == ("GET", "readyz")
                else:
                    assert answer.status_code == STATUS[cell], told
                    assert answer["Content-Type"] == "application/problem+json", told
                    assert (cell == "?") == ("WWW-Authenticate" in answer), told
                    assert fingerprint(ask) == before, told
                transaction.set_rollback(True)
    assert made or "+" not in TABLE[row].values(), "nobody's call came through: the world lacks what this door needs"
