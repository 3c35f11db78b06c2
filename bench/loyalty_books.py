"""The books of ten million transactions: their reconciliation, and the tiers of a million members evaluated where
almost everybody moves and where nobody does, each beside the sums that it cannot do without.

The floors read the same rows with the same memory and write to tables without rules.
"""

from __future__ import annotations

import sys
from statistics import mean

import psycopg

from bench.figures import Figure
from bench.members import BENCH, TIERS, a_program, bare, populate, quiet, seconds, superuser, told, with_tiers
from loyalty.books.reconcile import reconcile
from loyalty.models import Program
from loyalty.services.tiers import evaluate_tiers

MEMBERS = 1_000_000
ROUNDS = 2
AGAIN = "make bench ARGS=loyalty_books"

# In the text as constants, as the evaluation has them: what is compared is the work, not the planner's knowledge.
EARNED = """
    select balance_id, sum(amount) as points from loyalty_transactions
    where event_type = 'earn' and created_at > now() - interval '12 months' group by balance_id
"""
LADDER = (
    "case " + " ".join(f"when s.points >= {TIERS[name]} then %({name})s::uuid" for name in reversed(TIERS)) + " end"
)


def run(*, scale: float) -> list[Figure]:
    """Reconciling, then everybody's first tier, then nothing new."""
    members, rounds = int(MEMBERS * scale), ROUNDS if scale >= 1 else 1
    with a_program("bench books") as program, superuser() as db:
        facts = dict(zip(TIERS, with_tiers(program), strict=True))
        with told("the ledger loaded"):
            transactions = populate(program, members)
        db.execute("set work_mem = '128MB'")  # as bulk_memory() has it
        reconciling, floor = [], []
        for _ in range(rounds):  # in turn, so that both meet the same machine
            floor.append(seconds(lambda: _summed(db)))
            reconciling.append(seconds(lambda: _reconciled(transactions)))
        with bare(db, "loyalty_balances"), bare(db, "loyalty_tier_snapshots"):
            db.execute("insert into bench_loyalty_balances select * from loyalty_balances")
            db.execute("vacuum analyze bench_loyalty_balances")
            quiet(db)
            moved_floor = seconds(lambda: _moved(db, program, facts))
        quiet(db)
        moving = seconds(lambda: _evaluated(program, moved=members))
        with superuser() as other:
            other.execute("vacuum analyze loyalty_balances")  # as autovacuum does after a minute
        standing, standing_floor = [], []
        for _ in range(rounds):
            standing_floor.append(seconds(lambda: _compared(db, facts)))
            standing.append(seconds(lambda: _evaluated(program, moved=0)))
    of = f"{members:,} members, {transactions:,} transactions"
    return [
        Figure(
            f"reconcile, {transactions:,} transactions", mean(reconciling), mean(floor), "s",
            "one GROUP BY, compared with the balances", 0.5, AGAIN, lower_is_better=True, target=20.0,
        ),
        Figure(
            f"tiers, everybody moves, {of}", moving, moved_floor, "s", "the sums, one bare UPDATE and INSERT", 0.5,
            AGAIN, lower_is_better=True, target=20.0,
        ),
        Figure(
            f"tiers, nobody moves, {of}", mean(standing), mean(standing_floor), "s",
            "the sums, compared with the tiers", 0.3, AGAIN, lower_is_better=True, target=20.0,
        ),
    ]  # fmt: skip


def _reconciled(transactions: int) -> None:
    found = reconcile()
    if found.drift or found.transactions != transactions:
        raise RuntimeError(f"the books do not agree: {found}")


def _evaluated(program: Program, *, moved: int) -> None:
    done = evaluate_tiers(program_id=program.pk, actor=BENCH)
    if (done.upgraded, done.downgraded) != (moved, 0):
        raise RuntimeError(f"{done}, where {moved} should have gone up")


def _summed(db: psycopg.Connection) -> None:
    wrong = db.execute(
        "select count(*) from"
        " (select balance_id, sum(amount) as points from loyalty_transactions group by balance_id) s full join"
        " loyalty_balances b on b.id = s.balance_id where b.points_balance is distinct from s.points"
    ).fetchone()
    if wrong != (0,):
        raise RuntimeError(f"{wrong} balances are not their sums")


def _moved(db: psycopg.Connection, program: Program, facts: dict[str, object]) -> None:
    with db.transaction():
        db.execute(f"create temporary table earned on commit drop as {EARNED}")
        db.execute("analyze earned")
        db.execute(
            f"update bench_loyalty_balances b set tier_id = {LADDER}, updated_at = now() from earned s"
            " where s.balance_id = b.id",
            facts,
        )
        db.execute(
            "insert into bench_loyalty_tier_snapshots"
            " (balance_id, program_id, now_id, move, points_in_window, rule_version)"
            f" select s.balance_id, %(program)s, {LADDER}, 'upgrade', s.points, 'none' from earned s",
            {**facts, "program": program.pk},
        )


def _compared(db: psycopg.Connection, facts: dict[str, object]) -> None:
    moving = db.execute(
        f"select count(*) from loyalty_balances b left join ({EARNED}) s on s.balance_id = b.id"
        f" where b.tier_id is distinct from {LADDER}",
        facts,
    ).fetchone()
    if moving != (0,):
        print(f"bench: {moving} members would move", file=sys.stderr)
