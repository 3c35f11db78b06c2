"""pg_dump and pg_restore: where they are, whether they fit the server, and running them under our eyes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import selectors
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from psycopg.conninfo import make_conninfo

from opsconsole.backups.errors import ToolsMissing
from opsconsole.embedded.places import Binaries, EmbeddedError

LOOK_UP: Final = 0.5  # seconds between two looks at the clock while a program says nothing
LAST_WORDS: Final = 12  # lines of a program that are kept for whoever asks why it failed
PATIENCE: Final = 10  # seconds for a program that was told to end
DEBIAN: Final = Path("/usr/lib/postgresql")
PR_SET_PDEATHSIG: Final = 1

_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
_libc = ctypes.CDLL(None)  # loaded here: after a fork is no place for an import


@dataclass(frozen=True, slots=True)
class Programs:
    """The pair of one installation; `major` is its version."""

    folder: Path
    major: int

    @property
    def dump(self) -> Path:
        """pg_dump."""
        return self.folder / "pg_dump"

    @property
    def restore(self) -> Path:
        """pg_restore."""
        return self.folder / "pg_restore"


def fitting(server_major: int) -> Programs:
    """The programs closest to the server's version and not older; raises ToolsMissing, which says what there is."""
    there = [programs for folder in _folders() if (programs := _programs_in(folder))]
    fit = [programs for programs in there if programs.major >= server_major]
    if fit:
        return min(fit, key=lambda programs: programs.major)
    what = {"server": server_major, "setting": "BACKUP_PG_BIN"}
    if not there:
        said = _(
            "There is no pg_dump with its pg_restore here. Install the programs of PostgreSQL {server},"
            " or name their folder in {setting}."
        )
        raise ToolsMissing(format_lazy(said, **what))
    newest = max(programs.major for programs in there)
    said = _(
        "The server is PostgreSQL {server}, and pg_dump here is of version {newest}: an older one cannot read it."
        " Install the programs of PostgreSQL {server}, or name their folder in {setting}."
    )
    raise ToolsMissing(format_lazy(said, newest=newest, **what))


def _folders() -> Iterator[Path]:
    """Where to look: the folder that is configured and no other, else the PATH, Debian's folders, and our own."""
    if settings.BACKUP_PG_BIN:
        yield Path(settings.BACKUP_PG_BIN)
        return
    if found := shutil.which("pg_dump"):
        yield Path(found).parent
    yield from sorted(DEBIAN.glob("*/bin"))
    with contextlib.suppress(EmbeddedError):
        yield Binaries.installed().postgres("pg_dump").parent


def _programs_in(folder: Path) -> Programs | None:
    versions = []
    for name in ("pg_dump", "pg_restore"):
        try:
            told = subprocess.run(  # noqa: S603 - a program of the installation
                [folder / name, "--version"], capture_output=True, text=True, check=True, timeout=PATIENCE
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return None
        if (version := _VERSION.search(told)) is None:
            return None
        versions.append(int(version[1]))
    return Programs(folder, min(versions))


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach a database; the password goes by the environment, since everybody can read command lines."""

    conninfo: str
    password: str

    @classmethod
    def of(cls, role: dict[str, Any], dbname: str) -> Address:
        """A database as one of the roles of the settings."""
        where = {"host": role["HOST"], "port": role["PORT"], "user": role["USER"], **role["OPTIONS"]}
        given = {name: value for name, value in where.items() if value}
        return cls(make_conninfo(**given, dbname=dbname, application_name="opsconsole backup"), role["PASSWORD"])

    @property
    def with_password(self) -> str:
        """The same for psycopg."""
        return make_conninfo(self.conninfo, password=self.password or None)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program that goes there; it speaks English, as we look for its words."""
        return {**os.environ, "LC_ALL": "C"} | ({"PGPASSWORD": self.password} if self.password else {})


def run(
    command: Sequence[str | Path],
    environment: dict[str, str],
    *,
    heard: Callable[[str], None],
    tick: Callable[[], None],
) -> tuple[int, list[str]]:
    """Run a program to its end: its status and its last words.

    `heard` gets each line it says, `tick` is called at least twice a second; what either raises ends the program.
    """
    words: deque[str] = deque(maxlen=LAST_WORDS)
    with subprocess.Popen(  # noqa: S603 - a program of the installation
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        preexec_fn=_die_with_us,  # noqa: PLW1509 - it calls prctl and nothing else
    ) as process:
        try:
            for line in _lines(process, tick):
                words.append(line)
                heard(line)
            process.wait()
        finally:
            _end(process)
    return process.returncode, list(words)


def _lines(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> Iterator[str]:
    assert process.stderr is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        while True:
            tick()
            if not selector.select(LOOK_UP):
                continue
            chunk = os.read(process.stderr.fileno(), 65_536)
            if not chunk:
                break
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole if line)
    if rest:
        yield rest.decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def _die_with_us() -> None:
    """Who is killed leaves no program behind that still writes."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
