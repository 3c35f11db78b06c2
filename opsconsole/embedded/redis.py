"""The embedded Redis: one append-only file, one socket, no TCP.

Spoken to by its inline protocol: to ask for a PONG and to say goodbye needs no client.
"""

import signal
import socket
import sys
import time
from pathlib import Path

from opsconsole.embedded.places import EmbeddedError, private
from opsconsole.embedded.processes import POLL, Lifeline, log_tail, run, send, shorten_log
from opsconsole.embedded.server import Server


class Redis(Server):
    """One server."""

    name = "Redis"
    folder = "redis"
    patience = 60

    @property
    def socket(self) -> Path:
        return self.places.redis_socket

    def answers(self) -> bool:
        return self._ask("PING") == "+PONG"

    def _talks(self) -> bool:
        return self.answers()

    def _ask(self, command: str) -> str:
        """The first line of the answer; empty if there is none."""
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(3)
                line.connect(str(self.socket))
                line.sendall(f"{command}\r\n".encode())
                return line.recv(1024).decode(errors="replace").split("\r\n")[0]
        except OSError:
            return ""

    def _ask_to_stop(self) -> bool:
        """It writes its file to the disk before it goes."""
        return send(self._processes(), signal.SIGTERM)

    def _launch(self, lifeline: Lifeline) -> None:
        private(self.data, self.places.account)
        shorten_log(self.log)
        if not self._runs(lifeline):
            self._set_file_aside()
            if not self._runs(lifeline):
                raise EmbeddedError(f"Redis does not start:\n{log_tail(self.log)}")

    def _runs(self, lifeline: Lifeline) -> bool:
        """Starts it, and waits until it answers or dies."""
        self.socket.unlink(missing_ok=True)
        run(
            self.places.binaries.redis_server,
            *("--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700"),
            *("--dir", self.data, "--logfile", self.log, "--pidfile", self.data / "server.pid"),
            *("--daemonize", "yes", "--appendonly", "yes", "--save", ""),
            *("--proc-title-template", f"{{title}} {{listen-addr}} {self.tag}"),
            account=self.places.account,
            pass_fds=[lifeline.fd],
        )
        lifeline.hand_over()
        deadline = time.monotonic() + self.patience
        while not self.answers():
            if lifeline.take():
                return False
            if time.monotonic() > deadline:
                raise EmbeddedError(f"Redis is not ready after {self.patience} s:\n{log_tail(self.log)}")
            time.sleep(POLL)
        return True

    def _set_file_aside(self) -> None:
        """A file it cannot read must not keep the console down: it holds wake-up calls only."""
        file = self.data / "appendonly.aof"
        if file.exists():
            damaged = file.replace(file.with_name("appendonly.damaged"))
            sys.stderr.write(f"Redis cannot read its file, which is now {damaged}.\n")
