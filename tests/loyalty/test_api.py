"""The doors of loyalty, as the runbooks knock at them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from loyalty.models import Balance, Program, Transaction
from opsconsole.core.actors import Actor

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def post(api: Callable[..., Any]) -> Callable[..., Any]:
    """Post as somebody: `post("ops_marketing", "/api/programs", {...})`."""

    def send(who: str, path: str, body: dict[str, Any], method: str = "post", **headers: str) -> Any:
        given = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        return getattr(api(who), method)(path, body, format="json", **given)

    return send


def test_the_dispute_of_the_runbook(post: Callable[..., Any], member: Callable[..., Balance], marketing: Actor) -> None:
    alice = member("alice", 500)
    assert marketing.user is not None
    path = f"/api/balances/{alice.pk}/adjust"
    body = {
        "amount": 12_000,
        "reason": "Manual adjustment - Ticket 12345: points not awarded for a purchase",
        "actorId": str(marketing.user.pk),
        "actorRole": "ops_marketing",
    }
    asked = post("ops_marketing", path, body)
    assert asked.status_code == 202
    assert asked.json() == {
        "status": "approval_required",
        "approvalRequestId": asked.json()["approvalRequestId"],
        "requiredRoles": ["ops_marketing", "finance_ops"],
    }
    request = asked.json()["approvalRequestId"]
    agreed = post(
        "finance_ops", f"/api/approvals/{request}/approve", {"approved": True, "comments": "Verified - legitimate"}
    )
    assert agreed.status_code == 200
    body["reason"] = "Manual adjustment - Ticket 12345"
    done = post("ops_marketing", path, body, x_approval_request_id=request)
    assert done.status_code == 201
    assert done.json()["amount"] == 12_000
    assert post("ops_marketing", path, body, x_approval_request_id=request).status_code == 409
    alice.refresh_from_db()
    assert alice.points_balance == 12_500


def test_suspending_a_program(post: Callable[..., Any], program: Program, person: Callable[..., Actor]) -> None:
    person("ops_marketing")
    path, body = f"/api/programs/{program.pk}/suspend", {"reason": "Suspected fraud spike"}
    asked = post("finance_ops", path, body)
    assert asked.status_code == 202
    request = asked.json()["approvalRequestId"]
    assert post("ops_marketing", f"/api/approvals/{request}/approve", {"approved": True}).status_code == 200
    done = post("finance_ops", path, body, x_approval_request_id=request)
    assert (done.status_code, done.json()["status"]) == (200, "suspended")
    refused = post("ops_marketing", f"/api/programs/{program.pk}/earn", {"userId": "alice", "points": 1})
    assert (refused.status_code, refused.json()["code"]) == (409, "program_is_suspended")


def test_a_larger_budget(post: Callable[..., Any], program: Program) -> None:
    path = f"/api/programs/{program.pk}"
    body = {"budgetLimit": 2_000_000, "reason": "Budget exhaustion - merchant approved increase"}
    asked = post("ops_marketing", path, body, "put")
    assert asked.status_code == 202
    both = post("ops_marketing", path, {**body, "earnRate": 2}, "put")
    assert (both.status_code, sorted(both.json()["errors"])) == (400, ["budgetLimit", "earnRate"])
    request = asked.json()["approvalRequestId"]
    assert post("finance_ops", f"/api/approvals/{request}/approve", {"approved": True}).status_code == 200
    more = post("ops_marketing", path, {**body, "budgetLimit": 3_000_000}, "put", x_approval_request_id=request)
    assert (more.status_code, more.json()["code"]) == (409, "digest_mismatch")
    done = post("ops_marketing", path, body, "put", x_approval_request_id=request)
    assert (done.status_code, done.json()["budgetLimit"]) == (200, "2000000.00")
    less = post("ops_marketing", path, {"budgetLimit": 5_000, "reason": "too much"}, "put")
    assert (less.status_code, less.json()["budgetLimit"]) == (200, "5000.00")


def test_both_cases_come_in_and_camel_case_goes_out(post: Callable[..., Any], program: Program) -> None:
    snake = post("ops_marketing", f"/api/programs/{program.pk}/earn", {"user_id": "alice", "points": 5})
    assert snake.status_code == 201
    assert sorted(snake.json()) == ["balanceId", "locked", "points", "pointsBalance", "transactionId"]
    twice = post("ops_marketing", f"/api/programs/{program.pk}/earn", {"user_id": "a", "userId": "b", "points": 5})
    assert twice.status_code == 400
    wrong = post("ops_marketing", f"/api/programs/{program.pk}/earn", {"userId": "alice", "points": -5})
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["points"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"spent": "0.50"}, "spent"),
        ({"spent": "0"}, "spent"),
        ({"spent": "9999999999999999.99"}, "spent"),
        ({"points": 5, "userId": "user\n42"}, "userId"),
        ({"points": 5, "userId": "user\u200b42"}, "userId"),
    ],
)
def test_an_earn_that_is_refused_says_which_field_is_wrong(
    post: Callable[..., Any], program: Program, body: dict[str, Any], field: str
) -> None:
    refused = post("ops_marketing", f"/api/programs/{program.pk}/earn", {"userId": "alice", **body})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, [field])
    assert not Balance.objects.exists()


def _at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_fifty_earns_with_one_key_at_once(api: Callable[..., Any], program: Program) -> None:
    client = api("ops_marketing")
    body = {"userId": "alice", "points": 7, "idempotencyKey": "order-1"}
    answers = _at_once(
        [lambda: client.post(f"/api/programs/{program.pk}/earn", body, format="json") for _ in range(50)]
    )
    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert len({answer.json()["transactionId"] for answer in answers}) == 1
    assert Transaction.objects.count() == 1


def test_sixteen_earners_never_pass_the_budget(api: Callable[..., Any], program: Program) -> None:
    with connection.cursor() as cursor:
        cursor.execute("update loyalty_programs set budget_limit = 100 where id = %s", [program.pk])
    client = api("ops_marketing")

    def earn(number: int) -> Callable[[], int]:
        body = {"userId": f"m{number % 4}", "points": 9}
        return lambda: int(client.post(f"/api/programs/{program.pk}/earn", body, format="json").status_code)

    answers = _at_once([earn(number) for number in range(16)])
    assert sorted(set(answers)) == [201, 422]
    program.refresh_from_db()
    assert program.budget_spent == 9 * answers.count(201) == 99


def test_who_must_agree_is_told(
    member: Callable[..., Balance], marketing: Actor, person: Callable[..., Actor], settings: Any
) -> None:
    from loyalty.services.points import adjust_points
    from opsconsole.approvals.gate import Asked
    from opsconsole.notifications.kinds import kind_of
    from opsconsole.notifications.selectors import may_be_told

    asked = adjust_points(balance_id=member().pk, amount=20_000, reason="x", actor=marketing)
    assert isinstance(asked, Asked)
    data, kind = {"request": str(asked.request.pk)}, kind_of("approval.requested")
    told = {
        name
        for name, roles in {
            "finance_ops": [], "ops_marketing": [], "other": ["ops_marketing"], "risk_manager": [], "dev": []
        }.items()
        if may_be_told(person(name, *roles).user, kind, data)
    }  # fmt: skip
    assert told == {"finance_ops", "other"}  # `other` could fill marketing's place were it open again
