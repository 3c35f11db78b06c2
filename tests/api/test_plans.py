"""The doors of plans: what they take, what they answer, and that they decide nothing themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from opsconsole.journal.models import Entry
from opsconsole.plans.models import Plan, Run
from tests.api.conftest import RUNBOOK_PLAN
from tests.api.test_envelope import is_problem
from tests.api.test_lists import many
from tests.world import World, counts

__all__ = ["many"]

PLANS = "/api/ops/plans"
Api = Callable[..., APIClient]
Make = Callable[..., dict[str, Any]]


def at(plan: dict[str, Any], path: str = "") -> str:
    """The address of a plan."""
    return f"{PLANS}/{plan['id']}{path}"


# Create


def test_the_runbooks_plan(api: Api, treasury: World) -> None:
    answer = api("ops").post(PLANS, RUNBOOK_PLAN)
    plan = answer.json()
    assert answer.status_code == 201
    assert {key: plan[key] for key in RUNBOOK_PLAN if key != "payload"} == {
        key: value for key, value in RUNBOOK_PLAN.items() if key != "payload"
    }
    assert plan["payload"] == {**RUNBOOK_PLAN["payload"], "total_amount": "250000.00"}
    assert (plan["status"], plan["created_by"], plan["approval_id"], plan["revision"]) == ("draft", "ops", None, 1)
    assert Entry.objects.get(verb="plan.created").content["request_id"] == answer["Request-Id"]


def test_the_same_external_id(api: Api, drafted: Make) -> None:
    plan = drafted()
    again = api("ops").post(PLANS, RUNBOOK_PLAN)
    assert (again.status_code, again.json()) == (200, plan)
    other = api("ops").post(PLANS, RUNBOOK_PLAN | {"name": "Weekly EUR Payouts"})
    assert is_problem(other, 409, "external_id_taken")["external_id"] == plan["external_id"]
    assert Plan.objects.count() == 1


# Edit


def test_a_draft_is_edited(api: Api, drafted: Make) -> None:
    plan = drafted()
    change = {"name": "August", "requiredApprovals": 3, "payload": {"currency": "EUR", "cutoff_date": "2025-07-31"}}
    edited = api("finance_ops").patch(at(plan), change)
    assert edited.status_code == 200
    body = edited.json()
    assert (body["name"], body["required_approvals"], body["payload"]["cutoff_date"]) == ("August", 3, "2025-07-31")
    assert body["payload"]["total_amount"] is None
    assert body["description"] == plan["description"]


def test_its_editor_cannot_approve(api: Api, drafted: Make) -> None:
    plan = drafted()
    api("finance_ops").patch(at(plan), {"description": "checked"})
    api("ops").post(at(plan, "/stage"))
    is_problem(api("finance_ops").post(at(plan, "/approve")), 403, "separation_of_duties")
    assert api("finance_ops2", "finance_ops").post(at(plan, "/approve")).status_code == 200


def test_a_staged_plan_is_taken_back_and_changed_in_one_piece(api: Api, approved: Make) -> None:
    plan, ops = approved(), api("ops")
    is_problem(ops.patch(at(plan), {"name": "x"}), 409, "wrong_state")
    is_problem(ops.patch(at(plan), {"status": "draft", "payload": {"currency": "EUR"}}), 400, "plan_invalid")
    assert ops.get(at(plan)).json() == plan
    edited = ops.patch(at(plan), {"status": "draft", "name": "x"}).json()
    assert (edited["status"], edited["name"], edited["revision"], edited["approvals"]) == ("draft", "x", 2, [])
    assert counts("treasury_payouts") == {"payable": 40}


def test_the_same_content_staged_again_keeps_its_approvals(api: Api, approved: Make) -> None:
    plan, ops = approved(), api("ops")
    assert ops.patch(at(plan), {"status": "draft"}).json()["approval_id"] is not None  # suspended, not ended
    again = ops.post(at(plan, "/stage")).json()
    assert (again["status"], again["digest"], again["approvals"]) == ("approved", plan["digest"], plan["approvals"])
    assert again["approval_id"] == plan["approval_id"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"status": "approved"}, "status"),
        ({"external_id": "other"}, "external_id"),
        ({"plan_type": "sweep"}, "plan_type"),
        ({"approvals": []}, "approvals"),
        ({"digest": ""}, "digest"),
        ({"payload": None}, "payload"),
        ({"name": ""}, "name"),
    ],
    ids=str,
)
def test_what_cannot_be_edited(api: Api, drafted: Make, change: dict[str, Any], field: str) -> None:
    plan = drafted()
    assert field in is_problem(api("ops").patch(at(plan), change), 400, "invalid")["errors"]
    assert api("ops").get(at(plan)).json() == plan


def test_an_edit_under_a_key_is_made_once(api: Api, drafted: Make) -> None:
    plan, ops = drafted(), api("ops")
    first = ops.patch(at(plan), {"name": "x"}, headers={"Idempotency-Key": "k"})
    again = ops.patch(at(plan), {"name": "x"}, headers={"Idempotency-Key": "k"})
    assert (first.json(), again["Idempotency-Replayed"]) == (again.json(), "true")
    assert Entry.objects.filter(verb="plan.edited").count() == 1


# Decide


def test_approving_needs_no_body(api: Api, staged: Make) -> None:
    plan = staged()
    answer = api("finance_ops").post(at(plan, "/approve"))
    assert [one["user"] for one in answer.json()["approvals"]] == ["finance_ops"]
    second = api("pay_admin").post(at(plan, "/approve"), {"signature": None, "comments": "checked in the ledger"})
    assert second.json()["status"] == "approved"


def test_the_generic_door_moves_the_plan_too(api: Api, staged: Make) -> None:
    plan = staged()
    for name in ("finance_ops", "pay_admin"):
        answer = api(name).post(f"/api/approvals/{plan['approval_id']}/approve", {"approved": True, "comments": ""})
        assert answer.status_code == 200
    assert api("ops").get(at(plan)).json()["status"] == "approved"


@pytest.mark.parametrize("signature", ["...", "AAAA", "A" * 88, "=" * 88, "x" * 201, 7, ["a"]])
def test_a_signature_that_is_none(api: Api, staged: Make, signature: Any) -> None:
    plan = staged()
    answer = api("finance_ops").post(at(plan, "/approve"), {"signature": signature})
    assert answer.status_code in (400, 422)
    assert api("ops").get(at(plan)).json()["approvals"] == []


def test_a_rejection_says_why(api: Api, staged: Make) -> None:
    plan = staged()
    is_problem(api("finance_ops").post(at(plan, "/reject")), 400, "invalid")
    rejected = api("finance_ops").post(at(plan, "/reject"), {"reason": "wrong month"})
    assert (rejected.status_code, rejected.json()["status"], rejected.json()["approval_id"]) == (200, "rejected", None)
    assert counts("treasury_payouts") == {"payable": 40}


def test_an_approval_is_taken_back(api: Api, approved: Make) -> None:
    plan = approved()
    answer = api("pay_admin").post(at(plan, "/revoke"), {"reason": "a second look"})
    assert (answer.json()["status"], len(answer.json()["approvals"])) == ("staged", 1)
    is_problem(api("pay_admin").post(at(plan, "/revoke")), 409, "nothing_to_revoke")


def test_a_plan_is_given_up(api: Api, approved: Make) -> None:
    plan = approved()
    assert api("ops").post(at(plan, "/cancel"), {"reason": "not needed"}).json()["status"] == "cancelled"
    is_problem(api("ops").post(at(plan, "/cancel")), 409, "wrong_state")


# Execute


def test_a_drift_is_told_and_the_plan_is_staged_afresh(api: Api, approved: Make) -> None:
    plan = approved()
    with connection.cursor() as cursor:
        cursor.execute("update treasury_payouts set status = 'payable', plan_id = null where external_id = 'PAY-00000'")
    answer = api("finance_ops").post(at(plan, "/execute"), headers={"Idempotency-Key": "k"})
    body = is_problem(answer, 409, "plan_drifted")
    assert (body["drift"][0], body["plan_status"]) == ("23 payouts are ready to be paid, not 24.", "staged")
    now = api("ops").get(at(plan)).json()
    assert (now["status"], now["approvals"], now["digest"]) == ("staged", [], body["digest"])
    assert not Run.objects.exists()


def test_a_window_that_is_not_open(api: Api, approved: Make) -> None:
    plan = approved(not_before=(timezone.now() + timedelta(days=1)).isoformat())
    answer = api("finance_ops").post(at(plan, "/execute"), headers={"Idempotency-Key": "k"})
    is_problem(answer, 422, "outside_window")
    assert api("ops").get(at(plan)).json()["status"] == "approved"


def test_rolling_back_what_never_ran(api: Api, approved: Make) -> None:
    is_problem(api("finance_ops").post(at(approved(), "/rollback")), 409, "wrong_state")


def test_a_run_of_another_plan_is_not_found(api: Api, approved: Make, drafted: Make) -> None:
    plan, client = approved(), api("finance_ops")
    run = client.post(at(plan, "/execute"), headers={"Idempotency-Key": "k"}).json()["run_id"]
    other = drafted(external_id="other")
    assert client.get(at(plan, f"/runs/{run}")).status_code == 200
    is_problem(client.get(at(other, f"/runs/{run}")), 404, "run_not_found")
    is_problem(client.post(at(other, f"/runs/{run}/pause")), 404, "run_not_found")


def test_steering_says_what_it_asked_and_when_it_took_effect(api: Api, approved: Make) -> None:
    plan, client = approved(), api("finance_ops")
    run = client.post(at(plan, "/execute"), headers={"Idempotency-Key": "k"}).json()["run_id"]
    asked = client.post(at(plan, f"/runs/{run}/pause"), {"reason": "lunch"}).json()
    assert (asked["status"], asked["pause_asked_at"] is None, asked["paused_at"]) == ("queued", False, None)
    assert asked["progress"]["percent"] == 0
    assert client.post(at(plan, f"/runs/{run}/resume")).json()["pause_asked_at"] is None
    assert client.post(at(plan, f"/runs/{run}/cancel")).json()["status"] == "cancelled"
    assert Entry.objects.get(verb="run.pause_asked").content["reason"] == "lunch"


# Cost


def test_a_page_costs_the_same_whatever_is_on_it(api: Api, many: None) -> None:
    client = api("ops")
    costs = []
    for size in (1, 100):
        with CaptureQueriesContext(connection) as queries:
            assert len(client.get(f"{PLANS}?page_size={size}").json()["results"]) == size
        costs.append(len(queries))
    assert costs[0] == costs[1] <= 5
