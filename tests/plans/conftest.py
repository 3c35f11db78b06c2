"""A treasury to plan on, and people to do it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from opsconsole.core.actors import Actor
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import decisions, drafts, execution, staging
from opsconsole.plans.services.drafts import Draft
from tests.sandbox_bank.process import BankProcess, bank, shared_bank
from tests.world import TESTER, World, add_payouts, build

__all__ = ["bank", "shared_bank"]


@pytest.fixture
def world(transactional_db: None, bank: BankProcess) -> World:
    """Two banks, an account of a million each, forty payouts of about a hundred."""
    made = build(base_url=bank.base_url, secret=bank.secret, balance=Decimal(1_000_000), actor=TESTER)
    add_payouts(count=40, amount=Decimal(100), actor=TESTER)
    return made


def drafting(person: Callable[..., Actor]) -> Callable[..., Plan]:
    """What drafts a payout batch as `ops`."""

    def make(external_id: str = "plan-1", total: str | None = None, **changes: Any) -> Plan:
        payload = {"currency": "EUR", "cutoff_date": "2025-08-01"} | ({"total_amount": total} if total else {})
        fields: dict[str, Any] = {
            "external_id": external_id,
            "name": "Payouts",
            "plan_type": "payout_batch",
            "payload": payload,
        } | changes
        return drafts.create_plan(draft=Draft(**fields), actor=person("ops"))[0]

    return make


def approving(draft: Callable[..., Plan], person: Callable[..., Actor]) -> Callable[..., Plan]:
    """What drafts, stages and approves one."""

    def make(external_id: str = "plan-1", **changes: Any) -> Plan:
        plan = draft(external_id, **changes)
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
        for name in ("finance_ops", "pay_admin"):
            plan = decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=person(name))
        assert plan.status == "approved"
        return plan

    return make


def executing(approved: Callable[..., Plan], person: Callable[..., Actor]) -> Callable[..., tuple[Plan, Run]]:
    """What takes one as far as a worker that takes no break takes it."""

    def make(external_id: str = "plan-1", **changes: Any) -> tuple[Plan, Run]:
        plan = approved(external_id, **changes)
        run = execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
        assert isinstance(run, Run)
        jobs.execute_run(str(run.pk))
        plan.refresh_from_db()
        run.refresh_from_db()
        return plan, run

    return make


@pytest.fixture
def draft(person: Callable[..., Actor]) -> Callable[..., Plan]:
    """Draft a payout batch as `ops`."""
    return drafting(person)


@pytest.fixture
def approved(draft: Callable[..., Plan], person: Callable[..., Actor]) -> Callable[..., Plan]:
    """Draft, stage and approve a payout batch."""
    return approving(draft, person)


@pytest.fixture
def executed(approved: Callable[..., Plan], person: Callable[..., Actor]) -> Callable[..., tuple[Plan, Run]]:
    """Take a payout batch as far as a worker that takes no break takes it."""
    return executing(approved, person)
