"""kill -9 of the worker, horse and all, at either side of everything it does; another worker takes over by itself.

Payments and files, both ways; the records' kinds are in test_record_crash_points.py.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.harness import Console
from tests.faults.kinds import FILES, MANY_PAYMENTS, PAYMENTS, StepKind
from tests.faults.matrix import Case, Trial, cases_of, try_all
from tests.faults.payouts import Lane

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]  # the first test waits for all of them

CASES = [
    Case(PAYMENTS, "execute", ("plans.steps.after_call",), lease=True),  # the first to begin: it takes the longest
    *cases_of(PAYMENTS, MANY_PAYMENTS, FILES),
]


@pytest.fixture(scope="module")
def trials(console: Console, module_lane: Callable[..., Lane]) -> dict[str, Trial]:
    """All cases, tried."""
    return try_all(CASES, console, module_lane)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_run_ends_by_itself(case: Case, trials: dict[str, Trial]) -> None:
    trials[str(case)].assert_ended_well()


def test_points_are_where_their_names_say(trials: dict[str, Trial]) -> None:
    """What was committed when the worker died, so that the cases are about different moments."""

    def at(point: str, kind: StepKind = PAYMENTS, direction: str = "execute") -> tuple[str, int]:
        return trials[str(Case(kind, direction, (point,)))].left_over

    assert at("plans.run.before_claim") == ("queued", 0)
    assert at("plans.run.in_claim") == ("queued", 0)
    assert at("plans.run.after_claim") == ("running", 0)
    assert at("plans.steps.in_mark") == ("running", 0)
    assert at("plans.steps.after_save") == ("running", 0)
    assert at("plans.steps.in_mark:2") == ("running", 0)
    assert at("plans.steps.after_save:2") == ("running", 16)
    assert at("plans.steps.before_call:3", MANY_PAYMENTS) == ("running", 16), "44 are marked, 16 of them were sent"
    assert at("plans.run.before_finish") == ("running", 20)
    assert at("plans.run.in_finish") == ("running", 20)
    assert at("plans.run.after_finish") == ("succeeded", 20)
    assert at("queue.before_enqueue") == ("queued", 0)
