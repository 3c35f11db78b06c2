"""What no kind of change lets anybody ask for; nothing is written then."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.changes.errors import ChangeRefused, NothingChanges
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Invalid, NotFound
from tests.changes.conftest import OTHER_IBAN, ask, nothing_changes
from tests.changes.test_kinds import there
from tests.world import World

__all__ = ["there"]

pytestmark = pytest.mark.django_db
People = dict[str, Actor]


@pytest.mark.parametrize(
    ("kind", "subject", "payload", "error"),
    [
        ("bank", "", {"code": "sandbox", "name": "x", "bic": "NORTDEFFXXX", "gateway": "iso20022"}, ChangeRefused),
        ("bank", "", {"code": "new", "name": "x", "bic": "NORTDEFFXXX", "gateway": "http"}, Invalid),
        ("bank", "", {"code": "New Bank", "name": "x", "bic": "NORTDEFFXXX", "gateway": "iso20022"}, Invalid),
        ("gateway", "nowhere", {"priority": 1}, NotFound),
        ("account", "", {"bank": "sandbox", "name": "x", "iban": "DE00", "currency": "EUR"}, Invalid),
        ("account", "", {"bank": "nowhere", "name": "x", "iban": OTHER_IBAN, "currency": "EUR"}, NotFound),
        ("account", "", {"bank": "sandbox", "name": "x", "iban": OTHER_IBAN, "currency": "XXX"}, Invalid),
        ("iban", "00000000-0000-7000-8000-000000000000", {"name": "x"}, NotFound),
        ("beneficiary", "PAY-00000", {"beneficiary_name": "x" * 141}, Invalid),
        ("beneficiary", "PAY-00000", {"amount": "1.00"}, Invalid),
        ("beneficiary", "PAY-99999", {"iban": OTHER_IBAN}, NotFound),
    ],
)
def test_treasury_refuses(
    there: World, people: People, kind: str, subject: str, payload: dict[str, Any], error: type[Exception]
) -> None:
    with nothing_changes(), pytest.raises(error):
        ask(kind, subject, payload, people["pay_admin"])


@pytest.mark.parametrize(
    ("kind", "subject", "payload", "error"),
    [
        ("policy", "plan.nothing", {"ttl_hours": "1"}, NotFound),
        ("policy", "plan.failover", {"slots": "3 admin"}, ChangeRefused),
        ("policy", "plan.failover", {"slots": "1 chief"}, Invalid),
        ("policy", "plan.failover", {"slots": "1 dev"}, Invalid),
        ("policy", "plan.failover", {"slots": "nobody"}, Invalid),
        ("policy", "plan.failover", {"slots": []}, Invalid),
        ("policy", "plan.failover", {"slots": [{"roles": ["ops"], "count": 0}]}, Invalid),
        ("policy", "plan.failover", {"slots": [{"roles": ["ops"], "count": True}]}, Invalid),
        ("policy", "plan.failover", {"executors": []}, Invalid),
        ("policy", "plan.failover", {"executors": ["chief"]}, Invalid),
        ("policy", "plan.failover", {"ttl_hours": "0"}, Invalid),
        ("policy", "plan.failover", {"ttl_hours": "9999"}, Invalid),
        ("policy", "plan.failover", {"requester_may_approve": True}, Invalid),
        ("policy", "plan.failover", {"thresholds": "over 10: 2 pay_admin"}, ChangeRefused),
        ("policy", "plan.sweep", {"thresholds": "over 10: 3 pay_admin"}, ChangeRefused),
        ("policy", "plan.sweep", {"thresholds": "above ten"}, Invalid),
        ("policy", "plan.failover", {"ttl_hours": "72"}, NothingChanges),
        ("user", "", {"username": "dev"}, ChangeRefused),
        ("user", "", {"username": "new", "roles": ["root"]}, Invalid),
        ("user", "", {"username": "two words"}, Invalid),
        ("user", "", {"username": "new", "email": "nowhere"}, Invalid),
        ("profile", "nobody", {"email": "a@example.com"}, NotFound),
        ("reactivation", "dev", {}, ChangeRefused),
        ("roles", "gone", {"add": ["ops"]}, ChangeRefused),
        ("roles", "dev", {"add": ["dev"]}, NothingChanges),
        ("roles", "dev", {"add": ["ops"], "remove": ["ops"]}, Invalid),
        ("grant", "dev", {"object": "core.user", "object_id": "00000000-0000-7000-8000-000000000000"}, Invalid),
        ("token", "dev", {"days": 1000}, Invalid),
        ("token", "gone", {"days": 10}, ChangeRefused),
    ],
)
def test_people_and_policies_refuse(
    there: World, people: People, kind: str, subject: str, payload: dict[str, Any], error: type[Exception]
) -> None:
    with nothing_changes(), pytest.raises(error):
        ask(kind, subject, payload, people["admin"])
