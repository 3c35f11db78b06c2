"""Where members stand: the tier that each has earned, worked out for a whole program in one statement.

What counts is what was earned for purchases in the tier's window, less what was taken back of it; a bonus does not,
or a campaign would lift everybody. The statement writes verdicts beside the tables and holds no lock while it reads;
what follows from them is written to the members who change, and to no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from loyalty.models import Tier
from opsconsole.core.canonical import digest
from opsconsole.core.database import bulk_memory
from opsconsole.core.operations import assert_in_operation

GRACE: Final = timedelta(days=30)  # below their tier for so long, a member goes down


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of evaluating a program: its members, and how many went up, went down, and are below in grace."""

    members: int
    upgraded: int
    downgraded: int
    in_grace: int
    rule_version: str


def version_of(tiers: Sequence[Tier]) -> str:
    """A digest of the tiers as they are, and of the grace: two evaluations under one version followed the same rule."""
    return digest(
        {
            "grace_days": GRACE.days,
            "tiers": [
                {
                    "id": tier.pk,
                    "name": tier.name,
                    "rank": tier.rank,
                    "threshold": tier.threshold,
                    "window_months": tier.window_months,
                    "multiplier": tier.multiplier,
                }
                for tier in sorted(tiers, key=lambda tier: tier.rank)
            ],
        }
    )


def take_turn(program_id: UUID) -> None:
    """Keep everybody else from evaluating this program until the transaction ends."""
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute(
            "select pg_advisory_xact_lock(hashtextextended(concat_ws(chr(31), 'loyalty.tiers', %s::text), 0))",
            [str(program_id)],
        )


def judge(program_id: UUID, tiers: Sequence[Tier], as_of: datetime) -> None:
    """Find every member whose tier or grace changes at this time, and put the verdicts beside the tables."""
    assert_in_operation()
    windows = sorted({tier.window_months for tier in tiers})
    begins = {months: f"%(as_of)s::timestamptz - interval '{months} months'" for months in windows}
    sums = ", ".join(
        f"sum(e.amount) filter (where e.created_at > {begins[months]}) as in_{months}" for months in windows
    )
    best_first = sorted(tiers, key=lambda tier: tier.rank, reverse=True)
    ladder = " ".join(
        f"when coalesce(e.in_{tier.window_months}, 0) >= {tier.threshold} then '{tier.pk}'::uuid" for tier in best_first
    )
    points = " ".join(f"when '{tier.pk}'::uuid then coalesce(e.in_{tier.window_months}, 0)" for tier in best_first)
    with bulk_memory(), connection.cursor() as cursor:
        cursor.execute("drop table if exists loyalty_verdicts")
        # Numbers and ids of our own stand in the text: the planner sees thresholds and windows as they are.
        cursor.execute(
            f"""
            create temporary table loyalty_verdicts on commit drop as
            with earned as (
              select t.balance_id, t.amount, t.created_at from loyalty_transactions t
              where t.event_type = 'earn' and t.created_at <= %(as_of)s
                and t.created_at > {begins[windows[-1]]}
                and t.balance_id in (select m.id from loyalty_balances m where m.program_id = %(program)s)
              union all
              select o.balance_id, r.amount, o.created_at
              from loyalty_transactions r join loyalty_transactions o on o.id = r.reverses_id
              where r.reverses_id is not null and r.created_at <= %(as_of)s and o.event_type = 'earn'
                and o.created_at <= %(as_of)s and o.created_at > {begins[windows[-1]]}
            ),
            summed as (
              select e.balance_id, {sums}
              from earned e group by e.balance_id
            ),
            stands as (
              select b.id, b.tier_id as was, b.tier_below_since as below_since,
                case {ladder} end as reached, case coalesce(case {ladder} end, b.tier_id) {points} end as points
              from loyalty_balances b left join summed e on e.balance_id = b.id
              where b.program_id = %(program)s and b.erased_at is null
            ),
            judged as (
              select s.id, s.was, s.reached, s.points,
                case when coalesce(r.rank, 0) > coalesce(w.rank, 0) then 'upgrade'
                     when coalesce(r.rank, 0) < w.rank and s.below_since <= %(grace_since)s then 'downgrade'
                     when coalesce(r.rank, 0) < w.rank and s.below_since is null then 'below'
                     when s.reached = s.was and s.below_since is not null then 'back' end as verdict
              from stands s left join loyalty_tiers w on w.id = s.was left join loyalty_tiers r on r.id = s.reached
            )
            select * from judged where verdict is not null
            """,
            {"program": program_id, "as_of": as_of, "grace_since": as_of - GRACE},
        )
        cursor.execute("analyze loyalty_verdicts")


# Locked by id, as everybody does it: earns and campaigns wait for these rows only while they are written.
_APPLY: Final = """
    with held as materialized (
      select v.* from loyalty_verdicts v join loyalty_balances b on b.id = v.id
      order by b.id for no key update of b
    ),
    moved as (
      update loyalty_balances b
      set tier_id = case when h.verdict in ('upgrade', 'downgrade') then h.reached else b.tier_id end,
        tier_below_since = case when h.verdict = 'below' then %(as_of)s::timestamptz end, updated_at = now()
      from held h where b.id = h.id
    )
    insert into loyalty_tier_snapshots (balance_id, program_id, was_id, now_id, move, points_in_window, rule_version)
    select v.id, %(program)s, v.was, v.reached, v.verdict, v.points, %(version)s
    from loyalty_verdicts v where v.verdict in ('upgrade', 'downgrade')
"""

_COUNT: Final = """
    select (select count(*) from loyalty_balances b where b.program_id = %(program)s and b.erased_at is null),
      (select count(*) from loyalty_verdicts where verdict = 'upgrade'),
      (select count(*) from loyalty_verdicts where verdict = 'downgrade'),
      (select count(*) from loyalty_balances b where b.program_id = %(program)s and b.tier_below_since is not null)
"""


def apply(program_id: UUID, tiers: Sequence[Tier], as_of: datetime) -> Evaluation:
    """Have the verdicts come true: tiers, the beginnings and ends of grace, and a snapshot for each change of tier."""
    assert_in_operation()
    facts: dict[str, Any] = {"program": program_id, "as_of": as_of, "version": version_of(tiers)}
    with connection.cursor() as cursor:
        cursor.execute(_APPLY, facts)
        cursor.execute(_COUNT, facts)
        members, upgraded, downgraded, in_grace = cursor.fetchone()
        return Evaluation(members, upgraded, downgraded, in_grace, facts["version"])
