"""The trial restore: into a scratch database, counted there, and dropped whatever comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from psycopg import sql

from opsconsole.backups import census, programs
from opsconsole.backups.census import Census
from opsconsole.backups.dumping import SHOWN, connected, why
from opsconsole.backups.errors import RestoreDiffers, RestoreFailed, RightsMissing
from opsconsole.backups.programs import Address

JOBS: Final = 2
PREFIX: Final = "opsconsole_backup_check_"

# A pg_dump newer than the server sets what the server does not know yet; everything else must be understood.
_UNKNOWN_SETTING: Final = re.compile(r"unrecognized configuration parameter")


def scratch_name(backup_id: UUID) -> str:
    """The database for the trial restore of a backup."""
    return f"{PREFIX}{backup_id.hex}"


def may_make_scratch() -> None:
    """Raise RightsMissing where the role cannot make the scratch database: asked before anything is written."""
    with connected(_maintenance()) as connection:
        row = connection.execute("select rolcreatedb or rolsuper from pg_roles where rolname = current_user").fetchone()
        if row is None or not row[0]:
            said = _(
                "The role {role} may not make the scratch database for the trial restore: ALTER ROLE {role} CREATEDB,"
                " or name a role that may in BACKUP_SCRATCH_URL."
            )
            raise RightsMissing(format_lazy(said, role=connection.info.user))


def make_scratch(name: str) -> None:
    """Make an empty database of this name, which nobody but its owner enters; one that is there already goes."""
    drop_scratch(name)
    named = sql.Identifier(name)
    with connected(_maintenance()) as connection:
        connection.execute(sql.SQL("create database {} encoding 'UTF8' template template0").format(named))
        connection.execute(sql.SQL("revoke all on database {} from public").format(named))


_END_SESSIONS: Final = """select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = %s and backend_type = 'client backend' and pg_has_role(usesysid, 'member')"""


def drop_scratch(name: str) -> None:
    """Have no database of this name, whoever is connected to it.

    Not by force: that may not end an autovacuum, which is nobody's session, and the plain form sends it away.
    """
    if not name.startswith(PREFIX):
        raise ValueError(f"{name} is no scratch database")
    with connected(_maintenance()) as connection:
        connection.execute(_END_SESSIONS, [name])
        connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(name)))


def check(
    file: Path, name: str, wanted: Census, *, follow: Callable[[int, int], None], tick: Callable[[], None]
) -> None:
    """Restore the file into the empty scratch database and compare; raises RestoreFailed or RestoreDiffers."""
    address = Address.of(settings.BACKUP_SCRATCH, name)
    with connected(address) as connection:
        major = connection.info.server_version // 10_000
    found = programs.fitting(major)
    _restore(found, address, file, len(wanted.counts), newer=found.major > major, follow=follow, tick=tick)
    with connected(address) as connection:
        connection.execute("set statement_timeout = 0")
        differing = census.differences(wanted, census.take(connection, tick=tick))
    if differing:
        shown = "; ".join(differing[:SHOWN]) + (" ..." if len(differing) > SHOWN else "")
        said = _("What was restored is not what was dumped: {what}.")
        raise RestoreDiffers(format_lazy(said, what=shown), differences=differing)


def _restore(
    found: programs.Programs,
    address: Address,
    file: Path,
    tables: int,
    *,
    newer: bool,
    follow: Callable[[int, int], None],
    tick: Callable[[], None],
) -> None:
    done, wrong = 0, []

    def heard(line: str) -> None:
        nonlocal done
        if "finished item" in line and " TABLE DATA " in line:
            done += 1
            follow(done, tables)
        if "error:" in line and not (newer and _UNKNOWN_SETTING.search(line)):
            wrong.append(line)

    options = [f"--jobs={JOBS}", "--no-owner", "--no-privileges", "--verbose", "--no-password"]
    if not newer:
        options.append("--exit-on-error")
    status, words = programs.run(
        [found.restore, *options, f"--dbname={address.conninfo}", file],
        {**address.environment, "PGOPTIONS": "-c synchronous_commit=off"},  # nothing in there has to survive a crash
        heard=heard,
        tick=tick,
    )
    if wrong or status not in ((0, 1) if newer else (0,)):
        said = _("pg_restore ended with status {status}: {words}")
        raise RestoreFailed(format_lazy(said, status=status, words=why(wrong[:SHOWN] or words)))


def _maintenance() -> Address:
    """The database from which others are made: one is always connected to some."""
    return Address.of(settings.BACKUP_SCRATCH, settings.BACKUP_SCRATCH["NAME"])
