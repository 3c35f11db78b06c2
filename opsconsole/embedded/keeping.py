"""Who keeps the servers up: everybody who uses them, until the last one leaves.

Two locks, always taken in this order, so nobody waits in a circle:

    embedded.users   shared by every process that uses the servers; exclusive for the one that stops them
    embedded.lock    exclusive for the one that starts them

A joiner waits for a stopper and then starts the servers anew. A stopper never meets a starter, who is a user
already. A killed process loses its locks without stopping anything: the servers stay up for the next one, who
joins them. It loses them a moment after its children learn of its death, for all its threads must have ended: who
leaves in that moment is not fooled by it.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from opsconsole.embedded.places import EmbeddedError, Places, Urls, owner_name, urls, var_folder
from opsconsole.embedded.postgres import Postgres
from opsconsole.embedded.processes import POLL, has_ended
from opsconsole.embedded.redis import Redis
from opsconsole.embedded.server import Server

DYING = 10  # seconds that a killed process may take until its last thread is gone


class Servers:
    """A share in the running servers; `release` gives it back."""

    def __init__(self, places: Places, users: int, *, postgres: bool, redis: bool) -> None:
        self._places = places
        self._users = users
        self._pid = os.getpid()
        self.postgres = Postgres(places)
        self.redis = Redis(places)
        self._wanted: list[Server] = []
        if postgres:
            self._wanted.append(self.postgres)
        if redis:
            self._wanted.append(self.redis)

    @property
    def urls(self) -> Urls:
        return urls(self._places.var)

    def remember(self) -> None:
        """Learns the servers' tags while their folders are there, to end them even if these are removed."""
        for server in self._wanted:
            _ = server.tag

    def ensure(self) -> list[str]:
        """Starts what does not answer; returns the names of what it started."""
        if all(server.ready() for server in self._wanted):
            return []
        with _starting(self._places.var):
            self._places.prepare()
            started = []
            for server in self._wanted:
                if not server.ready():
                    server.start()
                    started.append(server.name)
            return started

    def revive(self) -> list[str]:
        """Starts again what has died; cheap enough to call every second."""
        with _starting(self._places.var):
            if all(server.alive() for server in self._wanted):
                return []
        return self.ensure()

    def release(self) -> bool:
        """Leaves; the last to leave stops the servers, unless somebody asked to keep them. True if it did.

        A forked child that inherited the share leaves it to its parent.
        """
        if self._users < 0 or os.getpid() != self._pid:
            return False
        users, self._users = self._users, -1
        try:
            # Once we have the lock, joiners wait until we are done.
            if not _take_over(users) or _kept(self._places.var) == self.postgres.instance() != "":
                return False
            return any([self.redis.stop(), self.postgres.stop()])
        finally:
            os.close(users)


def start(var: Path, *, postgres: bool = True, redis: bool = True) -> Servers:
    """Starts or joins the servers of `var`; EmbeddedError says why they cannot run."""
    places = Places(var)
    _make_var(places.var)
    users = _open(places.var / "embedded.users")
    fcntl.flock(users, fcntl.LOCK_SH)
    servers = Servers(places, users, postgres=postgres, redis=redis)
    try:
        servers.ensure()
        servers.remember()
    except BaseException:
        servers.release()
        raise
    return servers


def start_missing() -> Servers | None:
    """Starts or joins those servers that the environment does not name; None if it names both, or in production."""
    named = os.environ.keys() & {"DATABASE_URL", "REDIS_URL"}
    local = os.environ.get("OPS_ENV", "production" if "DATABASE_URL" in named else "local") != "production"
    if len(named) == 2 or not local:  # noqa: PLR2004  both
        return None
    return start(var_folder(), postgres="DATABASE_URL" not in named, redis="REDIS_URL" not in named)


def keep(var: Path) -> None:
    """Lets the servers outlive their last user, for a psql, which takes no locks; `unkeep` takes it back."""
    places = Places(var)
    (places.var / "embedded.kept").write_text(Postgres(places).instance())


def unkeep(var: Path) -> None:
    """Takes `keep` back: the last user stops the servers again."""
    (var / "embedded.kept").unlink(missing_ok=True)


def _take_over(users: int) -> bool:
    """Takes the users' lock for us alone; False while anybody else is in who is not just dying."""
    deadline = time.monotonic() + DYING
    while True:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline or not all(has_ended(pid) for pid in _holders(users)):
                return False
            time.sleep(POLL)
        else:
            return True


def _holders(lock: int) -> list[int]:
    """The processes that have taken the lock; one that is gone already is not among them, even if its lock still is."""
    inode = f":{os.fstat(lock).st_ino}"
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [int(pid) for _, kind, _, _, pid, file, *_ in lines if kind == "FLOCK" and file.endswith(inode)]


def _kept(var: Path) -> str:
    try:
        return (var / "embedded.kept").read_text()
    except OSError:
        return ""


def _make_var(var: Path) -> None:
    """Ours alone; when we are root, the account that runs the servers must pass through."""
    try:
        var.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
    except OSError as failure:
        raise EmbeddedError(f"cannot make the state folder {var}: {failure.strerror}") from failure
    if os.geteuid() == 0:
        var.chmod(var.stat().st_mode | 0o111)


def _open(path: Path) -> int:
    """Opens a lock file, for reading only: root and the owner of the checkout share it."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    except FileNotFoundError as failure:
        raise EmbeddedError(f"the state folder {path.parent} is gone") from failure
    except OSError as failure:
        owner = owner_name(path.parent.stat().st_uid)
        raise EmbeddedError(
            f"cannot use the state folder {path.parent}, which belongs to {owner}: "
            "run as that account or as root, or set OPS_VAR to a folder of your own"
        ) from failure


@contextlib.contextmanager
def _starting(var: Path) -> Iterator[None]:
    lock = _open(var / "embedded.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
