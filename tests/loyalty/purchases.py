"""Files of purchases: an extract of a real one, lines of our own, and what independent arithmetic makes of them."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from django.db import connection

from loyalty.models import Balance, Program, Transaction, UsedKey
from loyalty.services.purchases import Totals
from opsconsole.console import demo

EXTRACT = Path(demo.__file__).parent / "purchases.txt"  # 500 lines of 120 customers, whole customers
HEADER = " customer_id  date number_of_cds  dollar_value"


def line(customer: str = "alice", date: str = "19970101", items: str = "1", paid: str = "11.77") -> str:
    """A line of a file of purchases."""
    return f" {customer} {date} {items} {paid}"


def text(*lines: str) -> str:
    """A file of purchases."""
    return "\n".join([HEADER, *lines]) + "\n"


PURCHASES = text(line(), line("bob", "19970202", "2", "5.00"))


@dataclass(slots=True)
class Customer:
    """A customer as the raw lines have them."""

    points: int = 0
    lines: int = 0
    first: datetime = datetime.max.replace(tzinfo=UTC)
    earned: list[tuple[datetime, int]] = field(default_factory=list)


def customers_of(lines: Iterable[str], rate: Decimal = Decimal(1)) -> dict[str, Customer]:
    """What each customer has earned, worked out from the raw lines, with nothing of the product."""
    found: dict[str, Customer] = defaultdict(Customer)
    for raw in lines:
        name, date, _items, paid = raw.split()
        points = int(Decimal(paid) * rate)
        if points:
            at = datetime(int(date[:4]), int(date[4:6]), int(date[6:]), tzinfo=UTC)
            one = found[name]
            one.points += points
            one.lines += 1
            one.first = min(one.first, at)
            one.earned.append((at, points))
    return dict(found)


def the_books_agree(program: Program) -> None:
    """Balances and budget are what the ledger adds up to, by SQL of the test's own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from loyalty_balances b where points_balance <> coalesce("
            "(select sum(amount) from loyalty_transactions t where t.balance_id = b.id), 0)"
        )
        assert cursor.fetchone()[0] == 0
        cursor.execute("select coalesce(sum(amount), 0) from loyalty_transactions")
        program.refresh_from_db()
        assert program.budget_spent == cursor.fetchone()[0]


def equals_the_raw_file(path: Path, program: Program, totals: Totals) -> None:
    """Every balance, first purchase, total and key is what independent arithmetic over the file says."""
    content = path.read_bytes()
    unpacked = gzip.decompress(content) if path.suffix == ".gz" else content
    lines = unpacked.decode().splitlines()[1:]
    wanted = customers_of(lines)
    found = {
        name: (held, joined)
        for name, held, joined in Balance.objects.values_list("user_id", "points_balance", "joined_at")
    }
    assert found == {name: (customer.points, customer.first) for name, customer in wanted.items()}
    earning = [raw for raw in lines if int(Decimal(raw.split()[3]))]
    assert (totals.loaded, totals.skipped, totals.refused) == (len(earning), len(lines) - len(earning), 0)
    assert totals.paid == sum(Decimal(raw.split()[3]) for raw in earning)
    assert Transaction.objects.count() == UsedKey.objects.count() == len(earning) > len(set(earning))
    program.refresh_from_db()
    assert program.budget_spent == totals.points == sum(customer.points for customer in wanted.values())
