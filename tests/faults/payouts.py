"""Payout batches under faults: each in a lane of its own (a bank, an account, a route, a currency), so that many can
be under way at once and none sees another's payouts; and what must be true of them whatever happened.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection
from stdnum import iban as ibans

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.identity.services import NewUser, ensure_users
from opsconsole.journal.record import Subject, record
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import decisions, drafts, execution, staging
from opsconsole.plans.services.drafts import Draft
from opsconsole.treasury import ledger
from opsconsole.treasury.currencies import DECIMALS
from opsconsole.treasury.ledger import Movement
from opsconsole.treasury.models import Account, Bank, Payout, Route
from opsconsole.treasury.states import AccountKind, GatewayKind, TransferKind
from tests.faults.harness import Console
from tests.faults.processes import Process, wait_for
from tests.sandbox_bank.process import BankProcess
from tests.world import PAYEES

TESTER = SYSTEM("test")
OPENING = Decimal(500_000)
WITHIN = 120.0  # seconds from a fault to the end of the run
PEOPLE = ("ops", "ops2", "finance_ops", "pay_admin")

# Two plans in one currency would take each other's payouts. A lane long past leaves nothing that another could take.
_currencies = itertools.cycle(sorted(code for code, decimals in DECIMALS.items() if decimals == 2))
_numbers = itertools.count(1)


def make_people() -> None:
    """Somebody of each role that plans need; the name is the role, with a number for a second one."""
    users = [NewUser(name, f"{name}-password-1", (name.rstrip("2"),)) for name in PEOPLE]
    ensure_users(users=users, actor=TESTER)


def person(name: str) -> Actor:
    """One of them."""
    return Actor.of(User.objects.get(username=name))


@dataclass(frozen=True, slots=True)
class Lane:
    """Where one plan's payments go."""

    number: int
    kind: str  # payment: an HTTP bank; file: one that takes files
    currency: str
    iban: str
    bank: Bank
    account: Account
    server: BankProcess
    console: Console
    usual: int = 20  # payouts of a plan

    # A plan's life, as people lead it

    def plan(self, *, payouts: int = 0, **changes: Any) -> Plan:
        """Add payouts and take a plan over them as far as approved."""
        add_payouts(lane=self, count=payouts or self.usual, actor=TESTER)
        fields: dict[str, Any] = {
            "external_id": f"plan-{self.number}-{next(_numbers)}",
            "name": f"Payouts of {self.currency}",
            "plan_type": "payout_batch",
            "payload": {"currency": self.currency, "cutoff_date": "2025-08-01"},
        } | changes
        plan = drafts.create_plan(draft=Draft(**fields), actor=person("ops"))[0]
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
        for name in ("finance_ops", "pay_admin"):
            plan = decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=person(name))
        assert plan.status == "approved"
        return plan

    def execute(self, plan: Plan) -> Run:
        """Ask for it to be executed."""
        run = execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
        assert isinstance(run, Run), run
        return run

    def allow_rollback(self, plan: Plan) -> None:
        """Undoing payments was approved together with them."""

    def roll_back(self, plan: Plan) -> Run:
        """Ask for it to be rolled back."""
        run = execution.roll_back_plan(plan_id=plan.pk, actor=person("pay_admin"))
        assert isinstance(run, Run), run
        return run

    def start(self, **options: Any) -> tuple[Plan, Run]:
        """A plan under way."""
        plan = self.plan(**options)
        return plan, self.execute(plan)

    # What the bank has: its own store, its own trays

    def arm(self, kind: str, **details: Any) -> int:
        """Arm a fault of the bank for this lane alone."""
        match = {"debtor_account": self.iban} | details.pop("match", {})
        return self.server.arm(kind, match=match, **details)

    def fired(self) -> Counter[str]:
        """How often each kind of fault has struck this lane."""
        struck: Counter[str] = Counter()
        for fault in self.server.faults():
            if fault["match"].get("debtor_account") == self.iban:
                struck[fault["kind"]] += fault["fired"]
        return struck

    def payments(self) -> list[dict[str, Any]]:
        """The payments that the bank's store has from this account."""
        return self.server.read("select * from payments where debtor_account = ? order by seq", self.iban)

    def files(self, tray: str) -> list[Path]:
        """The files of this bank in a tray."""
        return sorted((self.console.var / "artifacts" / "banks" / self.bank.code / tray).glob("*.xml"))

    # What is so afterwards

    def balance(self) -> Decimal:
        """What our ledger says the account holds."""
        return Account.objects.get(pk=self.account.pk).ledger_balance

    def payouts(self) -> dict[str, int]:
        """How many of the lane's payouts are in which state."""
        with connection.cursor() as cursor:
            cursor.execute(
                "select status, count(*) from treasury_payouts where external_id like %s group by 1",
                [f"lane{self.number}-%"],
            )
            return dict(cursor.fetchall())

    def assert_done(self, plan: Plan) -> None:
        """The same of every kind of step."""
        self.assert_paid(plan)

    def assert_undone(self, plan: Plan) -> None:
        """The same of every kind of step."""
        self.assert_taken_back(plan)

    def assert_paid(self, plan: Plan) -> None:
        """Everything was paid exactly once, and nothing is open."""
        plan.refresh_from_db()
        assert plan.status == "succeeded", plan.status
        impact = plan.estimated_impact
        assert impact is not None
        total = Decimal(impact["sums"][self.currency])
        assert steps_of(plan, "execute") == {"succeeded": impact["steps"]}
        assert self.payouts() == {"sent": impact["count"]}
        assert self.balance() == OPENING - total
        if self.kind == "payment":
            self.assert_at_the_bank(count=impact["count"], total=total)
        else:
            self.assert_one_file("outgoing", payments=impact["count"])
            assert self.files("prepared") == []

    def assert_taken_back(self, plan: Plan) -> None:
        """Everything was paid once and recalled once; the payouts may be paid again."""
        plan.refresh_from_db()
        assert plan.status == "rolled_back", plan.status
        impact = plan.estimated_impact
        assert impact is not None
        assert steps_of(plan, "rollback") == {"succeeded": impact["steps"]}
        assert self.payouts() == {"payable": impact["count"]}
        assert self.balance() == OPENING
        if self.kind == "payment":
            self.assert_at_the_bank(count=impact["count"], total=Decimal(impact["sums"][self.currency]))
            assert {payment["status"] for payment in self.payments()} == {"recalled"}
        else:
            self.assert_one_file("withdrawn", payments=impact["count"])
            assert self.files("outgoing") == []

    def assert_at_the_bank(self, *, count: int, total: Decimal) -> None:
        """So many payments, each EndToEndId and each key once, of this sum."""
        paid = self.payments()
        assert len(paid) == count == len({payment["end_to_end_id"] for payment in paid})
        assert len({payment["key"] for payment in paid}) == count
        assert sum(Decimal(payment["amount"]) for payment in paid) == total

    def assert_one_file(self, tray: str, *, payments: int) -> None:
        """One file in one tray, with all payments in it."""
        (file,) = self.files(tray)
        assert file.read_text().count("<EndToEndId>") == payments


