"""Runs the product's processes side by side, restarts those that die, and leaves none behind.

Each line they say goes to the terminal behind their name, and to a log file of theirs.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsconsole.embedded.processes import shorten_log

PAUSES = (0.5, 30.0)  # seconds before the first restart and before the last ones; doubles in between
STEADY = 30.0  # seconds after which a death counts as the first again
PATIENCE = 15.0  # seconds from asking a process to stop to killing it
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None)  # loaded here: between fork and exec is no place for an import


@dataclass(frozen=True)
class Program:
    """One process to keep running. The lower `stage` starts earlier and stops later."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict)
    stage: int = 0


@contextlib.contextmanager
def alone(var: Path) -> Iterator[bool]:
    """Whether we are the only console of this state folder; holds the place while the block runs."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def runs(var: Path) -> bool:
    """Whether a console of this state folder runs."""
    with alone(var) as nobody_else:
        return not nobody_else


class Supervisor:
    """Keeps programs running until SIGINT, SIGTERM or SIGHUP; a second signal kills at once."""

    def __init__(self, programs: Sequence[Program], *, logs: Path, say: Callable[[str, str], None]) -> None:
        self.programs = sorted(programs, key=lambda program: program.stage)
        self.logs = logs
        self.say = say
        self.ending = asyncio.Event()
        self._hurry = asyncio.Event()
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def run(self, *beside: Coroutine[Any, Any, None]) -> None:
        """Runs all programs, and the coroutines beside them, until told to end. Nothing of them is left then."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signalled)
        keepers = {asyncio.create_task(self._keep_running(program)) for program in self.programs}
        others = {asyncio.create_task(coroutine) for coroutine in beside}
        ended = asyncio.create_task(self.ending.wait())
        pending: set[asyncio.Task[Any]] = {ended, *keepers, *others}
        try:
            while not ended.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # what failed, of us or beside, ends everything with its error
        finally:
            self.ending.set()
            await self._stop()
            await asyncio.wait(keepers)
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    def _signalled(self) -> None:
        if self.ending.is_set():
            self._hurry.set()
        self.ending.set()

    async def _keep_running(self, program: Program) -> None:
        loop = asyncio.get_running_loop()
        pause = PAUSES[0]
        while not self.ending.is_set():
            begin = loop.time()
            status = await self._run_once(program)
            if self.ending.is_set():
                return
            if loop.time() - begin > STEADY:
                pause = PAUSES[0]
            self.say(program.name, f"{outcome(status)}; starts again in {pause:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), pause)
            pause = min(2 * pause, PAUSES[1])

    async def _run_once(self, program: Program) -> int:
        """Runs it to its end; returns its exit status, negative for a signal."""
        parent = os.getpid()

        def follow_parent() -> None:
            # When we are killed without a chance to stop it, the kernel does.
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        process = await asyncio.create_subprocess_exec(
            *program.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
            start_new_session=True,  # Ctrl-C in the terminal is for us: we end them in order
            preexec_fn=follow_parent,
        )
        self._processes[program.name] = process
        if self.ending.is_set():  # it began while the others were being stopped
            await self._end(process)
        copying = asyncio.create_task(self._copy_output(program, process))
        status = await process.wait()
        # The pipe may stay open in a grandchild that dies a moment later.
        await asyncio.wait([copying], timeout=1)
        copying.cancel()
        del self._processes[program.name]
        return status

    async def _copy_output(self, program: Program, process: asyncio.subprocess.Process) -> None:
        path = self.logs / f"{program.name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        shorten_log(path)
        assert process.stdout is not None
        with path.open("a", encoding="utf-8") as log:
            async for line in lines(process.stdout):
                log.write(f"{line}\n")
                log.flush()
                self.say(program.name, line)

    async def _stop(self) -> None:
        for stage in sorted({program.stage for program in self.programs}, reverse=True):
            names = [program.name for program in self.programs if program.stage == stage]
            running = [self._processes[name] for name in names if name in self._processes]
            await asyncio.gather(*(self._end(process) for process in running))

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        ended = asyncio.create_task(process.wait())
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait([ended, hurry], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        # Its session too: what it has forked does not outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await ended


async def lines(stream: asyncio.StreamReader, *, longest: int = 65_536) -> AsyncIterator[str]:
    """The lines of a stream as they come; a longer one comes in pieces."""
    rest = b""
    while chunk := await stream.read(longest):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
        if len(rest) >= longest:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")


def outcome(status: int) -> str:
    """How a process ended, in words."""
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
