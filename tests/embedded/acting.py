"""Other processes that use the embedded servers, and what is to be seen of the servers from outside."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import IO, Any, ClassVar, Self

import psycopg

from opsconsole import embedded
from opsconsole.embedded.places import Places
from opsconsole.embedded.postgres import Postgres
from opsconsole.embedded.processes import tagged

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30  # seconds for what takes an instant on a machine that has nothing else to do

# Joins, says which servers it met, waits for its standard input to close, leaves, says whether it stopped them.
USER = """
import json, sys
from pathlib import Path
from opsconsole import embedded
servers = embedded.start(Path(sys.argv[1]))
print(json.dumps(servers.postgres.instance()), flush=True)
sys.stdin.read()
print(json.dumps(servers.release()), flush=True)
"""


class User:
    """A process that uses the servers."""

    started: ClassVar[list[Self]] = []

    def __init__(self, var: Path, *, program: str = USER, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(var)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        self.started.append(self)

    def joined(self) -> str:
        """Wait until it is in; the instance of PostgreSQL that it met."""
        return self._says()

    def leave(self) -> None:
        """Let it go, without waiting for it."""
        self.process.stdin.close()

    def stopped_them(self) -> bool:
        """Wait until it is gone; whether it was the one to stop the servers."""
        answer = self._says()
        assert self.process.wait(60) == 0
        self.process.stdout.close()
        self.started.remove(self)
        return answer

    def kill(self) -> None:
        """However far it is."""
        self.started.remove(self)
        self.process.kill()
        self.process.wait(60)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()

    def _says(self) -> Any:
        line = self.process.stdout.readline()
        assert line, f"the process ended with {self.process.wait(60)}"
        return json.loads(line)


class OrdinaryUser:
    """The same by another account. Forked: that account may not enter the folder that Python lies in."""

    started: ClassVar[list[Self]] = []

    def __init__(self, var: Path, account: pwd.struct_passwd) -> None:
        ours, theirs = socket.socketpair()
        self.line = ours.makefile("rw")
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                ours.close()
                os.setgroups([])
                os.setgid(account.pw_gid)
                os.setuid(account.pw_uid)
                self._act(var, theirs.makefile("rw"))
                status = 0
            except embedded.EmbeddedError:
                traceback.print_exc()
            finally:
                os._exit(status)
        theirs.close()
        self.started.append(self)

    @staticmethod
    def _act(var: Path, line: IO[str]) -> None:
        servers = embedded.start(var)
        print(json.dumps(servers.postgres.instance()), file=line, flush=True)
        line.readline()
        print(json.dumps(servers.release()), file=line, flush=True)

    def joined(self) -> str:
        return json.loads(self.line.readline())

    def leave(self) -> None:
        print(file=self.line, flush=True)

    def stopped_them(self) -> bool:
        answer = json.loads(self.line.readline())
        assert os.waitpid(self.pid, 0)[1] == 0
        self.line.close()
        self.started.remove(self)
        return answer

    def kill(self) -> None:
        """However far it is."""
        self.started.remove(self)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.line.close()


def processes(var: Path, server: str) -> list[int]:
    """The living processes of a server of this folder."""
    places = Places(var)
    return tagged(places.tag(server), places.account.uid) if places.data(server).exists() else []


def main_process(var: Path, server: str) -> int:
    """The one process of the server that the others come from."""
    parents = {pid: _parent(pid) for pid in processes(var, server)}
    (main,) = [pid for pid, parent in parents.items() if parent and parent not in parents]
    return main


def _parent(pid: int) -> int:
    """Nothing for a process that has just ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0


def query(url: str, statement: str) -> Any:
    """The single value of a statement."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def nothing_runs(var: Path) -> bool:
    """Whether no process of the folder's servers is left, and nobody would take one for living."""
    deadline = time.monotonic() + PATIENCE
    while processes(var, "postgres") + processes(var, "redis"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    places = Places(var)
    return Postgres(places).instance() == "" and not places.postgres_socket.exists() and not _redis_answers(var)


def _redis_answers(var: Path) -> bool:
    return embedded.Servers(Places(var), -1, postgres=False, redis=True).redis.answers()
