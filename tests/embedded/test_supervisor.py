"""The processes of `make up`: restarted when they die, all gone when it ends, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from opsconsole import supervisor
from opsconsole.supervisor import Program, Supervisor
from tests.embedded.acting import ROOT

STAYS = "import time; print('here'); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here'); time.sleep(60)"
FORKS = "import os, time; os.fork(); os.write(1, b'%d\\n' % os.getpid()); time.sleep(60)"

RUN = """
import asyncio, sys
from pathlib import Path
from opsconsole.supervisor import Program, Supervisor
program = Program("child", [sys.executable, "-c", "import os, time; print(os.getpid()); time.sleep(60)"])
asyncio.run(Supervisor([program], logs=Path(sys.argv[1]), say=lambda name, line: print(line, flush=True)).run())
"""


class Play:
    """A supervisor at work, and what it said."""

    def __init__(self, logs: Path, *codes: str) -> None:
        programs = [
            Program(f"program-{number}", [sys.executable, "-c", code], {"MARK": str(number)})
            for number, code in enumerate(codes)
        ]
        self.said: list[tuple[str, str]] = []
        self.logs = logs
        self._make = lambda: Supervisor(programs, logs=logs, say=lambda *line: self.said.append(line))

    def until(self, enough: Callable[[], bool], *, then: signal.Signals = signal.SIGTERM) -> float:
        """Run until enough was said, send the signal; the seconds that it took to end then."""

        async def watch() -> None:
            while not enough():
                await asyncio.sleep(0.02)
            self.asked_at = time.monotonic()
            os.kill(os.getpid(), then)

        async def play() -> None:
            await asyncio.wait_for(self._make().run(watch()), 90)

        asyncio.run(play())
        return time.monotonic() - self.asked_at

    def times(self, line: str) -> int:
        return sum(line in said for _, said in self.said)


def gone(pid: int) -> bool:
    """Whether the process has ended; a zombie that nobody fetched has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def goes(pid: int, *, within: float = 30) -> bool:
    deadline = time.monotonic() + within
    while not gone(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_program_that_dies_is_started_again_ever_more_slowly(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "PAUSES", (0.05, 0.1))
    play = Play(tmp_path, "import os; print('mark', os.environ['MARK']); os.kill(os.getpid(), 9)", STAYS)
    play.until(lambda: play.times("mark 0") == 4)

    pauses = [line.split("again in ")[1] for _, line in play.said if "was killed by SIGKILL" in line]
    assert pauses[:3] == ["0.05 s", "0.1 s", "0.1 s"]
    assert play.times("here") == 1, "the healthy one is left alone"
    assert (tmp_path / "program-0.log").read_text().splitlines() == ["mark 0"] * 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_way_to_end_it_ends_the_programs(tmp_path: Path, number: signal.Signals) -> None:
    play = Play(tmp_path, STAYS, STAYS)
    took = play.until(lambda: play.times("here") == 2, then=number)

    assert took < supervisor.PATIENCE, "somebody had to be killed"
    assert play.times("again") == 0


def test_a_program_that_does_not_listen_is_killed_with_its_children(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "PATIENCE", 0.5)
    play = Play(tmp_path, STUBBORN, FORKS)
    took = play.until(lambda: len(play.said) == 3)

    assert took >= 0.5
    pids = [int(line) for _, line in play.said if line.isdigit()]
    assert len(pids) == 2
    assert all(goes(pid) for pid in pids)


def test_a_second_signal_waits_for_nobody(tmp_path: Path, monkeypatch) -> None:
    play = Play(tmp_path, STUBBORN)
    monkeypatch.setattr(asyncio.subprocess.Process, "terminate", lambda _: os.kill(os.getpid(), signal.SIGINT))

    assert play.until(lambda: play.times("here") == 1, then=signal.SIGINT) < supervisor.PATIENCE


def test_a_killed_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", RUN, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True) as it:
        child = int(it.stdout.readline())
        assert not gone(child)
        it.kill()
    assert goes(child)


def test_what_fails_beside_the_programs_ends_them(tmp_path: Path) -> None:
    play = Play(tmp_path, STAYS)

    def fail() -> bool:
        if play.times("here"):
            raise RuntimeError("the servers cannot be started")
        return False

    with pytest.raises(RuntimeError, match="cannot be started"):
        play.until(fail)
    assert play.times("again") == 0


def test_lines_come_whole_and_endless_ones_in_pieces() -> None:
    async def read(*chunks: bytes) -> list[str]:
        stream = asyncio.StreamReader()
        for chunk in chunks:
            stream.feed_data(chunk)
        stream.feed_eof()
        return [line async for line in supervisor.lines(stream, longest=8)]

    assert asyncio.run(read(b"one\ntw", b"o\r\n\nlast")) == ["one", "two", "", "last"]
    assert "".join(asyncio.run(read(b"x" * 30))) == "x" * 30


def test_only_one_console_for_each_state_folder(tmp_path: Path) -> None:
    assert not supervisor.runs(tmp_path)
    with supervisor.alone(tmp_path) as alone:
        assert alone
        assert supervisor.runs(tmp_path)
        with supervisor.alone(tmp_path) as second:
            assert not second
    assert not supervisor.runs(tmp_path)
