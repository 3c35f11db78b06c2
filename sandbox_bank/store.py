"""What the bank did: accounts and payments in one SQLite file that survives `kill -9` of the bank.

Everything that one tick of the event loop writes is committed as one transaction, and an answer leaves only
after its commit (`await store.written()`). The file may be read by others at any time; docs/sandbox-bank.md
describes its tables.
"""

from __future__ import annotations

import fcntl
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from sandbox_bank.database import Database
from sandbox_bank.orders import FIELDS, Order, shown
from sandbox_bank.problems import BankProblem

# How many payments move on in one tick, so that a large batch does not hold up answers.
ADVANCE_AT_MOST = 2_000

_ORDER_COLUMNS = ", ".join(FIELDS)
_FIND_KEY = f"select id, {_ORDER_COLUMNS} from payments where key = ?"  # noqa: S608 - columns of our own
_FIND_ACCOUNT = """
    select currency, opening_milli + received_milli - paid_milli - reserved_milli from accounts where iban = ?
"""
_INSERT = f"""
    insert into payments ({_ORDER_COLUMNS}, milli, id, key, status, accepted_at, due_at, return_after)
    values ({", ".join("?" * len(FIELDS))}, ?, ?, ?, 'accepted', ?, ?, ?)
"""  # noqa: S608 - columns of our own
# In the words of the partial index, or SQLite does not see that it may use it.
_DUE = "status in ('accepted', 'executed') and due_at <= :now"
_RESERVE = "update accounts set reserved_milli = reserved_milli + ? where iban = ?"


FaultRow = tuple[int, str, int, int, float | None]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The bank's answer to an order; `replayed` when its key had been accepted before."""

    payment_id: str
    replayed: bool


class StoreInUse(Exception):
    """Another bank process works on this store."""


