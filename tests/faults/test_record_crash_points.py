"""The same for steps that change records of ours: each is done once and undone once, wherever its worker dies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.harness import Console
from tests.faults.kinds import FAILOVERS, FREEZES, PAUSES
from tests.faults.matrix import Case, Trial, cases_of, try_all
from tests.faults.payouts import Lane

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]  # the first test waits for all of them

CASES = cases_of(FREEZES, PAUSES, FAILOVERS)


@pytest.fixture(scope="module")
def trials(console: Console, module_lane: Callable[..., Lane]) -> dict[str, Trial]:
    """All cases, tried."""
    return try_all(CASES, console, module_lane)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_run_ends_by_itself(case: Case, trials: dict[str, Trial]) -> None:
    trials[str(case)].assert_ended_well()
