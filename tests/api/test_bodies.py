"""What a body may be, and what is refused before anybody looks at what it means."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from opsconsole.plans.models import Plan
from tests.api.conftest import RUNBOOK_PLAN
from tests.api.servers import Web
from tests.api.test_envelope import is_problem
from tests.world import World

PLANS = "/api/ops/plans"
JSON = "application/json"
CAMEL = {
    "externalId": "camel-1",
    "name": "Payouts",
    "planType": "payout_batch",
    "payload": {"currency": "EUR", "cutoff_date": "2025-08-01"},
    "requiredApprovals": 3,
    "onFailure": "rollback",
}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name": }',
        b"\xff\xfe",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"payload": {"a": 1, "a": 1}}',
        b'{"external_id": "x", "externalId": "x"}',
        b'{"name": "a\\u0000b"}',
        b'{"na\\u0000me": 1}',
        b'{"name": "\\ud800"}',
        b'{"payload": {"\\udfff": 1}}',
        b'{"payload": {"total_amount": 1e999999999}}',
        b'{"payload": {"total_amount": 1' + b"0" * 5000 + b"}}",
        b'{"payload": ' + b"[" * 100 + b"]" * 100 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"payload": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_body_that_is_no_json_of_ours(api: Callable[..., APIClient], body: bytes) -> None:
    answer = api("ops").post(PLANS, data=body, content_type=JSON)
    is_problem(answer, 400, "invalid" if body == b"" else "parse_error")
    assert not Plan.objects.exists()


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b'"text"', b"true", b"[{}]"])
def test_a_body_that_is_no_object(api: Callable[..., APIClient], body: bytes) -> None:
    is_problem(api("ops").post(PLANS, data=body, content_type=JSON), 400, "invalid")


def test_a_body_beyond_the_limit(api: Callable[..., APIClient]) -> None:
    body = json.dumps(RUNBOOK_PLAN | {"description": "x" * 2_000_000}).encode()
    is_problem(api("ops").post(PLANS, data=body, content_type=JSON), 413, "body_too_large")
    assert not Plan.objects.exists()


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_a_body_of_another_kind(api: Callable[..., APIClient], kind: str) -> None:
    body = json.dumps(RUNBOOK_PLAN).encode()
    is_problem(api("ops").generic("POST", PLANS, body, content_type=kind), 415, "unsupported_media_type")


def test_json_may_say_that_it_is_utf8(api: Callable[..., APIClient], treasury: World) -> None:
    body = json.dumps(RUNBOOK_PLAN).encode()
    answer = api("ops").generic("POST", PLANS, body, content_type="application/json; charset=utf-8")
    assert answer.status_code == 201


def test_a_chunked_body_is_refused_and_not_read_as_empty(
    web: Web, api: Callable[..., APIClient], staged: Callable[..., dict[str, Any]], person: Callable[..., Any]
) -> None:
    plan = staged()
    token = api("finance_ops")._credentials["HTTP_AUTHORIZATION"]
    answer = web.http.request(
        "POST",
        f"{web.url}{PLANS}/{plan['id']}/approve",
        body=iter([b'{"signature": "forged"}']),
        headers={"Authorization": token, "Content-Type": JSON},
        chunked=True,
    )
    assert (answer.status, json.loads(answer.data)["code"]) == (411, "length_required")
    assert Plan.objects.get().approvals == []


def test_camel_case_is_understood_and_answered_in_snake_case(api: Callable[..., APIClient], treasury: World) -> None:
    answer = api("ops").post(PLANS, CAMEL)
    assert answer.status_code == 201
    plan = answer.json()
    assert (plan["external_id"], plan["required_approvals"], plan["on_failure"]) == ("camel-1", 3, "rollback")
    assert not [key for key in plan if key != key.lower()]


def test_a_payload_keeps_its_own_keys(api: Callable[..., APIClient]) -> None:
    body = CAMEL | {"payload": {"currency": "EUR", "cutoffDate": "2025-08-01"}}
    errors = is_problem(api("ops").post(PLANS, body), 400, "plan_invalid")["errors"]["payload"]
    assert errors["cutoffDate"] == ["is not a field of payout_batch"]
    assert "cutoff_date" in errors


@pytest.mark.parametrize("unknown", [{"requierd_approvals": 3}, {"status": "approved"}, {"created_by": "pay_admin"}])
def test_a_field_that_the_request_does_not_have(api: Callable[..., APIClient], unknown: dict[str, Any]) -> None:
    errors = is_problem(api("ops").post(PLANS, RUNBOOK_PLAN | unknown), 400, "invalid")["errors"]
    assert list(errors) == list(unknown)
    assert not Plan.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"external_id": ""}, "external_id"),
        ({"external_id": "x" * 201}, "external_id"),
        ({"name": None}, "name"),
        ({"plan_type": 7.5}, "plan_type"),
        ({"payload": []}, "payload"),
        ({"payload": "EUR"}, "payload"),
        ({"required_approvals": 0}, "required_approvals"),
        ({"required_approvals": 21}, "required_approvals"),
        ({"required_approvals": "two"}, "required_approvals"),
        ({"on_failure": "pray"}, "on_failure"),
        ({"not_before": "tomorrow"}, "not_before"),
        ({"not_before": "2025-08-02T00:00:00Z", "not_after": "2025-08-01T00:00:00Z"}, "not_after"),
        ({"plan_type": "teleport"}, "plan_type"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_by_field(api: Callable[..., APIClient], change: dict[str, Any], field: str) -> None:
    answer = api("ops").post(PLANS, RUNBOOK_PLAN | change)
    assert answer.status_code == 400
    assert field in answer.json()["errors"], answer.json()
    assert not Plan.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"currency": "XXQ"}, "currency"),
        ({"currency": None}, "currency"),
        ({"cutoff_date": "2025-02-30"}, "cutoff_date"),
        ({"cutoff_date": 20250801}, "cutoff_date"),
        ({"total_amount": 0}, "total_amount"),
        ({"total_amount": -1}, "total_amount"),
        ({"total_amount": "1.001"}, "total_amount"),
        ({"total_amount": "NaN"}, "total_amount"),
        ({"total_amount": True}, "total_amount"),
        ({"total_amount": {"EUR": 1}}, "total_amount"),
        ({"simulate_before_execute": "yes"}, "simulate_before_execute"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_what_is_wrong_in_a_payload(api: Callable[..., APIClient], change: dict[str, Any], field: str) -> None:
    answer = api("ops").post(PLANS, RUNBOOK_PLAN | {"payload": RUNBOOK_PLAN["payload"] | change})
    assert field in is_problem(answer, 400, "plan_invalid")["errors"]["payload"]


def test_money_may_come_as_a_number_and_is_kept_exactly(api: Callable[..., APIClient], treasury: World) -> None:
    body = json.dumps(RUNBOOK_PLAN).replace("250000", "250000.10").encode()
    plan = api("ops").post(PLANS, data=body, content_type=JSON).json()
    assert plan["payload"]["total_amount"] == "250000.10"
