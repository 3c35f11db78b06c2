"""A sweep, a failover, a freeze and a paused bank, from draft to rollback, by curl; the runbook has the payouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from opsconsole.treasury import ledger
from opsconsole.treasury.models import Account
from opsconsole.treasury.services import banks
from opsconsole.treasury.services.banks import BankFacts
from tests.api.servers import Command, Curl, Web, wait_for
from tests.sandbox_bank.process import OUR_IBAN, BankProcess
from tests.stories.desk import Desk
from tests.treasury.sweeps.conftest import make_due
from tests.world import PAYEES, TESTER, World

SECOND_IBAN = "DE02120300000000202051"
BATCH = {"currency": "EUR", "cutoff_date": "2025-08-01"}
SWEEP = {"currency": "EUR", "source_bank": "sandbox2", "target_account": OUR_IBAN, "keep_minimum": "100000.00"}


@pytest.fixture
def second(world: World, bank: BankProcess) -> Account:
    """A million at a second bank, which is the same sandbox."""
    facts = BankFacts(
        code="sandbox2",
        name="Second Bank",
        bic="BYLADEM1001",
        gateway="http",
        base_url=bank.base_url,
        key_id=BankProcess.key_id,
        secret=bank.secret,
    )
    made = banks.set_up_bank(facts=facts, actor=TESTER)
    account = banks.open_account(bank_id=made.pk, name="Second", iban=SECOND_IBAN, currency="EUR", actor=TESTER)
    banks.fund_account(account_id=account.pk, amount=Decimal(1_000_000), reference="second", actor=TESTER)
    bank.open_account(SECOND_IBAN)
    return account


@pytest.fixture
def crew(console_environment: dict[str, str], second: Account, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Start processes of the console: `crew("scheduler")`; a worker is there."""
    running: list[Command] = []

    def start(*arguments: str) -> None:
        running.append(Command(tmp_path, console_environment, *arguments))

    start("worker")
    yield start
    with ThreadPoolExecutor() as together:
        list(together.map(Command.stop, running))


@pytest.fixture
def desk(web: Web, crew: Callable[..., None], curl: Curl, token: Callable[..., str]) -> Desk:
    """The console, and people who call it."""
    return Desk(curl, token)


def at_bank(bank: BankProcess) -> dict[str, Decimal]:
    """What the bank's own store says is on its accounts."""
    query = "select iban, opening_milli + received_milli - paid_milli as milli, reserved_milli from accounts"
    return {row["iban"]: Decimal(row["milli"]) / 1000 for row in bank.read(query)}


