"""The bank resets connections, says 503, says nothing, is slow, is killed: each run ends by itself, all paid once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test.utils import override_settings

from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from tests.faults.harness import Console
from tests.faults.payouts import Lane, progress, succeeded
from tests.faults.processes import wait_for
from tests.sandbox_bank.process import BankProcess

pytestmark = pytest.mark.fault


@dataclass(frozen=True, eq=False)
class Fault:
    """What the bank does to one run of 20 payments, 16 of them in the first batch."""

    name: str
    kind: str
    details: dict[str, Any]
    direction: str = "execute"
    simulate: bool = False

    def __str__(self) -> str:
        return f"{self.direction}-{self.name}"


FAULTS = [
    Fault("503 for 20 s", "unavailable", {"after": 18, "seconds": 20.0}),
    Fault("no answer after accepting", "timeout", {"after": 18, "times": 2}),
    Fault("no answer", "timeout", {"after": 18, "times": 2, "accept": False}),
    Fault("slower than we wait", "delay", {"after": 18, "times": 2, "seconds": 6.0}),
    Fault("reset after accepting", "drop_after_accept", {"after": 18, "times": 3}),
    Fault("reset after accepting, again and again", "drop_after_accept", {"after": 10, "times": 30}),
    Fault("reset before accepting", "drop_before_accept", {"after": 18, "times": 3}),
    Fault("reset before accepting, again and again", "drop_before_accept", {"after": 10, "times": 30}),
    Fault("503 from the start", "unavailable", {"after": 0, "seconds": 6.0}),
    Fault("503 at the simulation", "unavailable", {"on": "balance", "seconds": 3.0}, simulate=True),
    Fault("500 after accepting", "error_5xx", {"after": 18, "times": 12, "accept": True}),
    Fault("502 before accepting", "error_5xx", {"after": 18, "times": 12, "status": 502}),
    Fault("reset after accepting", "drop_after_accept", {"on": "recall", "after": 18, "times": 30}, "rollback"),
    Fault("503 for 6 s", "unavailable", {"on": "recall", "after": 18, "seconds": 6.0}, "rollback"),
    Fault("500 after accepting", "error_5xx", {"on": "recall", "after": 3, "times": 30, "accept": True}, "rollback"),
]

Begun = tuple[Lane, Plan, Run, float]


@pytest.fixture(scope="module")
def under_fault(console: Console, module_lane: Callable[..., Lane], bank_of_faults: BankProcess) -> dict[Fault, Begun]:
    """All of them, side by side: what waits for its bank holds up nobody."""
    bank_of_faults.clear_faults()
    console.ensure(workers=4)
    prepared = [(fault, *_prepared(fault, module_lane(), console)) for fault in FAULTS]
    begun = {}
    for fault, one, plan in prepared:
        one.arm(fault.kind, **fault.details)
        run = one.execute(plan) if fault.direction == "execute" else one.roll_back(plan)
        begun[fault] = (one, plan, run, time.time())
    return begun


def _prepared(fault: Fault, one: Lane, console: Console) -> tuple[Lane, Plan]:
    payload = {"currency": one.currency, "cutoff_date": "2025-08-01", "simulate_before_execute": fault.simulate}
    plan = one.plan(payload=payload)
    if fault.direction == "rollback":
        with override_settings(REDIS_URL=console.redis_url(15)):  # driven right here
            run = one.execute(plan)
        jobs.execute_run(str(run.pk))
        one.assert_paid(plan)
    return one, plan


@pytest.mark.usefixtures("under_fault")  # they go on meanwhile
def test_bank_is_killed(module_lane: Callable[..., Lane], tmp_path: Path) -> None:
    with BankProcess(tmp_path / "bank") as bank:
        one = module_lane(server=bank)
        one.arm("delay", seconds=0.3, times=None)
        plan, run = one.start(payouts=64)
        wait_for("the run to get on", lambda: progress(run) >= 16)
        bank.kill()
        killed = time.time()
        accepted = len(one.payments())
        assert 16 <= accepted < 64
        wait_for("the run to notice", lambda: _waits(run), seconds=30)
        bank.start()
        succeeded(run, since=killed)
        one.assert_paid(plan)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_run_ends_by_itself(fault: Fault, under_fault: dict[Fault, Begun]) -> None:
    one, plan, run, since = under_fault[fault]
    succeeded(run, since=since)
    if fault.direction == "execute":
        one.assert_paid(plan)
    else:
        one.assert_taken_back(plan)
    assert one.fired()[fault.kind], "the fault never fired"


def _waits(run: Run) -> bool:
    run.refresh_from_db()
    return bool(run.waiting_for == "target")
