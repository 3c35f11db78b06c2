"""Sweeps under faults: to one account, from accounts at a bank that waits and at one that executes at once, or by file.

So a rollback goes every way that there is: what the waiting bank has is recalled, what the prompt one has executed is
paid back from the target, whether our settlement has heard of it by then or not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.utils import timezone

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import Subject, record
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import decisions, drafts, execution, staging
from opsconsole.plans.services.drafts import Draft
from opsconsole.treasury import jobs as treasury_jobs
from opsconsole.treasury import ledger
from opsconsole.treasury.ledger import Movement
from opsconsole.treasury.models import Account, Bank, Sweep
from opsconsole.treasury.states import AccountKind, SweepState, TransferKind
from tests.faults.payouts import OPENING, TESTER, Lane, iban_of, person, steps_of
from tests.faults.processes import wait_for

TARGET = "Sweep target"
PROMPT = "prompt"  # the kind of lane whose bank executes, and settles, at once
KEEP = Decimal(100)
AT_EACH = 9  # accounts at each of two banks: more steps than go out in one call
BY_FILE = 3
HEARD = 5  # of those at the prompt bank, before the rollback; the others may be unheard of
SOURCES = 2_000_000  # their numbers are beyond those of the other accounts

_numbers = itertools.count(1)


@dataclass(slots=True)
class Sweeping:
    """One sweep plan, its accounts, and the banks' own word on them."""

    target: Lane
    waiting: Lane  # the lane whose bank waits; the target's own where there is but one bank
    waiting_sources: list[Account]
    prompt_sources: list[Account] = field(default_factory=list)

    @property
    def sources(self) -> list[Account]:
        """All of them."""
        return [*self.waiting_sources, *self.prompt_sources]

    @property
    def total(self) -> Decimal:
        """What is swept in all: what lies above the minimum."""
        return _above(self.sources)

    def plan(self) -> Plan:
        """Drafted by one, approved by others."""
        payload = {
            "currency": self.waiting.currency,
            "source_accounts": [account.iban for account in self.sources],
            "target_account": self._target.iban,
            "keep_minimum": f"{KEEP}",
        }
        plan, _ = drafts.create_plan(
            draft=Draft(f"sweep-{next(_numbers)}", "Sweep", "sweep", payload), actor=person("ops")
        )
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
        for name in ("finance_ops", "pay_admin"):
            plan = decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=person(name))
        assert plan.status == "approved", plan.status
        return plan

    def execute(self, plan: Plan) -> Run:
        """Ask for it to be executed."""
        run = execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
        assert isinstance(run, Run), run
        return run

    def roll_back(self, plan: Plan) -> Run:
        """Ask for it to be rolled back."""
        run = execution.roll_back_plan(plan_id=plan.pk, actor=person("pay_admin"))
        assert isinstance(run, Run), run
        return run

    def allow_rollback(self, plan: Plan) -> None:
        """It was approved together with the plan; some of what was executed is heard of before."""
        if self.prompt_sources:
            hear(bank=self.target.bank, plan=plan, most=HEARD)

    # What is so afterwards

    def assert_done(self, plan: Plan) -> None:
        """Each account gave what lay above the minimum, once; it is on its way, or has arrived."""
        plan.refresh_from_db()
        assert plan.status == "succeeded", plan.status
        assert steps_of(plan, "execute") == {"succeeded": len(self.sources)}
        assert {_balance(account) for account in self.sources} == {KEEP}
        gone = _balance(self._target) - OPENING
        on_the_way = sum((_in_transit(lane) for lane in self._lanes), Decimal(0))
        assert gone + on_the_way == self.total
        assert not plan_sweeps(plan).exclude(status__in=("sent", "settled")).exists()
        if self.waiting.kind == "file":
            self._assert_files("outgoing")
            return
        self._assert_at_bank(self.waiting, self.waiting_sources, "accepted", reserved=True)
        self._assert_at_bank(self.target, self.prompt_sources, "settled", reserved=False)
        assert _at_bank(self.target, self._target) == OPENING + _above(self.prompt_sources)

    def assert_undone(self, plan: Plan) -> None:
        """Each was recalled once or paid back once, and every balance is as it was, in the ledger and at the banks."""
        plan.refresh_from_db()
        assert plan.status == "rolled_back", plan.status
        assert steps_of(plan, "rollback") == {"succeeded": len(self.sources)}
        if self.prompt_sources:
            wait_for("what is settled to be heard of", lambda: hear(bank=self.target.bank, plan=plan) == 0)
        for account in self.sources:
            assert _balance(account) == account.ledger_balance, account.iban  # as it was read when it was opened
        assert _balance(self._target) == OPENING
        assert [_in_transit(lane) for lane in self._lanes] == [0] * len(self._lanes)
        there, back = plan_sweeps(plan).filter(undoes=None), plan_sweeps(plan).exclude(undoes=None)
        assert there.filter(status="recalled").count() == len(self.waiting_sources)
        assert there.filter(status="settled").count() == len(self.prompt_sources) == back.count()
        assert not back.exclude(status="settled").exists()
        if self.waiting.kind == "file":
            self._assert_files("withdrawn")
            assert self.waiting.files("outgoing") == []
            return
        for account in self.waiting_sources:
            (payment,) = _payments(self.waiting, account)
            assert (payment["status"], Decimal(payment["amount"])) == ("recalled", _above([account]))
            assert _at_bank(self.waiting, account) == account.ledger_balance
        self._assert_at_bank(self.target, self.prompt_sources, "settled", back=True, reserved=False)
        assert _at_bank(self.target, self._target) == OPENING
        ways_back = _payments(self.target, self._target)
        assert len({payment["key"] for payment in ways_back}) == len(ways_back) == len(self.prompt_sources)
        assert {(payment["creditor_account"], Decimal(payment["amount"])) for payment in ways_back} == {
            (account.iban, _above([account])) for account in self.prompt_sources
        }

    def _assert_at_bank(
        self, lane: Lane, accounts: Sequence[Account], status: str, *, reserved: bool, back: bool = False
    ) -> None:
        if status == "settled":  # due since it was accepted
            lane.server.execute()
            lane.server.settle()
        for account in accounts:
            (payment,) = _payments(lane, account)
            found = payment["status"], Decimal(payment["amount"])
            assert found == (status, _above([account])), found
            left = _at_bank(lane, account) - (_above([account]) if reserved else 0)
            assert left == (account.ledger_balance if back else KEEP)

    def _assert_files(self, tray: str) -> None:
        files = self.waiting.files(tray)
        assert len(files) == len(self.sources)
        assert sorted(_iban_in(file, "DbtrAcct") for file in files) == sorted(str(one.iban) for one in self.sources)
        assert {file.read_text().count("<EndToEndId>") for file in files} == {1}
        assert self.waiting.files("prepared") == []

    @property
    def _lanes(self) -> list[Lane]:
        return [self.waiting] if self.waiting is self.target else [self.waiting, self.target]

    @property
    def _target(self) -> Account:
        found = Account.objects.get(bank=self.target.bank, currency=self.waiting.currency, name=TARGET)
        assert found.kind == AccountKind.SETTLEMENT
        return found


