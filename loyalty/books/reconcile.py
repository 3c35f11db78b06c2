"""Do the books agree with the ledger? Every kept figure is added up anew from the transactions, in one snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from loyalty.sql_post import SPENT
from opsconsole.core.database import bulk_memory

SHOWN: Final = 20

# One pass over the ledger, for the balances and for the budgets: each row is looked at once.
_BOOKS: Final = """
    with summed as (
      select t.balance_id, sum(t.amount) as points, sum({spent}) as spent, count(*) as rows
      from loyalty_transactions t {of_program} group by t.balance_id
    ),
    members as materialized (
      select coalesce(b.id, s.balance_id) as id, b.program_id, coalesce(b.user_id, '?') as name,
        coalesce(b.points_balance, 0) as kept, coalesce(s.points, 0) as summed, coalesce(s.spent, 0) as spent,
        coalesce(s.rows, 0) as rows
      from (select * from loyalty_balances b {where_program}) b full join summed s on s.balance_id = b.id
    ),
    wrong as (
      select 'balance' as book, 'points_balance' as figure, m.id, m.name, m.kept::numeric as kept, m.summed
      from members m where m.kept <> m.summed
      union all
      select 'program', 'budget_spent', p.id, p.name, p.budget_spent, coalesce(m.spent, 0)
      from loyalty_programs p
        left join (select program_id, sum(spent) as spent from members group by program_id) m on m.program_id = p.id
      where p.budget_spent <> coalesce(m.spent, 0) and (%(program)s::uuid is null or p.id = %(program)s)
    )
    select 'total', '', null, '', count(*), coalesce(sum(rows), 0), 0 from members
    union all
    select * from (
      select book, figure, id, name, kept, summed, count(*) over () from wrong
      order by book, id limit %(shown)s
    ) first
"""
_RESERVED: Final = """
    select 'program', 'budget_reserved', p.id, p.name, p.budget_reserved, coalesce(c.points, 0), count(*) over ()
    from loyalty_programs p
      left join (select program_id, sum(points_reserved) as points from loyalty_campaigns group by program_id) c
        on c.program_id = p.id
    where p.budget_reserved <> coalesce(c.points, 0) and (%(program)s::uuid is null or p.id = %(program)s)
    order by p.id limit %(shown)s
"""
_CAMPAIGNS: Final = """
    with awarded as (
      select t.campaign_id as id, count(*) as members, sum(t.amount) as points
      from loyalty_transactions t where t.campaign_id is not null and t.event_type = 'bonus' group by t.campaign_id
    ),
    reversed as (
      select o.campaign_id as id, -sum(r.amount) as points
      from loyalty_transactions r join loyalty_transactions o on o.id = r.reverses_id
      where r.reverses_id is not null and o.campaign_id is not null group by o.campaign_id
    ),
    compared as (
      select c.id, c.name, f.figure, f.kept, f.summed
      from loyalty_campaigns c left join awarded a on a.id = c.id left join reversed r on r.id = c.id
        cross join lateral (values
          ('users_awarded', c.users_awarded::numeric, coalesce(a.members, 0)::numeric),
          ('total_points_awarded', c.total_points_awarded, coalesce(a.points, 0)),
          ('points_reversed', c.points_reversed, coalesce(r.points, 0))) f (figure, kept, summed)
      where %(program)s::uuid is null or c.program_id = %(program)s
    )
    select 'campaign', figure, id, name, kept, summed, count(*) over ()
    from compared where kept <> summed order by id, figure limit %(shown)s
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that is not what the ledger adds up to."""

    book: str
    figure: str
    id: UUID
    name: str
    kept: Decimal
    summed: Decimal


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How the books stood in one snapshot: what was looked at, how many figures drift, and the first of them."""

    at: datetime
    program_id: UUID | None
    members: int
    transactions: int
    drift: int
    first: tuple[Difference, ...]

    def facts(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return {
            "at": self.at,
            "program": self.program_id,
            "members": self.members,
            "transactions": self.transactions,
            "drift": self.drift,
            "first": [asdict(difference) for difference in self.first],
        }


def reconcile(program_id: UUID | None = None) -> Reconciled:
    """Add everything up, of one program or of all, in one snapshot; holds nobody up."""
    parts: dict[str, str] = {"spent": SPENT.format("t"), "of_program": "", "where_program": ""}
    if program_id is not None:
        parts["where_program"] = "where b.program_id = %(program)s"
        parts["of_program"] = (
            "where t.balance_id in (select m.id from loyalty_balances m where m.program_id = %(program)s)"
        )
    facts = {"program": program_id, "shown": SHOWN}
    drift, first = 0, []
    with snapshot(), connection.cursor() as cursor:
        cursor.execute("select now()")
        at = cursor.fetchone()[0]
        cursor.execute(_BOOKS.format(**parts), facts)
        totals, *wrong = cursor.fetchall()
        members, transactions = int(totals[4]), int(totals[5])
        for query in (None, _RESERVED, _CAMPAIGNS):
            if query is not None:
                cursor.execute(query, facts)
                wrong = cursor.fetchall()
            drift += wrong[0][-1] if wrong else 0
            first += [Difference(*row[:-1]) for row in wrong]
    return Reconciled(at, program_id, members, transactions, drift, tuple(first[:SHOWN]))


@contextmanager
def snapshot() -> Iterator[None]:
    """One unchanging view of the books while the block runs."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
        with bulk_memory():
            yield
