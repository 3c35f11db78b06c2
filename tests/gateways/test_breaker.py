"""The circuit breaker alone, by a clock of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from opsconsole.treasury.gateways.breaker import TRIAL_PAUSE, Breaker


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(threshold=3, cooldown=5, clock=Clock())
    for report in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed, breaker.failed):
        report()
    assert breaker.admit() is None
    breaker.failed()
    assert breaker.is_open
    assert breaker.admit() == 5


def test_one_call_tries_and_closes_it() -> None:
    clock = Clock()
    breaker = Breaker(threshold=1, cooldown=5, clock=clock)
    breaker.failed()
    clock.now += 2
    assert breaker.admit() == 3
    clock.now += 3
    assert breaker.admit() is None, "the trial"
    assert breaker.admit() == TRIAL_PAUSE, "the others wait for it"
    breaker.succeeded()
    assert breaker.admit() is None
    assert not breaker.is_open


def test_a_failed_trial_opens_it_again() -> None:
    clock = Clock()
    breaker = Breaker(threshold=3, cooldown=5, clock=clock)
    for _ in range(3):
        breaker.failed()
    breaker.failed()  # a straggler of before
    clock.now += 5
    assert breaker.admit() is None
    breaker.failed()
    assert breaker.admit() == 5


def test_a_trial_that_never_reports_does_not_block_for_ever() -> None:
    clock = Clock()
    breaker = Breaker(threshold=1, cooldown=5, clock=clock)
    breaker.failed()
    clock.now += 5
    assert breaker.admit() is None
    clock.now += 5
    assert breaker.admit() is None


def test_of_many_threads_one_is_on_trial() -> None:
    clock = Clock()
    breaker = Breaker(threshold=1, cooldown=5, clock=clock)
    breaker.failed()
    clock.now += 5
    with ThreadPoolExecutor(16) as threads:
        admitted = list(threads.map(lambda _: breaker.admit(), range(200)))
    assert admitted.count(None) == 1