def open_sweeping(open_lane: Callable[..., Lane]) -> Sweeping:
    """Accounts at a bank that waits and at one that executes at once; the target is at the second."""
    waiting, prompt = open_lane(), open_lane(PROMPT)
    _open(lane=prompt, currency=waiting.currency, name=TARGET, amounts=[OPENING], actor=TESTER)
    sources = [
        _open(lane=lane, currency=waiting.currency, name="Source", amounts=_amounts(AT_EACH), actor=TESTER)
        for lane in (waiting, prompt)
    ]
    return Sweeping(prompt, waiting, *sources)


def open_by_file(open_lane: Callable[..., Lane]) -> Sweeping:
    """Accounts at a bank that takes files, the target with them: a file for each."""
    lane = open_lane("file")
    _open(lane=lane, currency=lane.currency, name=TARGET, amounts=[OPENING], actor=TESTER)
    return Sweeping(
        lane, lane, _open(lane=lane, currency=lane.currency, name="Source", amounts=_amounts(BY_FILE), actor=TESTER)
    )


def plan_sweeps(plan: Plan) -> Any:
    """Its transfers, there and back."""
    return Sweep.objects.filter(plan=plan)


def hear(*, bank: Bank, plan: Plan, most: int | None = None) -> int:
    """Ask the bank what became of transfers of the plan; how many there still are to be heard of."""
    _let_ask(bank=bank, plan=plan, most=most, actor=TESTER)
    treasury_jobs.settle_bank(str(bank.pk))
    return int(plan_sweeps(plan).filter(bank=bank, status=SweepState.SENT).count())


