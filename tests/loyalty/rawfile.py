"""The raw file of purchases in a table of its own, asked by SQL that shares nothing with the product.

What it says is written from docs/loyalty: points are what was paid times the rate, cut; who earned anything is a member
since their first such day; all of them are earns, at midnight of UTC.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection

from tests.conftest import superuser_dsn
from tests.loyalty.purchases import EXTRACT

REAL = Path(os.environ.get("OPS_REAL_DATA", EXTRACT))  # the whole file where there is one, else the extract of it

_TABLES = """
    create temp table purchases as
      select l.no, l.f[1] as customer, to_date(l.f[2], 'YYYYMMDD') as day, l.f[4]::numeric as paid,
        floor(l.f[4]::numeric * {rate})::bigint as points
      from (select no, regexp_split_to_array(btrim(raw), '[[:space:]]+') as f from lines where no > 1) l;

    create temp table earns as select no, customer, day, paid, points from purchases where points > 0;
    create index on earns (customer, day);
    analyze earns;

    create temp table customers as
      select e.customer, sum(e.points)::bigint as points, min(e.day) as joined, max(e.day) as last,
        case when coalesce(sum(e.points) filter (where e.day > date '1997-05-01' and e.day <= date '1997-06-01'), 0)
               >= 60 then 'Gold'
             when coalesce(sum(e.points) filter (where e.day > date '1996-06-01' and e.day <= date '1997-06-01'), 0)
               >= 100 then 'Silver'
             when coalesce(sum(e.points) filter (where e.day > date '1996-06-01' and e.day <= date '1997-06-01'), 0)
               >= 20 then 'Bronze' end as tier
      from earns e group by e.customer;
    create unique index on customers (customer);
    analyze customers;
"""


class RawFile:
    """The purchases, at a rate of points; tiers are as of 1997-06-01 (Gold 60 in a month, Silver 100, Bronze 20)."""

    def __init__(self, line: psycopg.Connection[Any], path: Path, rate: int) -> None:
        self.line = line
        content = path.read_bytes()
        line.execute("create temp table lines (no int generated always as identity, raw text)")
        with line.cursor() as cursor, cursor.copy("copy lines (raw) from stdin") as copy:
            copy.write(gzip.decompress(content) if path.suffix == ".gz" else content)
        line.execute(_TABLES.format(rate=rate))

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """What a query over `purchases`, `earns` and `customers` finds."""
        return self.line.execute(sql, values).fetchall()

    def one(self, sql: str, **values: Any) -> Any:
        """The one value that a query finds."""
        [(value,)] = self.rows(sql, **values)
        return value


@contextmanager
def raw_file(rate: int = 1, path: Path = REAL) -> Iterator[RawFile]:
    """The file beside the product's tables, for as long as this lasts."""
    with psycopg.connect(superuser_dsn(connection.settings_dict["NAME"]), autocommit=True) as line:
        yield RawFile(line, path, rate)
