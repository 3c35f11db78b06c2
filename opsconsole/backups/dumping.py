"""Writing the dump: everything in one snapshot, and a census of that very snapshot."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db import connections
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from psycopg import Connection

from opsconsole.backups import census, programs
from opsconsole.backups.census import Census
from opsconsole.backups.errors import DumpFailed, PlaceRefused, RightsMissing
from opsconsole.backups.programs import Address, Programs

LOCK_PATIENCE: Final = "60s"  # for whoever changes tables while a backup begins
SHOWN: Final = 5
PARTIAL: Final = ".partial"
UNVERIFIED: Final = ".unverified"

# What the role may not read, or would read in part only. Whoever owns a table reads all of it.
_CLOSED: Final = """
    select format('%I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'S', 'm') and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
      and (not has_schema_privilege(n.oid, 'usage')
        or not case when c.relkind = 'S' then has_sequence_privilege(c.oid, 'select')
                    else has_table_privilege(c.oid, 'select') end
        or row_security_active(c.oid))
    order by 1
"""


@dataclass(frozen=True, slots=True)
class Dump:
    """A file that is written, and what must come out of it."""

    size: int
    sha256: str
    server_version: str
    census: Census


@contextmanager
def connected(address: Address) -> Iterator[Connection[Any]]:
    """A connection past Django's: another role, or another database."""
    with psycopg.connect(address.with_password, autocommit=True) as connection:
        yield connection


def source() -> Address:
    """The console's database, as the role that can read all of it."""
    return Address.of(settings.BACKUP_DATABASE, connections["default"].settings_dict["NAME"])


def prepare(folder: Path) -> None:
    """Have a folder for backups that nobody else reads; raises PlaceRefused."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise refused(folder, error) from error


def refused(place: Path, error: OSError) -> PlaceRefused:
    """That nothing can be written there, and why."""
    said = _("Backups cannot be written to {place}: {why}.")
    return PlaceRefused(format_lazy(said, place=str(place), why=error.strerror or str(error)))


def write(file: Path, *, follow: Callable[[int, int], None], tick: Callable[[], None]) -> Dump:
    """Dump the console's database into the file, which is there and empty; raises what stands in the way.

    `follow` is told how many tables are written, and of how many.
    """
    address = source()
    with connected(address) as connection:
        connection.execute("set statement_timeout = 0")
        connection.execute("set idle_in_transaction_session_timeout = 0")
        version = connection.info.server_version
        found = programs.fitting(version // 10_000)
        _may_read_all(connection)
        # Held until pg_dump has ended: it reads what this transaction sees, and so do the counts.
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            row = connection.execute("select pg_export_snapshot()").fetchone()
            assert row is not None
            counted = census.take(connection, tick=tick)
            _dump(found, address, str(row[0]), file, len(counted.counts), follow=follow, tick=tick)
    try:
        size, sha256 = _sealed(file, tick)
    except OSError as error:
        raise refused(file, error) from error
    return Dump(size, sha256, f"{version // 10_000}.{version % 10_000}", counted)


def _may_read_all(connection: Connection[Any]) -> None:
    closed = [name for (name,) in connection.execute(_CLOSED)]
    if closed:
        shown = ", ".join(closed[:SHOWN]) + (" ..." if len(closed) > SHOWN else "")
        said = _(
            "The role {role} cannot read everything: {what}. Grant it that, or name a role that can in"
            " BACKUP_DATABASE_URL."
        )
        raise RightsMissing(format_lazy(said, role=connection.info.user, what=shown), closed=closed)


def _dump(
    found: Programs,
    address: Address,
    snapshot: str,
    file: Path,
    tables: int,
    *,
    follow: Callable[[int, int], None],
    tick: Callable[[], None],
) -> None:
    done = 0

    def heard(line: str) -> None:
        nonlocal done
        if "dumping contents of table" in line:
            done += 1
            follow(done, tables)

    # As the runbook has it: custom format, large objects, and every word; in the snapshot that is counted.
    options = ["--format=custom", "--large-objects" if found.major >= 16 else "--blobs", "--verbose", "--no-password"]  # noqa: PLR2004 - since 16 it is called that
    options += [f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_PATIENCE}", f"--file={file}"]
    status, words = programs.run(
        [found.dump, *options, f"--dbname={address.conninfo}"], address.environment, heard=heard, tick=tick
    )
    if status:
        said = _("pg_dump ended with status {status}: {words}")
        raise DumpFailed(format_lazy(said, status=status, words=why(words)))


def why(words: list[str]) -> str:
    """What a program said went wrong, else the last it said at all."""
    wrong = [line for line in words if "error:" in line or "ERROR:" in line or "fatal:" in line]
    return "; ".join((wrong or words[-2:])[-3:]) or "it said nothing"


def _sealed(file: Path, tick: Callable[[], None]) -> tuple[int, str]:
    """Size and SHA-256 of what lies on the disk for certain."""
    running, size = hashlib.sha256(), 0
    with file.open("rb") as content:
        os.fsync(content.fileno())
        while chunk := content.read(4 * 1024 * 1024):
            tick()
            running.update(chunk)
            size += len(chunk)
    return size, running.hexdigest()