def steps_of(plan: Plan, direction: str) -> dict[str, int]:
    """How many steps of a direction are in which state."""
    return dict(
        Counter(
            Step.objects.filter(plan=plan, direction=direction, revision=plan.revision).values_list("status", flat=True)
        )
    )


def ended(run: Run, *, seconds: float = WITHIN) -> Run:
    """The run, once it has ended by itself."""

    def look() -> Run | None:
        run.refresh_from_db()
        return None if run.is_live else run

    try:
        return wait_for(f"run {run.pk} to end", look, seconds=seconds)
    except AssertionError as failure:
        standing = steps_of(run.plan, run.direction)
        raise AssertionError(
            f"{failure}: {run.status}, waiting for {run.waiting_for!r}, lease until {run.lease_until}, {standing}"
        ) from None


def succeeded(run: Run, *, since: float, within: float = WITHIN) -> None:
    """The run ends succeeded by itself, so many seconds after the fault at the latest."""
    ended(run, seconds=within)
    assert run.status == "succeeded", (run.status, run.result)
    assert run.finished_at is not None
    took = (run.finished_at - datetime.fromtimestamp(since, UTC)).total_seconds()
    assert took < within, took


def driver(run: Run, console: Console) -> tuple[Process, int] | None:
    """The worker that has the run now, and its child that drives it."""
    run.refresh_from_db()
    horse = int(run.lease_owner.rpartition(":")[2] or 0)
    return next(((worker, horse) for worker in console.pool if horse in worker.horses()), None)


def progress(run: Run) -> int:
    """How many of the run's steps are done."""
    return Step.objects.filter(plan=run.plan_id, direction=run.direction, status="succeeded").count()


@operation
def open_lane(*, kind: str, server: BankProcess, console: Console, actor: Actor) -> Lane:
    """A bank with one funded account and the route of one currency through it."""
    number, currency = next(_numbers), _free_currency()
    iban = iban_of(number)
    is_http = kind == "payment"
    bank = Bank.objects.create(
        code=f"lane{number}",
        name=f"Bank of {currency}",
        bic="COBADEFFXXX",
        gateway=GatewayKind.HTTP if is_http else GatewayKind.ISO20022,
        base_url=server.base_url if is_http else "",
        key_id=server.key_id if is_http else "",
        secret=server.secret if is_http else "",
    )
    accounts = {
        kind.value: Account.objects.create(
            bank=bank,
            name=f"{currency} {kind.label}",
            iban=iban if kind == AccountKind.SETTLEMENT else None,
            currency=currency,
            kind=kind,
        )
        for kind in AccountKind
    }
    account = accounts["settlement"]
    Route.objects.update_or_create(currency=currency, country=None, defaults={"bank": bank, "account": account})
    record(actor, "lane.opened", Subject("test", currency))
    ledger.book(
        [
            Movement(
                kind=TransferKind.FUNDED,
                reference=f"opening:{number}",
                source=accounts["funding"].pk,
                target=account.pk,
                amount=OPENING,
                currency=currency,
            )
        ]
    )
    server.open_account(iban, currency, f"{OPENING:.2f}")
    return Lane(number, kind, currency, iban, bank, account, server, console)


@operation
def add_payouts(*, lane: Lane, count: int, actor: Actor) -> list[UUID]:
    """So many payable payouts in the lane's currency, each of another amount."""
    first = next(_numbers)
    made = Payout.objects.bulk_create(
        Payout(
            external_id=f"lane{lane.number}-{first}-{number:05}",
            beneficiary_name=f"Payee {number % len(PAYEES)} GmbH",
            iban=PAYEES[number % len(PAYEES)],
            bic="COBADEFFXXX",
            amount=Decimal(100) + Decimal(number) / 100,
            currency=lane.currency,
            due_date=date(2025, 7, 1),
            remittance=f"Invoice {number}",
        )
        for number in range(count)
    )
    record(actor, "payouts.made", Subject("test", lane.currency), after={"count": count})
    return [payout.pk for payout in made]


def _free_currency() -> str:
    return next(code for code in _currencies if not Payout.objects.filter(currency=code, status="payable").exists())


def iban_of(number: int) -> str:
    """A German IBAN for each number."""
    basic = f"37040044{number:010}"
    return f"DE{ibans.calc_check_digits(f'DE00{basic}')}{basic}"
