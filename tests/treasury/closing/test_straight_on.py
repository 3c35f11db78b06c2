"""A run that goes well marks more payments in one commit than it sends at a time, and what was marked still stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import control, execution
from opsconsole.treasury import ledger
from opsconsole.treasury.plan_types.payout_batch import PayoutBatch
from tests.sandbox_bank.process import BankProcess
from tests.treasury.closing.conftest import carry_out, driven, rolled_back
from tests.world import PAYEES, World, counts

pytestmark = pytest.mark.django_db(transaction=True)

People = Callable[..., Actor]
BATCH = {"currency": "EUR", "cutoff_date": "2025-08-01"}


@pytest.fixture
def after_calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], Any]], None]:
    """Have something happen right after so many calls of the payout batch have been answered."""

    def arrange(calls: int, happen: Callable[[], Any]) -> None:
        send, answered = PayoutBatch.execute, 0

        def watched(self: PayoutBatch, steps: Sequence[Any]) -> Any:
            nonlocal answered
            outcomes = send(self, steps)
            answered += len(steps)
            if answered == calls:
                happen()
            return outcomes

        monkeypatch.setattr(PayoutBatch, "execute", watched)

    return arrange


def queued(plan: Plan, actor: Actor) -> Run:
    run = execution.execute_plan(plan_id=plan.pk, actor=actor)
    assert isinstance(run, Run)
    return run


def test_it_marks_more_once_all_goes_well_and_sends_sixteen_at_a_time(
    world: World, bank: BankProcess, approved: Callable[..., Plan], person: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    send = PayoutBatch.execute
    monkeypatch.setattr(PayoutBatch, "execute", lambda self, steps: [sent.append(len(steps)), send(self, steps)][1])
    plan = approved("payout_batch", BATCH)
    run = carry_out(plan, person("finance_ops"))
    assert (run.status, sent) == ("succeeded", [16, 16, 8])
    told = [entry.content["after"] for entry in Entry.objects.filter(verb="run.steps").order_by("seq")]
    assert [(len(turn["done"]), len(turn["started"])) for turn in told] == [(0, 16), (16, 24), (24, 0)]


@pytest.mark.parametrize("what", ["bank", "beneficiary", "pause", "cancel", "deploy"])
def test_what_is_marked_and_not_yet_sent_stops(
    world: World, bank: BankProcess, approved: Callable[..., Plan], person: People,
    after_calls: Callable[..., None], monkeypatch: pytest.MonkeyPatch, what: str,
) -> None:  # fmt: skip
    batch = approved("payout_batch", BATCH)
    stop = {
        "bank": ("pause_bank", {"bank": "sandbox", "reason": "r"}),
        "beneficiary": ("freeze", {"subject": "beneficiary", "id": PAYEES[39 % len(PAYEES)], "reason": "r"}),
    }.get(what)
    closing = approved(*stop) if stop else None
    run = queued(batch, person("finance_ops"))
    happen: dict[str, Callable[[], Any]] = {
        "pause": lambda: control.pause_run(plan_id=batch.pk, run_id=run.pk, reason="", actor=person("ops")),
        "cancel": lambda: control.cancel_run(plan_id=batch.pk, run_id=run.pk, reason="r", actor=person("ops")),
        "deploy": lambda: monkeypatch.setattr(jobs, "leaving", lambda: True),
    }
    after_calls(32, happen.get(what) or (lambda: carry_out(closing, person("pay_admin"))))
    driven(batch, run)

    assert len(bank.payments()) == 32
    assert counts("treasury_payouts") == {"sent": 32, "reserved": 8}
    payments = batch.steps.values_list("status", flat=True)
    assert {state: list(payments).count(state) for state in set(payments)} == {"succeeded": 32, "pending": 8}
    assert run.status == {"pause": "paused", "cancel": "cancelled", "deploy": "running"}.get(what, "failed")
    assert ledger.prove() == []

    match what:
        case "pause":
            control.resume_run(plan_id=batch.pk, run_id=run.pk, reason="", actor=person("ops"))
        case "deploy":
            monkeypatch.setattr(jobs, "leaving", lambda: False)
        case _:
            if closing is not None:
                rolled_back(closing, person)
            run = execution.retry_run(plan_id=batch.pk, run_id=run.pk, actor=person("finance_ops"))
    last = driven(batch, run)
    assert (last.status, len(bank.payments()), bank.stats()["duplicate_attempts"]) == ("succeeded", 40, 0)
    assert ledger.prove() == []


def test_nothing_follows_a_payment_that_failed(
    world: World, bank: BankProcess, approved: Callable[..., Plan], person: People
) -> None:
    """By its policy the plan stops at a failure, and not only at the next commit."""
    bank.arm("reject_account", after=20, times=1)
    plan = approved("payout_batch", BATCH)
    run = carry_out(plan, person("finance_ops"))
    assert (run.status, len(bank.payments())) == ("failed", 31)
    assert counts("ops_plan_steps") == {"succeeded": 31, "failed": 1, "pending": 8}


def test_a_bank_that_falls_silent_is_left_alone(
    world: World, bank: BankProcess, approved: Callable[..., Plan], person: People
) -> None:
    bank.arm("unavailable", after=20, seconds=600)
    plan = approved("payout_batch", BATCH)
    run = carry_out(plan, person("finance_ops"))
    assert (run.status, run.waiting_for, len(bank.payments())) == ("running", "target", 20)
    assert counts("ops_plan_steps") == {"succeeded": 20, "pending": 20}


def test_a_fault_between_the_calls_loses_no_answer(
    world: World, bank: BankProcess, approved: Callable[..., Plan], person: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the bank said of those before is written, though nobody can tell whether the others may go out."""

    def broken(*_: Any) -> bool:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(PayoutBatch, "held_back", broken)
    plan = approved("payout_batch", BATCH)
    run = carry_out(plan, person("finance_ops"))
    assert (run.status, len(bank.payments()), bank.stats()["duplicate_attempts"]) == ("succeeded", 40, 0)
    assert counts("ops_plan_steps") == {"succeeded": 40}
    assert ledger.prove() == []
