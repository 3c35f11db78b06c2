"""What the benchmarks of loyalty share: people, a program, and members and transactions by the million.

Members and their ledger are loaded past the triggers by a superuser, in the shape in which the ledger leaves them:
balances and budgets are the sums of the transactions, so that a reconciliation finds nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import psycopg

from loyalty.models import Program
from loyalty.services import programs, tiers
from loyalty.services.tiers import TierFacts
from loyalty.sql_post import SPENT
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.operations import operation

BENCH = SYSTEM("bench")
BUDGET = Decimal(10**15)
ROUNDS = 10  # transactions of each member
TIERS = {"Bronze": 0, "Silver": 700, "Gold": 1_000}  # points in twelve months


def superuser() -> psycopg.Connection:
    """A connection that may do everything, each statement a transaction of its own."""
    from opsconsole import embedded

    url = embedded.urls(Path(os.environ["OPS_VAR"])).superuser
    return psycopg.connect(url.replace("/postgres?", "/molam_connect?"), autocommit=True)


def person(role: str) -> Actor:
    """Somebody of this role."""
    name = f"bench_{role}"
    return Actor.of(User.objects.filter(username=name).first() or _enlist(name=name, role=role, actor=BENCH))


@operation
def _enlist(*, name: str, role: str, actor: Actor) -> User:
    from django.contrib.auth.models import Group

    user = User.objects.create_user(name, is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    return User.objects.get(pk=user.pk)


@contextmanager
def a_program(name: str) -> Iterator[Program]:
    """A program for a benchmark; at its end the tables of loyalty are empty, and their space is free again."""
    program = programs.create_program(name=name, budget_limit=BUDGET, actor=person("ops_marketing"))
    try:
        yield program
    finally:
        with superuser() as db:
            db.execute("set session_replication_role = replica")
            tables = db.execute("select relname from pg_class where relkind = 'r' and relname like 'loyalty\\_%'")
            db.execute(f"truncate {', '.join(name for (name,) in tables.fetchall())} cascade")


def with_tiers(program: Program) -> list[UUID]:
    """Give the program its tiers; their ids, the lowest first."""
    return [
        tiers.define_tier(
            program_id=program.pk,
            facts=TierFacts(name=name, rank=rank, threshold=threshold),
            actor=BENCH,
        ).pk
        for rank, (name, threshold) in enumerate(TIERS.items(), 1)
    ]


def enrol(program: Program, members: int) -> None:
    """Members `user-0`, `user-1`, ... without points."""
    with superuser() as db:
        db.execute("set session_replication_role = replica")
        db.execute(
            "insert into loyalty_balances (program_id, user_id) select %s, 'user-' || n from generate_series(0, %s) n",
            [program.pk, members - 1],
        )
        db.execute("vacuum analyze loyalty_balances")


def populate(program: Program, members: int, *, standing: Sequence[UUID] = ()) -> int:
    """Members of a year's standing, each with ROUNDS transactions, and a tier of these by turns; how many transactions.

    The ledger lies in the order of time, as it came: in each round every member has one transaction, in an order of
    its own. In two rounds every other member redeems.
    """
    facts = {"program": program.pk, "members": members, "rounds": ROUNDS, "tiers": list(standing) or None}
    with superuser() as db:
        db.execute("set session_replication_role = replica")
        db.execute("set work_mem = '256MB'")
        db.execute("set maintenance_work_mem = '512MB'")
        indexes = db.execute(
            "select x.indexrelid::regclass::text, pg_get_indexdef(x.indexrelid) from pg_index x"
            " where x.indrelid = 'loyalty_transactions'::regclass and not x.indisprimary"
        ).fetchall()
        for name, _definition in indexes:
            db.execute(f"drop index {name}")
        db.execute(_LEDGER, facts)
        for _name, definition in indexes:
            db.execute(definition)
        db.execute("vacuum analyze loyalty_transactions")
        db.execute(_BALANCES, facts)
        db.execute(
            f"update loyalty_programs set budget_spent = (select sum({SPENT.format('t')}) from loyalty_transactions t)"
            " where id = %(program)s",
            facts,
        )
        db.execute("vacuum analyze loyalty_balances")
    return members * ROUNDS


_MEMBER = "('0198c0de-0000-7000-8000-' || lpad(to_hex({}), 12, '0'))::uuid"
_LEDGER = f"""
    insert into loyalty_transactions (balance_id, event_type, amount, origin_txn_id, created_at)
    select {_MEMBER.format("who")}, case when redeems then 'redeem' else 'earn' end,
      case when redeems then -20 else 50 + n * 31 %% 101 end, null,
      date_trunc('second', now()) - interval '360 days' * (1 - n::numeric / (%(members)s::bigint * %(rounds)s))
    from (
      select n, who, n / %(members)s in (3, 7) and who %% 2 = 0 as redeems
      from (
        select n, (n * 7919 + n / %(members)s * 104729) %% %(members)s as who
        from generate_series(0, %(members)s::bigint * %(rounds)s - 1) n offset 0
      ) placed
    ) turns
"""
_BALANCES = f"""
    insert into loyalty_balances (id, program_id, user_id, points_balance, tier_id, joined_at)
    select {_MEMBER.format("n")}, %(program)s, 'user-' || n, s.points,
      (%(tiers)s::uuid[])[1 + n %% cardinality(%(tiers)s::uuid[])], now() - interval '360 days'
    from generate_series(0, %(members)s::bigint - 1) n
      join (select balance_id, sum(amount) as points from loyalty_transactions group by balance_id) s
        on s.balance_id = {_MEMBER.format("n")}
    order by n
"""


@contextmanager
def bare(db: psycopg.Connection, table: str) -> Iterator[str]:
    """A table with the same columns, defaults and indexes, and room on its pages, but without rules; its name."""
    clone = f"bench_{table}"
    options = db.execute("select array_to_string(reloptions, ', ') from pg_class where relname = %s", [table])
    (room,) = options.fetchone() or (None,)
    db.execute(f"drop table if exists {clone}")
    db.execute(
        f"create table {clone} (like {table} including defaults including indexes including storage)"
        + (f" with ({room})" if room else "")
    )
    try:
        yield clone
    finally:
        db.execute(f"drop table {clone}")


def quiet(db: psycopg.Connection) -> None:
    """Have what was written before out of the way of what is measured next."""
    db.execute("checkpoint")


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say how long the block took: it is not what is measured."""
    started = time.perf_counter()
    yield
    print(f"bench: {what} in {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
