"""Undoing where that is the dangerous direction: it asks for approvals of its own, and starts once they are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from opsconsole.approvals import jobs as approval_jobs
from opsconsole.approvals import services
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.outcomes import Refused
from opsconsole.plans.services import execution
from opsconsole.plans.services.execution import ApprovalWanted
from tests.plans.lamps import Lamps, approved, lamps

__all__ = ["lamps"]

pytestmark = pytest.mark.django_db(transaction=True)
People = Callable[..., Actor]
MakeLamps = Callable[..., Lamps]


@pytest.fixture
def done(lamps: MakeLamps, person: People) -> tuple[Lamps, Plan]:
    """Lamps that are lit, and may be switched off only with approvals."""
    plan_type = lamps(rollback=True)
    plan = approved(person("ops"), person("pay_admin"))
    run = execution.execute_plan(plan_id=plan.pk, actor=person("ops"))
    jobs.execute_run(str(run.pk))
    assert plan_type.lit == ["red", "green"]
    return plan_type, plan


def agree(request: Request, actor: Actor, *, yes: bool = True) -> Request:
    """Decide on a request by the generic door."""
    return services.decide_request(request_id=request.pk, approved=yes, comments="seen", signature="", actor=actor)


def test_the_first_call_asks_and_the_same_call_starts_it_once_they_agree(
    done: tuple[Lamps, Plan], person: People, api: Callable[..., APIClient]
) -> None:
    plan_type, plan = done
    url = f"/api/ops/plans/{plan.pk}/rollback"
    first = api("ops").post(url, {"reason": "it is day"}, headers={"Idempotency-Key": "one"})
    assert (first.status_code, first.json()["code"]) == (409, "approval_required")
    assert [slot["roles"] for slot in first.json()["open"]] == [["finance_ops"], ["pay_admin"]]
    assert first["Content-Type"] == "application/problem+json"
    asked = first.json()["approval_id"]
    again = api("ops").post(url)
    assert again.json()["approval_id"] == asked
    assert Request.objects.filter(action="plan.lamps.rollback").count() == 1
    request = api("finance_ops").get(f"/api/approvals/{asked}").json()
    assert (request["content"]["undoes"], request["content"]["reason"]) == (2, "it is day")
    for name in ("finance_ops", "pay_admin"):
        said = api(name).post(f"/api/approvals/{asked}/approve", {"approved": True})
        assert said.status_code == 200, said.json()
        # A second call by one of the approvers takes nobody's approval away.
        if name == "finance_ops":
            assert api(name).post(url).json()["approval_id"] == asked
    plan.refresh_from_db()
    assert plan.status == "succeeded"
    started = api("ops").post(url, {"reason": "they agreed"}, headers={"Idempotency-Key": "two"})
    assert started.status_code == 202
    assert Entry.objects.filter(verb="run.queued").latest("id").content["reason"] == "they agreed"
    jobs.execute_run(started.json()["run_id"])
    plan.refresh_from_db()
    assert (plan.status, plan_type.lit) == ("rolled_back", [])
    assert Request.objects.get(pk=asked).status == "consumed"


def test_a_rejected_one_is_asked_again(done: tuple[Lamps, Plan], person: People) -> None:
    plan_type, plan = done
    wanted = execution.roll_back_plan(plan_id=plan.pk, actor=person("ops"))
    assert isinstance(wanted, ApprovalWanted)
    agree(wanted.request, person("pay_admin"), yes=False)
    plan.refresh_from_db()
    assert plan.status == "succeeded"
    second = execution.roll_back_plan(plan_id=plan.pk, actor=person("ops"))
    assert isinstance(second, ApprovalWanted)
    assert second.request.pk != wanted.request.pk
    assert not Run.objects.filter(direction="rollback").exists()
    assert plan_type.lit == ["red", "green"]


def test_who_asks_does_not_approve(done: tuple[Lamps, Plan], person: People) -> None:
    _, plan = done
    wanted = execution.roll_back_plan(plan_id=plan.pk, actor=person("pay_admin"))
    assert isinstance(wanted, ApprovalWanted)
    with pytest.raises(Exception, match="asked for this"):
        agree(wanted.request, person("pay_admin"))


def test_expiry_leaves_the_plan_as_it_is(done: tuple[Lamps, Plan], person: People, superuser: Any) -> None:
    _, plan = done
    wanted = execution.roll_back_plan(plan_id=plan.pk, actor=person("ops"))
    assert isinstance(wanted, ApprovalWanted)
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update approvals_requests set expires_at = now() - interval '1 second'")
    assert approval_jobs.expire_requests() == 1
    plan.refresh_from_db()
    assert plan.status == "succeeded"


def test_nothing_undoes_it_by_itself(lamps: MakeLamps, person: People) -> None:
    plan_type = lamps(rollback=True)
    plan = approved(person("ops"), person("pay_admin"), on_failure="rollback")
    run = execution.execute_plan(plan_id=plan.pk, actor=person("ops"))
    plan_type.execute = lambda steps: [Refused("broken", "the bulb is gone") for _ in steps]  # type: ignore[method-assign]
    jobs.execute_run(str(run.pk))
    plan.refresh_from_db()
    assert plan.status == "failed"
    assert not Run.objects.filter(direction="rollback").exists()
