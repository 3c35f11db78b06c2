"""The SQLite file: its tables, and one transaction for everything that a tick of the event loop writes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
create table if not exists accounts (
    iban text primary key,
    currency text not null,
    opening_milli integer not null,
    reserved_milli integer not null default 0,
    paid_milli integer not null default 0,
    received_milli integer not null default 0
) strict;
create table if not exists payments (
    seq integer primary key,
    id text not null unique,
    key text not null unique,
    end_to_end_id text not null,
    amount text not null,
    currency text not null,
    debtor_account text not null,
    debtor_name text not null,
    creditor_name text not null,
    creditor_account text not null,
    creditor_agent text not null,
    remittance text not null,
    requested_on text not null,
    milli integer not null check (milli > 0),
    status text not null
        check (status in ('accepted', 'executed', 'settled', 'returned', 'recalled')),
    reason text not null default '',
    accepted_at real not null,
    due_at real,
    return_after real,
    replays integer not null default 0
) strict;
create index if not exists payments_due on payments (due_at) where status in ('accepted', 'executed');
create table if not exists refusals (
    seq integer primary key,
    at real not null,
    key text not null,
    end_to_end_id text not null,
    code text not null
) strict;
create table if not exists faults (
    id integer primary key,
    spec text not null,
    seen integer not null default 0,
    fired integer not null default 0,
    opened_at real
) strict;
create table if not exists settings (
    name text primary key,
    value real not null
) strict;
"""


class Database:
    """A connection whose writes are committed together, tick by tick; to be used from one event loop only."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        # The commit is in the operating system's hands: it outlives this process, not a power cut.
        self.db.execute("pragma journal_mode = wal")
        self.db.execute("pragma synchronous = normal")
        self.db.executescript(SCHEMA)
        self._group: asyncio.Future[None] | None = None
        self._broken: BaseException | None = None

    def close(self) -> None:
        """Commit what is open, and close."""
        if self.db.in_transaction:
            self.db.commit()
        self.db.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """The connection in this tick's transaction; an error inside undoes the tick for all its writers."""
        if self._group is None:
            self.db.execute("begin immediate")
            loop = asyncio.get_running_loop()
            self._group = loop.create_future()
            loop.call_soon(self._commit)
        try:
            yield self.db
        except BaseException as error:
            self._broken = error
            raise

    async def written(self) -> None:
        """Returns when everything written so far is committed."""
        if self._group is not None:
            await self._group

    def _commit(self) -> None:
        group, self._group = self._group, None
        broken, self._broken = self._broken, None
        if group is None:
            return
        if broken is None:
            try:
                self.db.execute("commit")
            except sqlite3.Error as error:
                broken = error
        if broken is not None and self.db.in_transaction:
            self.db.execute("rollback")
        if group.done():  # its waiters were cancelled: the bank is closing
            return
        if broken is None:
            group.set_result(None)
        else:
            group.set_exception(RuntimeError(f"the store refused the write: {broken}"))
