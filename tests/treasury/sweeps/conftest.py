"""A treasury to sweep: two more accounts at the HTTP bank, and plans taken as far as a test wants them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import Subject, record
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import decisions, drafts, execution, staging
from opsconsole.plans.services.drafts import Draft
from opsconsole.treasury import jobs as treasury_jobs
from opsconsole.treasury import ledger
from opsconsole.treasury.ledger import Movement
from opsconsole.treasury.models import Account, Bank, Sweep
from opsconsole.treasury.selectors import ledger_account
from opsconsole.treasury.states import AccountKind, TransferKind
from tests.plans.conftest import approved, draft, executed, world
from tests.sandbox_bank.process import OUR_IBAN, BankProcess, bank, shared_bank
from tests.world import ISO_IBAN, TESTER, World

__all__ = ["approved", "bank", "draft", "executed", "shared_bank", "world"]

RICH, POOR = "DE91100000000123456789", "DE02120300000000202051"
MILLION = Decimal("1000000.00")


@operation
def open_account(*, bank: Bank, iban: str, balance: Decimal, actor: Actor) -> Account:
    """One more settlement account, with money on it."""
    account = Account.objects.create(
        bank=bank, name=f"Account {iban[-4:]}", iban=iban, currency="EUR", kind=AccountKind.SETTLEMENT
    )
    record(actor, "account.opened", Subject("test", iban))
    funding = ledger_account(bank.pk, "EUR", AccountKind.FUNDING)
    ledger.book([Movement(TransferKind.FUNDED, f"opening:{iban}", funding.pk, account.pk, balance, "EUR")])
    return account


@operation
def make_due(*, actor: Actor) -> None:
    """Let every sweep be asked for now."""
    Sweep.objects.filter(status="sent", next_poll_at__isnull=False).update(
        next_poll_at=timezone.now() - timedelta(seconds=1)
    )


@dataclass(frozen=True, slots=True)
class Sweeping:
    """The world with its accounts, and the steps of a sweep's life."""

    world: World
    bank: BankProcess
    rich: Account
    poor: Account
    person: Callable[..., Actor]

    def draft(self, external_id: str = "sweep-1", **changes: Any) -> Plan:
        payload: dict[str, Any] = {
            "currency": "EUR",
            "source_accounts": [RICH, POOR],
            "target_account": OUR_IBAN,
            "keep_minimum": "100",
        } | changes
        draft = Draft(
            external_id=external_id,
            name="Sweep",
            plan_type="sweep",
            payload={key: value for key, value in payload.items() if value is not None},
        )
        return drafts.create_plan(draft=draft, actor=self.person("ops"))[0]

    def staged(self, external_id: str = "sweep-1", **changes: Any) -> Plan:
        plan = self.draft(external_id, **changes)
        return staging.stage_plan(plan_id=plan.pk, actor=self.person("ops"))

    def approved(self, external_id: str = "sweep-1", **changes: Any) -> Plan:
        return self.approve(self.staged(external_id, **changes))

    def approve(self, plan: Plan) -> Plan:
        for name in ("finance_ops", "pay_admin"):
            plan = decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=self.person(name))
        return plan

    def executed(self, external_id: str = "sweep-1", **changes: Any) -> tuple[Plan, Run]:
        return self.execute(self.approved(external_id, **changes))

    def execute(self, plan: Plan) -> tuple[Plan, Run]:
        run = execution.execute_plan(plan_id=plan.pk, actor=self.person("finance_ops"))
        assert isinstance(run, Run), run
        return self.drive(run)

    def roll_back(self, plan: Plan) -> tuple[Plan, Run]:
        return self.drive(execution.roll_back_plan(plan_id=plan.pk, actor=self.person("finance_ops")))

    def drive(self, run: Run) -> tuple[Plan, Run]:
        jobs.execute_run(str(run.pk))
        run.refresh_from_db()
        return Plan.objects.get(pk=run.plan_id), run

    def ask(self) -> None:
        """Let the console ask the HTTP bank what became of what was sent."""
        make_due(actor=TESTER)
        treasury_jobs.settle_bank(str(self.world.http.pk))

    def at_bank(self) -> dict[str, Decimal]:
        """What the bank's own store says is on its accounts."""
        rows = self.bank.read(
            "select iban, opening_milli + received_milli - paid_milli as milli, reserved_milli from accounts"
        )
        assert all(row["reserved_milli"] >= 0 for row in rows)
        return {row["iban"]: Decimal(row["milli"]) / 1000 for row in rows}


def balances() -> dict[str, Decimal]:
    """What the ledger says: each settlement account by its IBAN, the others by bank and kind."""
    return {
        account.iban or f"{account.bank.code} {account.kind}": account.ledger_balance
        for account in Account.objects.select_related("bank")
        if account.kind != AccountKind.FUNDING
    }


@pytest.fixture
def sweeping(world: World, bank: BankProcess, person: Callable[..., Actor]) -> Sweeping:
    """5,000.50 and 99.99 on two more accounts, in the ledger and at the bank."""
    made = {}
    for iban, amount in ((RICH, "5000.50"), (POOR, "99.99")):
        made[iban] = open_account(bank=world.http, iban=iban, balance=Decimal(amount), actor=TESTER)
        bank.open_account(iban, balance=amount)
    assert ISO_IBAN
    return Sweeping(world, bank, made[RICH], made[POOR], person)
