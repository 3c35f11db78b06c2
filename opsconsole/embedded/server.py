"""What PostgreSQL and Redis have in common: a data folder, a socket, a lifeline, a way to end them."""

import signal
import socket
import time
from abc import ABC, abstractmethod
from pathlib import Path

from opsconsole.embedded.places import EmbeddedError, Places
from opsconsole.embedded.processes import Lifeline, send, tagged

LAUNCHING = 2  # seconds from the launch of a server to its socket
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
    def _ask_to_stop(self) -> None:
        """Begins an orderly stop."""

    @abstractmethod
    def _talks(self) -> bool:
        """Whether it serves us, if not yet the application."""

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

    def start(self) -> None:
        """Makes it answer, whatever state a crash, a reboot or a killed starter left behind."""
        with self._lifeline() as lifeline:
            if not lifeline.take():
                if self._comes_up():
                    return
                self._end(lifeline)
            self._launch(lifeline)

    def stop(self) -> None:
        """Ends it in good order, and returns when its last process is gone."""
        with self._lifeline() as lifeline:
            if lifeline.take():
                return
            self._ask_to_stop()
            if not lifeline.take(seconds=STOPPING):
                self._end(lifeline)

    def _lifeline(self) -> Lifeline:
        return Lifeline(self.places.var / f"{self.folder}.alive")

    def _processes(self) -> list[int]:
        return tagged(self.places.tag(self.folder), self.places.account.uid)

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
        self._ask_to_stop()
        for number, seconds in ((None, ENDING), (signal.SIGQUIT, ENDING), (signal.SIGKILL, ENDING)):
            if number:
                send(self._processes(), number)
            if lifeline.take(seconds=seconds):
                return
        raise EmbeddedError(f"an old {self.name} of {self.data} does not end; see {self.log}")