class Store:
    """The bank's books; to be used from one event loop only."""

    def __init__(self, folder: Path, *, execute_after: float, settle_after: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "bank.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreInUse(f"{folder} is in use by another sandbox bank.") from error
        self._data = Database(folder / "bank.sqlite3")
        self._db = self._data.db
        self._defaults = {"execute_after": execute_after, "settle_after": settle_after}
        self.resets = 0
        self.settings = dict(self._defaults)
        self.settings.update(self._db.execute("select name, value from settings"))

    def close(self) -> None:
        """Give the file back."""
        self._data.close()
        self._lock.close()

    async def written(self) -> None:
        """Returns when everything written so far is committed."""
        await self._data.written()

    # Payments

    def accept(self, order: Order, *, key: str, now: float) -> Acceptance:
        """Take the order, once per key; raises a 422 problem for a reused key or an order it cannot pay."""
        found = self._db.execute(_FIND_KEY, (key,)).fetchone()
        if found is not None:
            return self._replay(found, order, key)
        account = self._db.execute(_FIND_ACCOUNT, (order.debtor_account,)).fetchone()
        if account is None:
            raise BankProblem(422, "unknown_account", f"This bank keeps no account {order.debtor_account}.")
        if account[0] != order.currency:
            raise BankProblem(422, "wrong_currency", f"{order.debtor_account} is kept in {account[0]}.")
        milli = order.milli
        if account[1] < milli:
            raise BankProblem(422, "insufficient_funds", f"{order.debtor_account} has {shown(account[1])} left.")
        payment_id = f"pay_{secrets.token_hex(10)}"
        due_at = now + self.settings["execute_after"]
        with self._data.change() as db:
            db.execute(_RESERVE, (milli, order.debtor_account))
            db.execute(_INSERT, (*astuple(order), milli, payment_id, key, now, due_at, None))
        return Acceptance(payment_id, replayed=False)

    def _replay(self, found: tuple[Any, ...], order: Order, key: str) -> Acceptance:
        if found[1:] != astuple(order):
            # Not vouched as unprocessed: a payment under this key exists, and it is another one.
            raise BankProblem(422, "key_reused", "This key was used for another order.", processed=None)
        with self._data.change() as db:
            db.execute("update payments set replays = replays + 1 where key = ?", (key,))
        return Acceptance(found[0], replayed=True)

    def mark_return(self, payment_id: str, *, seconds: float) -> None:
        """Let this payment come back `seconds` after its execution."""
        with self._data.change() as db:
            db.execute("update payments set return_after = ? where id = ?", (seconds, payment_id))

    def refuse(self, *, key: str, end_to_end_id: str, code: str, now: float) -> None:
        """Remember that an order was refused; its key stays free."""
        with self._data.change() as db:
            db.execute(
                "insert into refusals (at, key, end_to_end_id, code) values (?, ?, ?, ?)",
                (now, key, end_to_end_id, code),
            )

    def has_key(self, key: str) -> bool:
        """Whether an order was accepted under this key."""
        return self._db.execute("select 1 from payments where key = ?", (key,)).fetchone() is not None

    def find(self, *, payment_id: str | None = None, key: str | None = None) -> dict[str, Any] | None:
        """The payment as the API shows it, by id or by key."""
        column, value = ("id", payment_id) if key is None else ("key", key)
        rows = self._rows(f"where {column} = ?", (value,))
        return rows[0] if rows else None

    def recall(self, payment_id: str) -> dict[str, Any]:
        """Take an accepted payment back; a second recall answers like the first; raises 404, 409."""
        payment = self.find(payment_id=payment_id)
        if payment is None:
            raise BankProblem(404, "unknown_payment", f"This bank knows no payment {payment_id}.")
        if payment["status"] == "recalled":
            return payment
        if payment["status"] != "accepted":
            raise BankProblem(409, payment["status"], f"The payment is {payment['status']}.")
        with self._data.change() as db:
            db.execute("update payments set status = 'recalled', due_at = null where id = ?", (payment_id,))
            db.execute(
                """
                update accounts
                set reserved_milli = reserved_milli - (select milli from payments where id = ?)
                where iban = ?
                """,
                (payment_id, payment["debtor_account"]),
            )
        return payment | {"status": "recalled"}

    def page(self, *, filters: dict[str, str], after: int, limit: int) -> dict[str, Any]:
        """Payments that match, oldest first, with the count and the sums of all that match."""
        where = " and ".join(["true", *(f"{name} = ?" for name in filters)])
        values = tuple(filters.values())
        totals = self._db.execute(
            f"select currency, count(*), sum(milli) from payments where {where} group by currency",  # noqa: S608 - names checked by the caller
            values,
        ).fetchall()
        rows = self._rows(f"where {where} and seq > ? order by seq limit ?", (*values, after, limit + 1))
        more = len(rows) > limit
        return {
            "count": sum(count for _, count, _ in totals),
            "sum": {currency: shown(milli) for currency, _, milli in totals},
            "payments": rows[:limit],
            "next": rows[limit - 1]["seq"] if more else None,
        }

    def _rows(self, tail: str, values: Iterable[Any]) -> list[dict[str, Any]]:
        query = f"select seq, id, key, {_ORDER_COLUMNS}, status, reason, replays from payments {tail}"  # noqa: S608 - clauses of our own
        cursor = self._db.execute(query, tuple(values))
        names = ["seq", "payment_id", "key", *FIELDS, "status", "reason", "replays"]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    # Time passes

    def advance(self, *, now: float) -> None:
        """Execute, settle and return what is due."""
        found = self._db.execute(f"select 1 from payments where {_DUE} limit 1", {"now": now}).fetchone()  # noqa: S608 - constant
        if found:
            self.settle(now=now, only_due=True)
            self.execute(now=now, only_due=True)

    def execute(self, *, now: float, only_due: bool = False) -> int:
        """Execute accepted payments, all or those due; returns how many."""
        moved = self._move(
            "status = 'accepted'",
            "status = 'executed', due_at = :now + coalesce(return_after, :settle_after)",
            {"now": now, "settle_after": self.settings["settle_after"]},
            only_due=only_due,
        )
        self._book(moved, reserved=-1, paid=1, received=1)
        return len(moved)

    def settle(self, *, now: float, only_due: bool = False) -> int:
        """Settle executed payments, or return those marked for it, all or those due; returns how many."""
        settled = self._move(
            "status = 'executed' and return_after is null",
            "status = 'settled', due_at = null",
            {"now": now},
            only_due=only_due,
        )
        returned = self._move(
            "status = 'executed' and return_after is not null",
            "status = 'returned', due_at = null, reason = 'the account of the beneficiary is closed'",
            {"now": now},
            only_due=only_due,
        )
        self._book(returned, reserved=0, paid=-1, received=-1)
        return len(settled) + len(returned)

    def _move(
        self, where: str, change: str, values: dict[str, float], *, only_due: bool
    ) -> list[tuple[str, str, str, int]]:
        which = f"{where} and {_DUE} order by due_at limit {ADVANCE_AT_MOST}" if only_due else where
        with self._data.change() as db:
            return db.execute(
                f"""
                update payments set {change} where seq in (select seq from payments where {which})
                returning debtor_account, creditor_account, currency, milli
                """,  # noqa: S608 - clauses of our own
                values,
            ).fetchall()

    def _book(self, moved: list[tuple[str, str, str, int]], *, reserved: int, paid: int, received: int) -> None:
        debits: Counter[str] = Counter()
        credits: Counter[tuple[str, str]] = Counter()
        for debtor, creditor, currency, milli in moved:
            debits[debtor] += milli
            credits[creditor, currency] += milli
        with self._data.change() as db:
            db.executemany(
                """
                update accounts set reserved_milli = reserved_milli + ?, paid_milli = paid_milli + ?
                where iban = ?
                """,
                [(reserved * milli, paid * milli, iban) for iban, milli in debits.items()],
            )
            # A beneficiary that banks here too is credited; money to anywhere else leaves the bank.
            db.executemany(
                "update accounts set received_milli = received_milli + ? where iban = ? and currency = ?",
                [(received * milli, iban, currency) for (iban, currency), milli in credits.items()],
            )

    # Accounts, settings, totals

    def open_account(self, iban: str, currency: str, opening_milli: int) -> None:
        """Open the account, or set its opening balance; what was paid since stays paid."""
        with self._data.change() as db:
            db.execute(
                """
                insert into accounts (iban, currency, opening_milli) values (?, ?, ?)
                on conflict (iban) do update
                set opening_milli = excluded.opening_milli, currency = excluded.currency
                """,
                (iban, currency, opening_milli),
            )

    def balance(self, iban: str) -> dict[str, str] | None:
        """Booked balance and what accepted payments leave available; None for no account of this bank."""
        row = self._db.execute(
            """
            select currency, opening_milli + received_milli - paid_milli, reserved_milli
            from accounts where iban = ?
            """,
            (iban,),
        ).fetchone()
        if row is None:
            return None
        currency, booked, reserved = row
        return {
            "iban": iban,
            "currency": currency,
            "booked": shown(booked),
            "available": shown(booked - reserved),
        }

    def set_times(self, times: dict[str, float]) -> None:
        """Change `execute_after` or `settle_after` (seconds) for what is accepted or executed from now on."""
        self.settings.update(times)
        with self._data.change() as db:
            db.executemany(
                """
                insert into settings (name, value) values (?, ?)
                on conflict (name) do update set value = excluded.value
                """,
                list(times.items()),
            )

    def stats(self) -> dict[str, Any]:
        """Counts and sums of what this bank holds."""
        by_status = dict(self._db.execute("select status, count(*) from payments group by status"))
        sums = self._db.execute("select currency, sum(milli) from payments group by currency").fetchall()
        return {
            "payments": sum(by_status.values()),
            "sum": {currency: shown(milli) for currency, milli in sums},
            "by_status": by_status,
            "duplicate_attempts": self._db.execute("select coalesce(sum(replays), 0) from payments").fetchone()[0],
            "refused": dict(self._db.execute("select code, count(*) from refusals group by code")),
        }

    # Faults, as opaque text: sandbox_bank.faults knows what they mean

    def load_faults(self) -> list[FaultRow]:
        """Every armed fault as (id, spec, seen, fired, opened_at)."""
        return self._db.execute("select id, spec, seen, fired, opened_at from faults order by id").fetchall()

    def add_fault(self, spec: str) -> int:
        """Keep an armed fault; returns its id."""
        with self._data.change() as db:
            return int(db.execute("insert into faults (spec) values (?) returning id", (spec,)).fetchone()[0])

    def count_fault(self, fault_id: int, seen: int, fired: int, opened_at: float | None) -> None:
        """Keep how often it was seen and has fired."""
        with self._data.change() as db:
            db.execute(
                "update faults set seen = ?, fired = ?, opened_at = ? where id = ?",
                (seen, fired, opened_at, fault_id),
            )

    def clear_faults(self) -> None:
        """Forget every fault."""
        with self._data.change() as db:
            db.execute("delete from faults")

    def reset(self) -> None:
        """Forget everything: payments, accounts, refusals, faults, settings."""
        with self._data.change() as db:
            for table in ("payments", "accounts", "refusals", "faults", "settings"):
                db.execute(f"delete from {table}")  # noqa: S608 - constants
        self.resets += 1
        self.settings = dict(self._defaults)
