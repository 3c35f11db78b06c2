"""Plans that pause, freeze and lead elsewhere, on a treasury with a bank that really answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from opsconsole.approvals.models import Request
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import decisions, drafts, execution, staging
from opsconsole.plans.services.drafts import Draft
from opsconsole.plans.services.execution import ApprovalWanted
from opsconsole.treasury.models import Account
from opsconsole.treasury.services import banks
from opsconsole.treasury.services.banks import BankFacts
from tests.sandbox_bank.process import BankProcess, bank, shared_bank
from tests.world import TESTER, World, add_payouts, build

__all__ = ["bank", "shared_bank"]

People = Callable[..., Actor]
SECOND_IBAN = "DE02120300000000202051"

# What may change by a plan of these types, and when it last did in no way matters.
CLOSED_BY = {
    "treasury_banks": "wake_at",
    "treasury_accounts": "ledger_balance",
    "treasury_routes": "created_at",
    "treasury_payouts": "created_at",
    "treasury_instructions": "next_poll_at",
    "treasury_freezes": "id",
}


@pytest.fixture
def world(transactional_db: None, bank: BankProcess) -> World:
    """Two banks, an account of a million each, forty payouts of about a hundred."""
    made = build(base_url=bank.base_url, secret=bank.secret, balance=Decimal(1_000_000), actor=TESTER)
    add_payouts(count=40, amount=Decimal(100), actor=TESTER)
    return made


@pytest.fixture
def second(world: World, bank: BankProcess) -> Account:
    """An account at a second HTTP bank, with money."""
    made = banks.set_up_bank(
        facts=BankFacts(
            code="sandbox2",
            name="Second Bank",
            bic="BYLADEM1001",
            gateway="http",
            base_url=bank.base_url,
            key_id=BankProcess.key_id,
            secret=bank.secret,
        ),
        actor=TESTER,
    )
    account = banks.open_account(bank_id=made.pk, name="Second", iban=SECOND_IBAN, currency="EUR", actor=TESTER)
    banks.fund_account(account_id=account.pk, amount=Decimal(1_000_000), reference="second", actor=TESTER)
    bank.open_account(SECOND_IBAN)
    return account


@pytest.fixture
def staged(person: People) -> Callable[..., Plan]:
    """Draft and stage a plan as `ops`."""

    def make(plan_type: str, payload: dict[str, Any], external_id: str = "", **changes: Any) -> Plan:
        draft = Draft(external_id or plan_type, f"A {plan_type}", plan_type, payload, **changes)
        plan, _ = drafts.create_plan(draft=draft, actor=person("ops"))
        return staging.stage_plan(plan_id=plan.pk, actor=person("ops"))

    return make


@pytest.fixture
def approved(staged: Callable[..., Plan], person: People) -> Callable[..., Plan]:
    """And have it approved by whom its policy asks for."""

    def make(plan_type: str, payload: dict[str, Any], external_id: str = "", **changes: Any) -> Plan:
        plan = staged(plan_type, payload, external_id, **changes)
        who = {
            "failover": ("ops2", "pay_admin"),
            "payout_batch": ("finance_ops", "pay_admin"),
        }.get(plan_type, ("pay_admin",))
        for name in who:
            actor = person(name, name.rstrip("2"))
            plan = decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=actor)
        assert plan.status == "approved"
        return plan

    return make


@pytest.fixture
def done(approved: Callable[..., Plan], person: People) -> Callable[..., tuple[Plan, Run]]:
    """And executed, as far as a worker takes it."""

    def make(plan_type: str, payload: dict[str, Any], external_id: str = "", **changes: Any) -> tuple[Plan, Run]:
        plan = approved(plan_type, payload, external_id, **changes)
        return plan, carry_out(plan, person("pay_admin"))

    return make


def carry_out(plan: Plan, actor: Actor) -> Run:
    """Execute an approved plan, with a worker that takes no break."""
    run = execution.execute_plan(plan_id=plan.pk, actor=actor)
    assert isinstance(run, Run), run
    return driven(plan, run)


def driven(plan: Plan, run: Run) -> Run:
    """Have a worker drive the run."""
    jobs.execute_run(str(run.pk))
    plan.refresh_from_db()
    run.refresh_from_db()
    return run


def rolled_back(plan: Plan, person: People) -> Run:
    """Roll a plan back; where that is the dangerous direction, its two approvals come first."""
    told = execution.roll_back_plan(plan_id=plan.pk, actor=person("pay_admin"))
    if isinstance(told, ApprovalWanted):
        for name in ("finance_ops", "pay_admin2"):
            decide_request(
                request_id=told.request.pk,
                approved=True,
                comments="",
                signature="",
                actor=person(name, name.rstrip("2")),
            )
        told = execution.roll_back_plan(plan_id=plan.pk, actor=person("pay_admin"))
    assert isinstance(told, Run)
    return driven(plan, told)


def rows(*tables: str) -> dict[str, list[str]]:
    """Every row of these tables, complete but for one column that moves by itself."""
    found = {}
    for table in tables or CLOSED_BY:
        with connection.cursor() as cursor:
            cursor.execute(f"select to_jsonb(t) - %s from {table} t order by t.id", [CLOSED_BY[table]])
            found[table] = [json.dumps(row[0], sort_keys=True) for row in cursor.fetchall()]
    return found


def told(*verbs: str) -> list[Entry]:
    """The journal's entries of these verbs, in order."""
    return list(Entry.objects.filter(verb__in=verbs).order_by("seq"))


def requests_of(plan: Plan) -> dict[str, str]:
    """The approval requests of a plan: action -> status."""
    return dict(Request.objects.filter(subject_id=str(plan.pk)).values_list("action", "status"))
