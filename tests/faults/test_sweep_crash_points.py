"""The same for sweeps: money between accounts of ours, recalled or paid back, and by the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from opsconsole.plans.models import Step
from tests.faults.harness import Console
from tests.faults.kinds import SWEEP_FILES, SWEEPS
from tests.faults.matrix import Case, Trial, cases_of, try_all
from tests.faults.payouts import Lane
from tests.faults.sweeping import PROMPT
from tests.sandbox_bank.process import BankProcess

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]  # the first test waits for all of them

CASES = cases_of(SWEEPS, SWEEP_FILES)


@pytest.fixture(scope="module")
def prompt_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankProcess]:
    """A bank that executes and settles what it accepts at once."""
    with BankProcess(tmp_path_factory.mktemp("prompt-bank"), execute_after=0.0, settle_after=0.0) as bank:
        yield bank


@pytest.fixture(scope="module")
def trials(console: Console, module_lane: Callable[..., Lane], prompt_bank: BankProcess) -> dict[str, Trial]:
    """All cases, tried."""

    def lane(kind: str = "payment") -> Lane:
        return module_lane("payment", prompt_bank) if kind == PROMPT else module_lane(kind)

    return try_all(CASES, console, lane)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_run_ends_by_itself(case: Case, trials: dict[str, Trial]) -> None:
    trials[str(case)].assert_ended_well()


def test_every_way_back_was_gone(trials: dict[str, Trial]) -> None:
    """What was accepted is recalled; what was executed is paid back, whether it had been heard of before or not."""
    plans = [trial.plan.pk for trial in trials.values()]
    undone = Step.objects.filter(plan__in=plans, direction="rollback", status="succeeded")
    ways = set(undone.values_list("result__way", flat=True))
    assert ways == {"recall", "payment"}
    paid_back = undone.filter(result__way="payment")
    assert paid_back.filter(attempt=1).exists(), "nothing was heard of before its rollback"
    assert paid_back.filter(attempt__gt=1).exists(), "everything was heard of before its rollback"
