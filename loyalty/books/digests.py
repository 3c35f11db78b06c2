"""The ledger is tamper-evident: digests of stretches of it are in the journal, and it must still have them.

A stretch begins after the last id of the one before it, so the stretches cover the ledger without a gap. Ids are made
as rows are written, and a stretch is closed only when nobody can still be writing one into it. Everything of a row is
in the digest but the address, which is taken out when a member is erased.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final, Self
from uuid import UUID

from django.db import connection

from loyalty.models import Transaction
from opsconsole.journal.models import Entry
from opsconsole.journal.record import Subject

DIGESTED: Final = "ledger.digested"
LEDGER: Final = Subject(Transaction._meta.db_table, "ledger")
START: Final = UUID(int=0)
STRETCH: Final = 50_000  # rows
MARGIN: Final = timedelta(hours=1)  # an id is never so much older than the statement that writes its row
PATIENCE: Final = timedelta(seconds=10)

# As text that no setting of a session changes: a time is a number of microseconds.
_DIGEST: Final = """
    select count(*), coalesce(sum(amount), 0)::bigint, max(id::text collate "C")::uuid,
      encode(sha256(coalesce(string_agg(sha256(convert_to(body, 'UTF8')), ''::bytea order by id), ''::bytea)), 'hex')
    from (
      select t.id, t.amount, row(t.id, t.balance_id, t.event_type, t.amount, t.origin_txn_id, t.idempotency_key,
        t.purchase, t.campaign_id, t.reverses_id, t.reason,
        (extract(epoch from t.created_at) * 1000000)::bigint)::text || coalesce(' ' || t.actor, '') as body
      from loyalty_transactions t where t.id > %(after)s and {upto} order by t.id limit %(most)s
    ) stretch
"""
_CLOSING: Final = _DIGEST.format(upto="t.id < loyalty_id_at(clock_timestamp() - make_interval(secs => %(margin)s))")
_CLOSED: Final = _DIGEST.format(upto="t.id <= %(to)s")


@dataclass(frozen=True, slots=True)
class Stretch:
    """The rows after one id up to another: how many, what they add up to, and the hash of them all."""

    after: UUID
    to: UUID
    rows: int
    sum: int
    sha256: str

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """The stretch that an entry of the journal tells of."""
        told = entry.content["after"]
        return cls(UUID(told["after"]), UUID(told["to"]), told["rows"], told["sum"], told["sha256"])

    def facts(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Broken:
    """A stretch that the ledger no longer has as the journal tells it."""

    told: Stretch
    found: Stretch | None

    def __str__(self) -> str:
        where = f"after {self.told.after} up to {self.told.to}"
        if self.found is None:
            return f"{where}: a stretch before it is missing in the journal"
        return (
            f"{where}: {self.told.rows:,} rows of {self.told.sum:+,d} points were digested;"
            f" there are {self.found.rows:,} of {self.found.sum:+,d} points"
            + ("" if (self.told.rows, self.told.sum) != (self.found.rows, self.found.sum) else " and other content")
        )


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of a verification: stretches and rows looked at, those that are broken, and rows not digested yet."""

    stretches: int
    rows: int
    broken: tuple[Broken, ...]
    beyond: int

    @property
    def sound(self) -> bool:
        """The ledger is as it was digested."""
        return not self.broken

    def facts(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return {
            "stretches": self.stretches,
            "rows": self.rows,
            "beyond": self.beyond,
            "broken": [str(broken) for broken in self.broken[:20]],
        }


def stretches() -> Iterator[Stretch]:
    """Every stretch that the journal tells of, in order."""
    entries = Entry.objects.filter(verb=DIGESTED, subject_kind=LEDGER.kind, subject_id=LEDGER.id)
    for entry in entries.order_by("seq").iterator():
        yield Stretch.of(entry)


def last_stretch() -> Stretch | None:
    """The newest of them."""
    entries = Entry.objects.filter(verb=DIGESTED, subject_kind=LEDGER.kind, subject_id=LEDGER.id)
    newest = entries.order_by("-seq").first()
    return None if newest is None else Stretch.of(newest)


def is_settled() -> bool:
    """Whether everybody who was writing the ledger at this moment is done by now; waits for PATIENCE at most."""
    waiting = _writers()
    until = time.monotonic() + PATIENCE.total_seconds()
    while waiting and time.monotonic() < until:
        time.sleep(0.05)
        waiting &= _writers()
    return not waiting


def closing(after: UUID) -> Stretch | None:
    """The next stretch after an id, of rows so old that no more can come among them; None where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(_CLOSING, {"after": after, "margin": MARGIN.total_seconds(), "most": STRETCH})
        rows, points, to, sha256 = cursor.fetchone()
    return Stretch(after, to, rows, points, sha256) if rows else None


def verify(progress: Callable[[int], None] = lambda _rows: None) -> Verified:
    """Work every digest of the journal out anew, and hold it against what the journal tells."""
    broken: list[Broken] = []
    count = rows = 0
    before = START
    for told in stretches():
        if told.after != before:
            broken.append(Broken(told, None))
        found = _as_it_is(told)
        if found != told:
            broken.append(Broken(told, found))
        count += 1
        rows += found.rows
        before = told.to
        progress(rows)
    return Verified(count, rows, tuple(broken), Transaction.objects.filter(pk__gt=before).count())


def _as_it_is(told: Stretch) -> Stretch:
    with connection.cursor() as cursor:
        cursor.execute(_CLOSED, {"after": told.after, "to": told.to, "most": None})
        rows, points, _to, sha256 = cursor.fetchone()
    return Stretch(told.after, told.to, rows, points, sha256)


def _writers() -> set[str]:
    """The transactions that hold the lock which every write of the ledger takes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select virtualtransaction from pg_locks where locktype = 'relation' and mode = 'RowExclusiveLock'"
            " and database = (select oid from pg_database where datname = current_database())"
            " and relation = 'loyalty_transactions'::regclass and pid is distinct from pg_backend_pid()"
        )
        return {row[0] for row in cursor.fetchall()}
