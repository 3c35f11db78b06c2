"""Between staging and executing: revoked, rejected, cancelled, expired; what was reserved is free again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from opsconsole.approvals import jobs as approval_jobs
from opsconsole.approvals.errors import NothingToRevoke, QuorumIncomplete, ReasonMissing, RequestExpired
from opsconsole.core.actors import Actor
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from opsconsole.plans import jobs
from opsconsole.plans.errors import NoDecisionOpen, NothingToDo, OutsideWindow
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import decisions, drafts, execution, staging
from opsconsole.treasury.errors import InsufficientFunds
from tests.plans.test_drafts import approve, verbs
from tests.world import TESTER, World, add_payouts, counts

People = Callable[..., Actor]


@pytest.fixture
def staged(draft: Callable[..., Plan], person: People) -> Callable[..., Plan]:
    """Draft and stage."""

    def make(external_id: str = "plan-1", **changes: Any) -> Plan:
        return staging.stage_plan(plan_id=draft(external_id, **changes).pk, actor=person("ops"))

    return make


def free_again(plan: Plan, status: str) -> None:
    """The plan ended in this state, nothing is reserved, its request is over, and another plan may have it all."""
    plan.refresh_from_db()
    assert (plan.status, plan.approvals) == (status, [])
    assert counts("treasury_payouts") == {"payable": 40}
    assert set(counts("treasury_instructions")) == {"released"}
    assert not {"pending", "approved"} & set(counts("approvals_requests"))


# Revoked


def test_a_revoked_approval_counts_no_more(approved: Callable[..., Plan], person: People, world: World) -> None:
    plan = approved()
    plan = decisions.revoke_approval(plan_id=plan.pk, reason="wrong month", actor=person("pay_admin"))
    assert (plan.status, [one["user"] for one in plan.approvals]) == ("staged", ["finance_ops"])
    with pytest.raises(WrongState):
        execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    with pytest.raises(NothingToRevoke):
        decisions.revoke_approval(plan_id=plan.pk, reason="", actor=person("pay_admin"))
    assert approve(plan, person("pay_admin")).status == "approved"
    assert "plan.reopened" in verbs(plan)


def test_a_spent_approval_is_not_revoked(
    executed: Callable[..., tuple[Plan, Run]], person: People, world: World
) -> None:
    plan, _ = executed(total="500")
    with pytest.raises(NoDecisionOpen):
        decisions.revoke_approval(plan_id=plan.pk, reason="too late", actor=person("pay_admin"))


def test_an_approver_who_has_left_does_not_count_at_execution(
    approved: Callable[..., Plan], person: People, world: World
) -> None:
    plan = approved()
    gone = person("pay_admin").user
    assert gone is not None
    gone.is_active = False
    gone.save(update_fields=["is_active"])
    with pytest.raises(QuorumIncomplete):
        execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    assert not Run.objects.exists()


# Rejected, cancelled


@pytest.mark.parametrize("by", ["finance_ops", "pay_admin"])
def test_a_rejection_ends_the_plan(staged: Callable[..., Plan], person: People, world: World, by: str) -> None:
    plan = staged()
    with pytest.raises(ReasonMissing):
        decisions.reject_plan(plan_id=plan.pk, reason=" ", actor=person(by))
    decisions.reject_plan(plan_id=plan.pk, reason="wrong cutoff", actor=person(by))
    free_again(plan, "rejected")
    assert "wrong cutoff" in str([entry.content for entry in Entry.objects.filter(subject_id=str(plan.pk))])
    with pytest.raises(NoDecisionOpen):
        approve(plan, person("finance_ops2", "finance_ops"))
    with pytest.raises(WrongState):
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))


def test_even_an_approved_plan_can_be_rejected(approved: Callable[..., Plan], person: People, world: World) -> None:
    plan = approved()
    decisions.reject_plan(plan_id=plan.pk, reason="second thoughts", actor=person("finance_ops"))
    free_again(plan, "rejected")


@pytest.mark.parametrize("state", ["draft", "staged", "approved"])
def test_a_plan_is_cancelled_before_it_begins(
    draft: Callable[..., Plan], person: People, world: World, state: str
) -> None:
    plan = draft()
    if state != "draft":
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    if state == "approved":
        approve(plan, person("finance_ops"), person("pay_admin"))
    plan = drafts.cancel_plan(plan_id=plan.pk, reason="not needed", actor=person("ops"))
    assert plan.status == "cancelled"
    assert counts("treasury_payouts") == {"payable": 40}


def test_a_plan_that_has_begun_is_not_cancelled(
    executed: Callable[..., tuple[Plan, Run]], person: People, world: World
) -> None:
    plan, _ = executed(total="500")
    with pytest.raises(WrongState):
        drafts.cancel_plan(plan_id=plan.pk, reason="", actor=person("ops"))
    with pytest.raises(WrongState):
        drafts.return_to_draft(plan_id=plan.pk, reason="", actor=person("ops"))


def test_what_one_plan_has_reserved_another_does_not_get(
    staged: Callable[..., Plan], draft: Callable[..., Plan], person: People, world: World
) -> None:
    first = staged(total="1000")
    second = staged("plan-2")
    assert first.estimated_impact["count"] + second.estimated_impact["count"] == 40
    third = draft("plan-3")
    with pytest.raises(NothingToDo):
        staging.stage_plan(plan_id=third.pk, actor=person("ops"))
    drafts.cancel_plan(plan_id=first.pk, reason="", actor=person("ops"))
    third = staging.stage_plan(plan_id=third.pk, actor=person("ops"))
    assert third.estimated_impact["count"] == first.estimated_impact["count"]


def test_more_than_the_account_holds_is_not_staged(draft: Callable[..., Plan], person: People, world: World) -> None:
    add_payouts(count=1, amount=2_000_000, actor=TESTER, prefix="HUGE")
    plan = draft()
    with pytest.raises(InsufficientFunds):
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    plan.refresh_from_db()
    assert plan.status == "draft"
    assert counts("treasury_payouts") == {"payable": 41}
    assert counts("ops_plan_steps") == counts("approvals_requests") == {}


# In time


def test_too_early_and_too_late(approved: Callable[..., Plan], person: People, world: World) -> None:
    now = timezone.now()
    early = approved("early", total="500", not_before=now + timedelta(hours=1))
    with pytest.raises(OutsideWindow, match="not be executed before"):
        execution.execute_plan(plan_id=early.pk, actor=person("finance_ops"))
    late = approved("late", total="500", not_after=now + timedelta(hours=1))
    Plan.objects.filter(pk=late.pk).update(not_after=now - timedelta(seconds=1))
    with pytest.raises(OutsideWindow, match="not be executed after"):
        execution.execute_plan(plan_id=late.pk, actor=person("finance_ops"))
    assert not Run.objects.exists()
    assert early.status == late.status == "approved"


def test_nobody_stages_what_can_no_longer_be_executed(draft: Callable[..., Plan], person: People, world: World) -> None:
    late = draft(not_after=timezone.now() - timedelta(seconds=1))
    with pytest.raises(OutsideWindow, match="not be executed after"):
        staging.stage_plan(plan_id=late.pk, actor=person("ops"))
    late.refresh_from_db()
    assert late.status == "draft"
    assert counts("treasury_payouts") == {"payable": 40}


def test_inside_its_window_it_is_executed(approved: Callable[..., Plan], person: People, world: World) -> None:
    now = timezone.now()
    plan = approved(not_before=now - timedelta(hours=1), not_after=now + timedelta(hours=1))
    assert isinstance(execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops")), Run)


def test_a_plan_expires_with_its_window(
    approved: Callable[..., Plan], person: People, world: World, superuser: psycopg.Connection[Any]
) -> None:
    plan = approved(not_after=timezone.now() + timedelta(hours=1))
    jobs.expire_plans()
    plan.refresh_from_db()
    assert plan.status == "approved"
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update ops_plans set not_after = now() - interval '1 second'")
    jobs.expire_plans()
    free_again(plan, "expired")
    assert verbs(plan)[-1] == "plan.expired"


@pytest.mark.parametrize("complete", [False, True])
def test_a_plan_expires_with_its_approval_request(
    staged: Callable[..., Plan], person: People, world: World, superuser: psycopg.Connection[Any], complete: bool
) -> None:
    plan = staged()
    if complete:
        approve(plan, person("finance_ops"), person("pay_admin"))
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update approvals_requests set expires_at = now() - interval '1 second'")
    if complete:  # also where no sweeper has come by yet
        with pytest.raises(RequestExpired):
            execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    approval_jobs.expire_requests()
    free_again(plan, "expired")
    assert not Run.objects.exists()