@operation
def _let_ask(*, bank: Bank, plan: Plan, most: int | None, actor: Actor) -> None:
    sent = plan_sweeps(plan).filter(bank=bank, status=SweepState.SENT)
    now = timezone.now()
    due = list(sent.order_by("step_seq").values_list("pk", flat=True)[:most])
    sent.update(next_poll_at=now + timedelta(hours=1))
    sent.filter(pk__in=due).update(next_poll_at=now - timedelta(seconds=1))


@operation
def _open(*, lane: Lane, currency: str, name: str, amounts: Sequence[Decimal], actor: Actor) -> list[Account]:
    """Settlement accounts with so much on them, in the ledger and at the bank; each as it was then."""
    others = {
        kind: Account.objects.get_or_create(
            bank=lane.bank, currency=currency, kind=kind, defaults={"name": f"{currency} {kind.label}"}
        )[0]
        for kind in AccountKind
        if kind != AccountKind.SETTLEMENT
    }
    made = [
        Account.objects.create(
            bank=lane.bank,
            name=name,
            iban=iban_of(SOURCES + next(_numbers)),
            currency=currency,
            kind=AccountKind.SETTLEMENT,
        )
        for _ in amounts
    ]
    record(actor, "accounts.opened", Subject("test", currency), after={"count": len(made)})
    funding = others[AccountKind.FUNDING].pk
    ledger.book(
        [
            Movement(TransferKind.FUNDED, f"opening:{account.iban}", funding, account.pk, amount, currency)
            for account, amount in zip(made, amounts, strict=True)
        ]
    )
    for account, amount in zip(made, amounts, strict=True):
        if lane.kind != "file":
            lane.server.open_account(str(account.iban), currency, f"{amount:.2f}")
        account.refresh_from_db()
    return made


def _amounts(count: int) -> list[Decimal]:
    return [Decimal(1000) + Decimal(next(_numbers)) / 100 for _ in range(count)]


def _above(accounts: Sequence[Account]) -> Decimal:
    """By the balances that they were opened with."""
    return sum((account.ledger_balance - KEEP for account in accounts), Decimal(0))


def _balance(account: Account) -> Decimal:
    return Account.objects.get(pk=account.pk).ledger_balance


def _in_transit(lane: Lane) -> Decimal:
    currencies = Account.objects.filter(bank=lane.bank, kind=AccountKind.IN_TRANSIT)
    return sum((account.ledger_balance for account in currencies), Decimal(0))


def _payments(lane: Lane, account: Account) -> list[dict[str, Any]]:
    return lane.server.read("select * from payments where debtor_account = ? order by seq", account.iban)


def _at_bank(lane: Lane, account: Account) -> Decimal:
    """What the bank's own store says is on the account."""
    query = "select opening_milli + received_milli - paid_milli as milli from accounts where iban = ?"
    (row,) = lane.server.read(query, account.iban)
    return Decimal(row["milli"]) / 1000


def _iban_in(file: Path, element: str) -> str:
    return file.read_text().partition(f"<{element}>")[2].partition("<IBAN>")[2].partition("</IBAN>")[0]
