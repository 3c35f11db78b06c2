"""The crash matrix: kill -9 of the worker at either side of everything it does, in every kind of step, both ways.

Each case is a plan of its own. A worker that listens to nobody else's wake-ups is armed with the case's crash point
and told of the run; once it is dead, the sweeper and two healthy workers have to bring the run to its end. Cases go
side by side, in batches: a lease has to run out in each, and waiting for many takes as long as waiting for one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.test.utils import override_settings
from django.utils import timezone

from opsconsole.core.queue import enqueue
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.transitions import EXECUTE_RUN
from tests.faults.harness import Console
from tests.faults.kinds import EXECUTE, ROLLBACK, Scene, StepKind
from tests.faults.payouts import WITHIN, Lane, progress, succeeded
from tests.faults.processes import Process, wait_for

AT_ONCE = 14  # databases of a Redis, but for the one of the healthy workers and one that nobody listens to
UNHEARD = 15
DEFAULT_LEASE = {"RUN_LEASE_SECONDS": "30"}

EVERYWHERE = [
    "plans.run.before_claim",
    "plans.run.after_claim",
    "plans.steps.in_mark",
    "plans.steps.after_save",
    "plans.steps.before_call",
    "plans.steps.after_call",
    "plans.steps.before_save:2",
    "plans.steps.in_save:2",
    "plans.steps.after_save:2",
    "plans.run.before_finish",
    "plans.run.in_finish",
    "plans.run.after_finish",
    "plans.steps.after_call + plans.steps.before_probe",
    "plans.steps.after_call + plans.steps.after_probe",
]
ENQUEUE = ["queue.before_enqueue", "queue.after_enqueue"]  # in the process that was asked for the run


@dataclass(frozen=True)
class Case:
    """A crash point, or one after the other, in one kind of step and direction."""

    kind: StepKind
    direction: str
    points: tuple[str, ...]
    lease: bool = False  # the default one, of 30 seconds

    def __str__(self) -> str:
        lease = "-default lease" if self.lease else ""
        return f"{self.kind.name}-{self.direction}-{' + '.join(self.points)}{lease}"


@dataclass
class Trial:
    """A case under way."""

    case: Case
    scene: Scene
    plan: Plan
    console: Console
    armed: list[Process] = field(default_factory=list)
    wake_ups: list[int] = field(default_factory=list)
    run: Run | None = None
    left_over: tuple[str, int] = ("", 0)
    failure: AssertionError | None = None

    def assert_ended_well(self) -> None:
        """The fault has struck, the run has ended by itself, and everything happened once."""
        if self.failure is not None:
            raise self.failure
        struck = [process.crashed(seconds=0) for process in self.armed]
        assert struck == [_name(point) for point in self.case.points], "the fault never fired"
        assert self.run is not None
        assert self.run.status == "succeeded"


def cases_of(*kinds: StepKind) -> list[Case]:
    """Every crash point of these kinds, in both directions."""
    return [
        Case(kind, direction, tuple(point.split(" + ")))
        for kind in kinds
        for direction in (EXECUTE, ROLLBACK)
        for point in [*kind.own.get(direction, ()), *([*EVERYWHERE, *ENQUEUE] if kind.everywhere else ())]
    ]


def try_all(cases: Sequence[Case], console: Console, open_lane: Callable[..., Lane]) -> dict[str, Trial]:
    """All cases, tried; by their names. While one batch dies, the next is prepared."""
    console.ensure()
    batches = _batches(cases)
    tried: dict[str, Trial] = {}
    trials = [_prepared(console, open_lane, case) for case in batches[0]]
    for number, _ in enumerate(batches, start=1):
        console.freeze()
        wake_ups = iter(range(1, AT_ONCE + 1))
        for trial in trials:
            _start(console, trial, wake_ups)
        following = [_prepared(console, open_lane, case) for batch in batches[number : number + 1] for case in batch]
        for stage in range(2):
            for trial in [trial for trial in trials if len(trial.case.points) > stage]:
                _attempt(trial, partial(_crash, stage=stage))
        console.thaw()
        for trial in [trial for trial in trials if not trial.case.lease]:
            _attempt(trial, _finish)
        tried.update({str(trial.case): trial for trial in trials})
        trials = following
    for trial in [trial for trial in tried.values() if trial.case.lease]:
        _attempt(trial, _finish)
    return tried


def _batches(cases: Sequence[Case]) -> list[list[Case]]:
    """Cases side by side, as many as there are databases for the wake-ups of their workers."""
    batches: list[list[Case]] = [[]]
    for case in cases:
        if sum(len(other.points) for other in [*batches[-1], case]) > AT_ONCE:
            batches.append([])
        batches[-1].append(case)
    return batches


def _prepared(console: Console, open_lane: Callable[..., Lane], case: Case) -> Trial:
    """A plan: approved, or executed where it is to be rolled back."""
    scene = case.kind.open(open_lane)
    plan = scene.plan()
    if case.direction == ROLLBACK:
        with override_settings(REDIS_URL=console.redis_url(UNHEARD)):
            run = scene.execute(plan)
        jobs.execute_run(str(run.pk))
        scene.assert_done(plan)
        scene.allow_rollback(plan)
    return Trial(case, scene, plan, console)


def _start(console: Console, trial: Trial, wake_ups: Iterator[int]) -> None:
    """Arm the workers of the case and ask for the run where only the first of them hears of it."""
    case = trial.case
    trial.wake_ups = list(itertools.islice(wake_ups, len(case.points)))
    url = console.redis_url(trial.wake_ups[0])
    if case.points[0] in ENQUEUE:
        asker = case.kind.askers[case.direction]
        command = ("-m", "tests.faults.executor", case.direction, str(trial.plan.pk), asker)
        trial.armed = [console.start(*command, crash_at=case.points[0], REDIS_URL=url)]
        return
    lease = DEFAULT_LEASE if case.lease else {}
    for point, number in zip(case.points, trial.wake_ups, strict=True):
        trial.armed.append(console.forked_worker("plans", crash_at=point, wake_ups=number, **lease))
    with override_settings(REDIS_URL=url):
        ask = trial.scene.execute if case.direction == EXECUTE else trial.scene.roll_back
        trial.run = ask(trial.plan)


def _crash(trial: Trial, stage: int) -> None:
    """Wait until the worker of this stage is dead; the one of the second is told of the run once the lease is over."""
    worker = trial.armed[stage]
    if stage:
        wait_for("the lease to run out", lambda: _is_free(trial.run))
        with override_settings(REDIS_URL=trial.console.redis_url(trial.wake_ups[stage])):
            assert enqueue(EXECUTE_RUN, str(trial.run.pk), queue="plans")
    worker.crashed()
    assert worker.ended() == -9, f"{worker.name} outlived its horse"
    trial.run = trial.run or Run.objects.filter(plan=trial.plan).latest("run_at")
    trial.run.refresh_from_db()
    trial.left_over = (trial.run.status, progress(trial.run))


def _finish(trial: Trial) -> None:
    """Wait for the run to end, and count at once: later lanes lead the routes of these elsewhere."""
    succeeded(trial.run, since=trial.armed[-1].crashed_at, within=WITHIN)
    if trial.case.direction == EXECUTE:
        trial.scene.assert_done(trial.plan)
    else:
        trial.scene.assert_undone(trial.plan)


def _attempt(trial: Trial, act: Callable[[Trial], Any]) -> None:
    """One case that fails must not hide how the others end."""
    if trial.failure is None:
        try:
            act(trial)
        except AssertionError as failure:
            trial.failure = failure


def _is_free(run: Run) -> bool:
    run.refresh_from_db()
    return run.lease_until is None or run.lease_until < timezone.now()


def _name(point: str) -> str:
    return point.partition(":")[0]
