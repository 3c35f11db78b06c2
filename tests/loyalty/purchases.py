"""Files of purchases: an extract of a real one, lines of our own, and what independent arithmetic makes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

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
