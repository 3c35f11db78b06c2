"""Named crash points: places where a test may let the process die as if its power had failed.

`OPS_CRASH_AT=plans.step.after_call` arms one; `OPS_CRASH_AT=plans.step.after_call:3` lets it pass twice and dies the
third time. Nothing is armed in production, whatever the environment says.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from django.conf import settings

_passed: dict[str, int] = {}


def crashpoint(name: str) -> None:
    """Die by SIGKILL here if this point is armed; leaves a file named in OPS_CRASH_LOG as proof that it did."""
    armed = os.environ.get("OPS_CRASH_AT")
    if not armed or settings.PRODUCTION:
        return
    wanted, _, times = armed.partition(":")
    if name != wanted:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] < int(times or 1):
        return
    log = os.environ.get("OPS_CRASH_LOG")
    if log:
        with Path(log).open("a") as proof:
            proof.write(f"{name} {os.getpid()}\n")
    os.kill(os.getpid(), signal.SIGKILL)
