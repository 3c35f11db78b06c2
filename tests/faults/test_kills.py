"""kill -9 from outside, at random moments, again and again in one run; and nothing that outlives its parent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.embedded.acting import nothing_runs
from tests.faults.harness import Console
from tests.faults.payouts import Lane, driver, progress, steps_of, succeeded
from tests.faults.processes import ROOT, state_of, wait_for

pytestmark = pytest.mark.fault

KILLS = 5

# What a test run does at its beginning: a guard, servers, a worker's child; then it waits to be killed.
VICTIM = """
import subprocess, sys, time
from pathlib import Path
from opsconsole import embedded
var = Path(sys.argv[1])
guard = subprocess.Popen([sys.executable, "-m", "tests.faults.guard", str(var)], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, start_new_session=True)
guard.stdout.readline()
embedded.start(var)
print(guard.pid, flush=True)
time.sleep(60)
"""


def test_killed_again_and_again(console: Console, lane: Callable[..., Lane]) -> None:
    console.ensure()
    one = lane()
    one.arm("delay", seconds=0.3, times=None)
    plan, run = one.start(payouts=480)
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    seen = 0
    for kill in range(KILLS):
        wait_for("the run to get on", lambda seen=seen: progress(run) > seen)
        time.sleep(chance.uniform(0, 0.5))
        worker, horse = wait_for("a worker at work", lambda: driver(run, console))
        seen = progress(run)
        assert seen < 480, f"seed {seed}: nothing was left to be killed"
        if kill % 3 == 2:  # the child alone, as when memory runs out
            os.kill(horse, signal.SIGKILL)
        else:
            worker.kill()
            wait_for("the horse to die with its worker", lambda horse=horse: not state_of(horse))
            console.ensure()
    killed = time.time()
    succeeded(run, since=killed)
    one.assert_paid(plan)
    assert run.lease_epoch > KILLS // 2, f"seed {seed}: hardly anything was taken over"
    assert steps_of(plan, "execute") == {"succeeded": 480}


def test_a_test_run_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    top = Path("/tmp") / f"ops-faults-{os.getpid()}-victim"
    top.mkdir(mode=0o711)
    var = top / "var"
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, str(var)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    guard = int(victim.stdout.readline())
    victim.kill()
    victim.wait()
    victim.stdout.close()
    wait_for("the guard to tidy up", lambda: not top.exists() and not state_of(guard))
    assert nothing_runs(var)