def only_differs(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def approved_by_one(desk: Desk, plan_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    """A closing plan: the author and who may not are refused, one other person is enough."""
    plan = desk.plan(plan_type, payload)
    where = f"/ops/plans/{plan['id']}"
    assert plan["required_approvals"] == 1
    desk.refused("ops", f"{where}/approve", 403, "separation_of_duties")
    desk.refused("auditor", f"{where}/approve", 403, "denied")
    desk.refused("ops_marketing", f"{where}/approve", 404, "plan_not_found")
    desk.refused("pay_admin", f"{where}/execute", 409, "wrong_state", key="early")
    assert desk.do("ops2", f"{where}/approve")["status"] == "approved"
    desk.refused("auditor", f"{where}/execute", 403, "denied", key="auditor")
    return plan


def closed(desk: Desk, plan_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    """And executed."""
    plan = approved_by_one(desk, plan_type, payload)
    run = desk.watch(plan, desk.execute("ops", plan))
    assert (run["status"], run["progress"]["percent"]) == ("succeeded", 100)
    assert desk.status(plan) == "succeeded"
    return plan


def agreed(desk: Desk, plan: dict[str, Any], *people: str) -> dict[str, Any]:
    for name in people:
        plan = desk.do(name, f"/ops/plans/{plan['id']}/approve")
    assert plan["status"] == "approved"
    return plan


def test_a_sweep(desk: Desk, bank: BankProcess, crew: Callable[..., None]) -> None:
    before, held = desk.world(), at_bank(bank)
    assert held == {OUR_IBAN: 1_000_000, SECOND_IBAN: 1_000_000}
    plan = desk.plan("sweep", SWEEP)
    impact = plan["estimated_impact"]
    assert (impact["sums"], impact["count"]) == ({"EUR": "900000.00"}, 1)
    (line,) = impact["accounts"]
    assert (line["account"], line["balance_before"], line["balance_after"]) == (
        SECOND_IBAN,
        "1000000.00",
        "100000.00",
    )
    where = f"/ops/plans/{plan['id']}"
    desk.refused("ops", f"{where}/approve", 403, "separation_of_duties")
    desk.refused("auditor", f"{where}/approve", 403, "denied")
    desk.do("finance_ops", f"{where}/approve")
    desk.refused("finance_ops", f"{where}/execute", 409, "wrong_state", key="early")
    desk.do("pay_admin", f"{where}/approve")
    desk.refused("ops", f"{where}/execute", 403, "not_an_executor", key="ops")
    assert bank.payments() == []

    run = desk.watch(plan, desk.execute("finance_ops", plan))
    assert (run["status"], desk.status(plan)) == ("succeeded", "succeeded")
    assert [payment["milli"] for payment in bank.payments()] == [900_000_000]
    crew("scheduler")  # who asks the bank what became of it

    def told_as(status: str, count: int) -> None:
        """The bank executes, and the console hears of it."""
        assert bank.execute() == 1
        bank.settle()
        make_due(actor=TESTER)
        sweeps = f"/ops/sweeps?plan={plan['id']}"
        wait_for(
            f"{count} sweeps that are {status}",
            lambda: [one["status"] for one in desk.get("ops", sweeps)["results"]] == [status] * count,
        )

    told_as("settled", 1)
    swept = desk.world()
    assert only_differs(before, swept) == {"accounts"}
    balances = {one["iban"]: one["ledger_balance"] for one in swept["accounts"] if one["iban"]}
    assert (balances[OUR_IBAN], balances[SECOND_IBAN]) == ("1900000.00", "100000.00")
    assert at_bank(bank) == {OUR_IBAN: 1_900_000, SECOND_IBAN: 100_000}

    desk.refused("ops", f"{where}/rollback", 403, "not_an_executor", key="ops-back")
    started = desk.do("pay_admin", f"{where}/rollback", key="back")
    assert desk.do("pay_admin", f"{where}/rollback", key="back") == started
    back = desk.watch(plan, started["run_id"])
    assert (back["status"], desk.status(plan)) == ("succeeded", "rolled_back")
    told_as("settled", 2)
    assert desk.world() == before
    assert at_bank(bank) == held
    assert len(bank.payments()) == 2
    assert bank.stats()["duplicate_attempts"] == 0
    assert ledger.prove() == []


def test_a_failover(desk: Desk, bank: BankProcess) -> None:
    before = desk.world()
    waiting = agreed(desk, desk.plan("payout_batch", BATCH | {"total_amount": "50000"}), "finance_ops", "pay_admin")
    plan = desk.plan("failover", {"from_bank": "sandbox", "to_bank": "sandbox2"})
    impact = plan["estimated_impact"]
    assert impact["count"] == 40
    where = f"/ops/plans/{plan['id']}"
    desk.refused("ops", f"{where}/approve", 403, "separation_of_duties")
    desk.refused("finance_ops", f"{where}/approve", 403, "not_an_approver")
    desk.do("ops2", f"{where}/approve")
    desk.refused("ops", f"{where}/execute", 409, "wrong_state", key="early")
    assert desk.do("pay_admin", f"{where}/approve")["status"] == "approved"
    run = desk.watch(plan, desk.execute("ops", plan))
    assert (run["status"], desk.status(plan)) == ("succeeded", "succeeded")
    assert [(one["bank"], one["account"]) for one in desk.world()["routes"]] == [("sandbox2", SECOND_IBAN)]

    # What was approved for the old way is not paid by the new one without being looked at again.
    drifted = desk.refused("pay_admin", f"/ops/plans/{waiting['id']}/execute", 409, "plan_drifted", key="drifts")
    assert (drifted["plan_status"], bool(drifted["drift"])) == ("staged", True)
    desk.do("ops", f"/ops/plans/{waiting['id']}/cancel", {"reason": "the story goes on"})

    back = desk.watch(plan, desk.do("pay_admin", f"{where}/rollback", key="back")["run_id"])
    assert (back["status"], desk.status(plan)) == ("succeeded", "rolled_back")
    assert desk.world() == before
    assert bank.payments() == []


def test_a_frozen_account_pays_and_receives_nothing(
    desk: Desk, bank: BankProcess, world: World, connect_as: Callable[[str], psycopg.Connection[Any]]
) -> None:
    staged = agreed(desk, desk.plan("payout_batch", BATCH | {"total_amount": "50000"}), "finance_ops", "pay_admin")
    swept = agreed(desk, desk.plan("sweep", SWEEP | {"keep_minimum": "999000"}), "finance_ops", "pay_admin")
    before = desk.world()
    ours = str(world.account.pk)
    plan = closed(desk, "freeze", {"subject": "account", "id": ours, "reason": "Case 2025-118"})
    now = desk.world()
    assert only_differs(before, now) == {"accounts", "freezes?live=true"}
    assert [(one["subject_id"], one["plan_id"]) for one in now["freezes?live=true"]] == [(ours, plan["id"])]
    assert {one["id"]: one["status"] for one in now["accounts"]}[ours] == "frozen"

    # Every door.
    go = f"/ops/plans/{staged['id']}/execute"
    assert desk.refused("pay_admin", go, 409, "plan_drifted", key="batch")["plan_status"] == "draft"
    assert (
        desk.refused("pay_admin", f"/ops/plans/{swept['id']}/execute", 409, "plan_drifted", key="sweep")["plan_status"]
        == "draft"
    )
    for plan_type, payload, code in (("payout_batch", BATCH, "nothing_to_do"), ("sweep", SWEEP, "account_frozen")):
        body = {"external_id": f"shut-{plan_type}", "name": "Shut", "plan_type": plan_type, "payload": payload}
        drafted = desk.do("ops", "/ops/plans", body)
        status, problem = desk.ask("ops", "POST", f"/ops/plans/{drafted['id']}/stage")
        assert (status, problem["code"]) == (422, code)
        assert "frozen" in problem["detail"]
    route = now["routes"][0]["id"]
    second = next(one for one in now["accounts"] if one["iban"] == SECOND_IBAN)
    led = desk.ask("pay_admin", "PATCH", f"/ops/routes/{route}", {"account_id": second["id"], "reason": "away"})
    assert led[0] == 200, led
    status, problem = desk.ask("pay_admin", "PATCH", f"/ops/routes/{route}", {"account_id": ours, "reason": "back"})
    assert (status, problem["code"]) == (422, "route_refused"), problem
    with pytest.raises(psycopg.errors.IntegrityError, match="freeze"):
        connect_as("operator").execute("update treasury_accounts set status = 'active' where id = %s", [ours])
    assert bank.payments() == []

    desk.open_again(plan)
    led = desk.ask("pay_admin", "PATCH", f"/ops/routes/{route}", {"account_id": ours, "reason": "back"})
    assert led[0] == 200, led
    after = desk.world()
    assert {one["status"] for one in after["payouts"]} == {"payable"}
    assert only_differs(before, after) == {"payouts"}  # those of the batch, which is a draft again
    assert bank.payments() == []
    assert ledger.prove() == []


def test_a_frozen_payee(desk: Desk, bank: BankProcess) -> None:
    before = desk.world()
    plan = closed(desk, "freeze", {"subject": "beneficiary", "id": PAYEES[0], "reason": "Case 2025-119"})
    batch = agreed(desk, desk.plan("payout_batch", BATCH), "finance_ops", "pay_admin")
    assert batch["estimated_impact"]["count"] == 30
    assert desk.watch(batch, desk.execute("finance_ops", batch))["status"] == "succeeded"
    assert {payment["creditor_account"] for payment in bank.payments()} == set(PAYEES[1:])
    back = desk.watch(batch, desk.do("pay_admin", f"/ops/plans/{batch['id']}/rollback", key="back")["run_id"])
    assert back["status"] == "succeeded"
    desk.open_again(plan)
    assert desk.world() == before
    assert {payment["status"] for payment in bank.payments()} == {"recalled"}


def test_a_paused_bank_and_a_run_that_is_going(
    desk: Desk, bank: BankProcess, world: World, crew: Callable[..., None]
) -> None:
    """Twice the door closes while a run goes: it stops at the boundary, says why, and goes on when it is open again."""
    crew("worker")  # one for the run, one for the closing
    before = desk.world()
    batch = agreed(desk, desk.plan("payout_batch", BATCH), "finance_ops", "pay_admin")
    frozen = approved_by_one(desk, "freeze", {"subject": "account", "id": str(world.account.pk), "reason": "Case 3"})
    paused = approved_by_one(desk, "pause_bank", {"bank": "sandbox", "reason": "It answers errors"})
    bank.arm("delay", seconds=2.5, times=None)
    run_id, sent = desk.execute("finance_ops", batch), 0
    for closing, why in (
        (frozen, "is frozen: nothing is paid from it."),
        (paused, "is paused: nothing new goes"),
    ):
        wait_for("calls that are out", lambda: bank.faults()[0]["seen"] > sent)  # noqa: B023 - asked at once
        assert desk.watch(closing, desk.execute("pay_admin", closing))["status"] == "succeeded"
        run = desk.watch(batch, run_id)
        assert run["status"] == "failed"
        assert why in run["result"]["halted"]
        assert sent < len(bank.payments()) < 40
        sent = len(bank.payments())
        status = {one["code"]: one["status"] for one in desk.world()["banks"]}["sandbox"]
        assert status == ("paused" if closing is paused else "active")
        refused = desk.do("finance_ops", f"/ops/plans/{batch['id']}/runs/{run_id}/retry")
        run = desk.watch(batch, refused["run_id"])
        assert (run["status"], why in run["result"]["halted"]) == ("failed", True)
        assert len(bank.payments()) == sent
        desk.open_again(closing)
        if closing is paused:
            bank.clear_faults()
        run_id = desk.do("finance_ops", f"/ops/plans/{batch['id']}/runs/{run['id']}/retry")["run_id"]
    assert desk.watch(batch, run_id)["status"] == "succeeded"
    assert "run.failed" in desk.verbs(batch)
    assert len({payment["end_to_end_id"] for payment in bank.payments()}) == len(bank.payments()) == 40
    assert bank.stats()["duplicate_attempts"] == 0
    back = desk.watch(batch, desk.do("pay_admin", f"/ops/plans/{batch['id']}/rollback", key="back")["run_id"])
    assert (back["status"], desk.status(batch)) == ("succeeded", "rolled_back")
    assert desk.world() == before
    assert {payment["status"] for payment in bank.payments()} == {"recalled"}


def test_a_paused_bank_gets_nothing_by_any_door(desk: Desk, bank: BankProcess) -> None:
    staged = agreed(desk, desk.plan("payout_batch", BATCH | {"total_amount": "50000"}), "finance_ops", "pay_admin")
    desk.do("ops", f"/ops/plans/{staged['id']}/cancel", {"reason": "only to have had one"})
    before = desk.world()
    plan = closed(desk, "pause_bank", {"bank": "sandbox", "reason": "It answers errors since 08:40."})
    assert only_differs(before, desk.world()) == {"banks"}
    for plan_type, payload in (
        ("payout_batch", BATCH),
        ("sweep", {"currency": "EUR", "source_bank": "sandbox", "target_account": SECOND_IBAN, "keep_minimum": "1"}),
        ("sweep", SWEEP),
        ("failover", {"from_bank": "sandbox2", "to_bank": "sandbox"}),
        ("pause_bank", {"bank": "sandbox", "reason": "again"}),
    ):
        name = f"shut-{next(desk.keys)}"
        body = {"external_id": name, "name": name, "plan_type": plan_type, "payload": payload}
        status, problem = desk.ask("ops", "POST", "/ops/plans", body)
        if status == 201:
            status, problem = desk.ask("ops", "POST", f"/ops/plans/{problem['id']}/stage")
        assert status in (400, 409, 422), (plan_type, problem)
        assert "pause" in problem["detail"], (plan_type, problem)
    assert bank.payments() == []
    desk.open_again(plan)
    assert desk.world() == before
