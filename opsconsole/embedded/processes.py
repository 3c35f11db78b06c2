"""Starting, finding and ending server processes."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from opsconsole.embedded.places import Account, EmbeddedError

POLL = 0.02  # seconds


def run(program: Path, *arguments: str | Path, account: Account | None = None, pass_fds: Sequence[int] = ()) -> str:
    """Runs a program of the bundle and returns what it said; EmbeddedError with that text if it failed.

    Its own session: Ctrl-C in the terminal is for us, not for the servers. Nothing of PG* in its environment.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    result = subprocess.run(  # noqa: S603  a program of the bundle
        [program, *arguments],
        env=environment | {"LC_ALL": "C", "TZ": "UTC"},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=pass_fds,
        **(account.run_as._asdict() if account else {}),
    )
    if result.returncode != 0:
        raise EmbeddedError(f"{program.name} failed: {result.stdout.strip()}")
    return result.stdout


class Lifeline:
    """A lock that a server inherits and shares with all its processes.

    Who gets it knows that every one of them is gone: no pid that another process has by now, no zombie and no
    file left by a power cut can say otherwise. (`flock` belongs to the open file, which fork and exec hand on.)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = self._open()

    def _open(self) -> int:
        return os.open(self.path, os.O_RDONLY | os.O_CREAT, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Forgets our copy; the lock goes with the last process that has one."""
        os.close(self.fd)

    def hand_over(self) -> None:
        """Leaves the lock to the server just started: from now on `take` tells whether it lives."""
        os.close(self.fd)
        self.fd = self._open()

    def take(self, *, seconds: float = 0) -> bool:
        """Takes the lock, waiting for so long; False if a process of the server still holds it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(POLL)
            else:
                return True


def tagged(tag: str, uid: int) -> list[int]:
    """The processes of that account which show the tag in their title."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == uid and tag.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def has_ended(pid: int) -> bool:
    """Whether the process is gone or a zombie; its other threads may still be ending then."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return True


def command_line(pid: int) -> list[str]:
    """What the process shows as its command; empty words if it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
    except OSError:
        return [""]


def send(pids: Sequence[int], number: signal.Signals) -> bool:
    """Sends the signal to those that still run; whether there were any."""
    sent = False
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            sent = True
    return sent


def log_tail(path: Path, *, characters: int = 2000) -> str:
    """The end of a server's log, for an error message."""
    try:
        return path.read_text(errors="replace")[-characters:]
    except OSError:
        return ""


def shorten_log(path: Path, *, beyond: int = 10_000_000) -> None:
    """Sets a log aside when it has grown; one old one is kept."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > beyond:
            path.replace(path.with_name(f"{path.name}.1"))
