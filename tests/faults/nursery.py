"""`python -m tests.faults.nursery`: forks processes of the product that have done their imports already.

Reads one order a line, `{"arguments": [...], "environment": {...}, "log": "...", "exit": "..."}`, answers with the
pid, and writes each child's exit status into the file `exit`. A child is `manage.py ARGUMENTS`, in a session of its
own; it dies with the nursery, which dies with the test run.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

import django

import manage

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def main() -> None:
    """Take orders until standard input closes."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsconsole.settings")
    django.setup()
    from django.core.management import load_command_class

    load_command_class("opsconsole.core", "worker")
    children: dict[int, Path] = {}
    while True:
        if select.select([sys.stdin], [], [], 0.02)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            order = json.loads(line)
            pid = _fork(order)
            children[pid] = Path(order["exit"])
            sys.stdout.write(f"{pid}\n")
            sys.stdout.flush()
        _reap(children)


def _reap(children: dict[int, Path]) -> None:
    with contextlib.suppress(ChildProcessError):
        while children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            said = children.pop(pid)
            fresh = said.with_suffix(".new")
            fresh.write_text(str(os.waitstatus_to_exitcode(status)))
            fresh.rename(said)


def _fork(order: dict[str, Any]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        said = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for number, descriptor in enumerate((nothing, said, said)):
            os.dup2(descriptor, number)
        _live_as(order["environment"])
        sys.argv = ["manage.py", *order["arguments"]]
        manage.main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _live_as(environment: dict[str, str]) -> None:
    """What an exec would have read from the environment."""
    from django.conf import settings

    os.environ.update(environment)
    if "REDIS_URL" in environment:
        settings.REDIS_URL = environment["REDIS_URL"]
    if "RUN_LEASE_SECONDS" in environment:
        settings.RUN_LEASE_SECONDS = float(environment["RUN_LEASE_SECONDS"])


if __name__ == "__main__":
    main()
