"""Named crash points: places where a test may let the process die as if its power had failed.

`OPS_CRASH_AT=plans.steps.after_call` arms one; `OPS_CRASH_AT=plans.steps.after_call:3` lets it pass twice and dies the
third time; `OPS_CRASH_AT=plans.steps.after_call:3:STOP` freezes there instead, until somebody sends SIGCONT. Nothing
is armed in production, whatever the environment says.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Final

from django.conf import settings

_passed: Final[Counter[str]] = Counter()
_companions: Final[list[int]] = []
_lock = threading.Lock()


def crashpoint(name: str) -> None:
    """Die by SIGKILL here, or freeze, if this point is armed; a line in the file OPS_CRASH_LOG proves that it did."""
    armed = os.environ.get("OPS_CRASH_AT")
    if not armed or settings.PRODUCTION:
        return
    wanted, _, rest = armed.partition(":")
    if name != wanted:
        return
    times, _, how = rest.partition(":")
    with _lock:
        _passed[name] += 1
        if _passed[name] != int(times or 1):
            return
        _prove(name)
        if how == "STOP":
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        for pid in (*_companions, os.getpid()):
            os.kill(pid, signal.SIGKILL)


def crash_together_with(pid: int) -> None:
    """Let a crash of this process take another one along: a worker that is killed is killed with its horse."""
    _companions.append(pid)


def _prove(name: str) -> None:
    log = os.environ.get("OPS_CRASH_LOG")
    if log:
        with Path(log).open("a") as proof:
            proof.write(f"{name} {os.getpid()}\n")
