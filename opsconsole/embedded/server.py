"""What PostgreSQL and Redis have in common: a data folder, a socket, a lifeline, a way to end them."""

import signal
import socket
import time
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

from opsconsole.embedded.places import EmbeddedError, Places
from opsconsole.embedded.processes import Lifeline, send, tagged

LAUNCHING = 1  # seconds from the launch of a server to its socket
STOPPING = 60  # seconds an orderly stop may take, PostgreSQL's checkpoint included
ENDING = 5


class Server(ABC):
    """One server of one `var`. `start` and `stop` are for the holder of the locks in keeping.py."""

    name: str
    folder: str
    patience: int  # seconds it may take from its socket to its first answer: recovery, loading

    def __init__(self, places: Places) -> None:
        self.places = places

    @property
    @abstractmethod
    def socket(self) -> Path: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether it is ready for the application."""

    @abstractmethod
    def _launch(self, lifeline: Lifeline) -> None:
        """Starts it, knowing that no process of it lives, and returns when it answers."""

    @abstractmethod
    def _ask_to_stop(self) -> bool:
        """Begins an orderly stop; False if nobody is left to ask."""

    @abstractmethod
    def _talks(self) -> bool:
        """Whether it serves us, if not yet the application."""

    @cached_property
    def tag(self) -> str:
        """What all its processes show in their titles; asked early, it is known even if the folder goes."""
        return self.places.tag(self.folder)

    @property
    def data(self) -> Path:
        return self.places.data(self.folder)

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    def alive(self) -> bool:
        """Whether any process of it runs, told without talking to it."""
        with self._lifeline() as lifeline:
            return not lifeline.take()

    def ready(self) -> bool:
        """Whether the application can use it. One that answers without a lifeline is of a folder since removed."""
        return self.alive() and self.answers()

    def start(self) -> None:
        """Makes it answer, whatever state a crash, a reboot or a killed starter left behind."""
        with self._lifeline() as lifeline:
            if not lifeline.take(seconds=0.1):  # others hold it for an instant to see whether it lives
                if self._comes_up():
                    return
                self._end(lifeline)
            self._launch(lifeline)

    def stop(self) -> bool:
        """Ends it in good order, and returns when its last process is gone; False if none was there."""
        if not self.places.var.exists():  # somebody removed it all: nothing is left to keep
            return send(self._processes(), signal.SIGKILL)
        with self._lifeline() as lifeline:
            if lifeline.take():
                return False
            if not (self._ask_to_stop() and lifeline.take(seconds=STOPPING)):
                self._end(lifeline)
            return True

    def _lifeline(self) -> Lifeline:
        return Lifeline(self.places.var / f"{self.folder}.alive")

    def _processes(self) -> list[int]:
        try:
            return tagged(self.tag, self.places.account.uid)
        except FileNotFoundError:  # no folder, so it never ran
            return []

    def _comes_up(self) -> bool:
        """Waits for one that lives but is not ready: launched, loading, slow. False: out of reach."""
        begin = time.monotonic()
        while time.monotonic() < begin + self.patience:
            if self._listens():
                if self._talks():
                    return True
            elif time.monotonic() > begin + LAUNCHING:
                return False
            time.sleep(0.05)
        return False

    def _listens(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(ENDING)
                line.connect(str(self.socket))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:  # a full backlog: somebody listens, but is busy
            return True
        return True

    def _end(self, lifeline: Lifeline) -> None:
        """Ends processes that a killed server left, or a server that nobody can reach any more."""
        if self._ask_to_stop() and lifeline.take(seconds=ENDING):
            return
        for number in (signal.SIGQUIT, signal.SIGKILL):
            send(self._processes(), number)
            if lifeline.take(seconds=ENDING):
                return
        raise EmbeddedError(f"an old {self.name} of {self.data} does not end; see {self.log}")
