"""Looking for a pattern at some moments: now, those that were missed, or those of a past that is tried out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Sum

from loyalty.fraud.patterns import PATTERNS
from loyalty.models import FraudHit, FraudRule
from opsconsole.core.operations import assert_in_operation

UNDER_INVESTIGATION: Final = "under_investigation"
CONFIRMED: Final = "confirmed_fraud"
MOST_HITS: Final = 10_000  # of one look: a rule that hits more is wrong, and must not bury the queue
MOST_CAUGHT_UP: Final = 31  # windows


@dataclass(frozen=True, slots=True)
class Found:
    """What a look has opened: how many hits, and how many points it locked."""

    hits: int
    points_locked: int


def window_of(rule: FraudRule) -> timedelta:
    """How far back the rule looks."""
    return timedelta(hours=rule.limits["hours"])


def moments_until(rule: FraudRule, now: datetime) -> list[datetime]:
    """When to look: now, and at the end of each window that passed unseen since the last look."""
    window, moments = window_of(rule), [now]
    while rule.looked_at is not None and moments[-1] - rule.looked_at > window and len(moments) < MOST_CAUGHT_UP:
        moments.append(moments[-1] - window)
    return moments


def open_hits(rule: FraudRule, moments: Sequence[datetime]) -> Found:
    """Open a hit for each member who fits the rule at one of the moments, flag them, lock if the rule does.

    The rule's row is locked, so nobody else is looking by it. One hit is open per rule and member, and a verdict holds
    for the window that it was given on: what was dismissed is not found again in the same transactions.
    """
    assert_in_operation()
    opened = _open(rule, moments)
    if not opened:
        return Found(0, 0)
    # By id, as the ledger locks: who is just earning is waited for, and waits.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with held as (
              select b.id, case when %(locks)s then b.points_balance - b.locked else 0 end as more,
                (select coalesce(jsonb_agg(f.flag), '[]') from unnest(%(flags)s::text[]) f (flag)
                 where not b.fraud_flags @> jsonb_build_array(f.flag)) as flags
              from loyalty_balances b
              where b.id in (select h.balance_id from loyalty_fraud_hits h where h.id = any(%(hits)s::uuid[]))
              order by b.id for no key update
            ), marked as (
              update loyalty_balances b set locked = b.locked + held.more, fraud_flags = b.fraud_flags || held.flags,
                updated_at = now()
              from held where b.id = held.id and (held.more > 0 or held.flags <> '[]')
            )
            update loyalty_fraud_hits h set points_locked = held.more, flagged = held.flags
            from held where h.balance_id = held.id and h.id = any(%(hits)s::uuid[])
            """,
            {"locks": rule.locks, "flags": [rule.flag, UNDER_INVESTIGATION], "hits": opened},
        )
    locked = FraudHit.objects.filter(pk__in=opened).aggregate(points=Sum("points_locked"))["points"]
    return Found(len(opened), locked or 0)


def try_out(rule: FraudRule, moments: Sequence[datetime]) -> dict[str, Any]:
    """What the rule would have found at these moments, by month of the first time for each member.

    `known` says how many of them people have judged since, whatever rule found them. The ledger is read once: in that
    of an import, which is not in the order of time, each of a thousand windows would be looked for among all rows.
    """
    pattern = PATTERNS[rule.kind].query.replace("loyalty_transactions", "loyalty_past")
    reach = window_of(rule) + timedelta(days=rule.limits.get("days", 0))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            create temporary table loyalty_past on commit drop as
            select t.balance_id, t.event_type, t.amount, t.created_at, t.ip_address from loyalty_transactions t
            where t.created_at >= %s and t.created_at < %s
            """,
            [min(moments) - reach, max(moments)],
        )
        cursor.execute("create index on loyalty_past (created_at)")
        cursor.execute("create index on loyalty_past (balance_id, created_at)")
        cursor.execute("analyze loyalty_past")
        cursor.execute(
            f"""
            with found as materialized ({_FOUND.format(pattern=pattern)}),
            months as (select to_char(f.at at time zone 'UTC', 'YYYY-MM') as month, count(*) as members
                       from found f group by 1)
            select (select count(*) from found),
              (select coalesce(jsonb_object_agg(month, members), '{{}}') from months),
              (select count(*) from found f join loyalty_balances b on b.id = f.balance_id
               where b.fraud_flags @> jsonb_build_array(%(confirmed)s::text)),
              (select count(*) from found f where exists (select from loyalty_sira_feedback s
               where s.balance_id = f.balance_id and s.verdict = 'dismissed'))
            """,
            {**_parameters(rule, moments), "confirmed": CONFIRMED},
        )
        members, months, confirmed, dismissed = cursor.fetchone()
        cursor.execute("drop table loyalty_past")
    return {
        "members": members,
        "by_month": json.loads(months),
        "known": {"confirmed": confirmed, "dismissed": dismissed},
    }


# Statistics of a ledger that is filling up are wrong: a scan of all of it for each of a thousand moments is minutes.
_BY_INDEX: Final = "set local enable_seqscan = off"

_FOUND: Final = """
    select distinct on (f.balance_id) f.balance_id, m.at, f.facts
    from unnest(%(moments)s::timestamptz[]) m (at) cross join lateral ({pattern}) f
    order by f.balance_id, m.at
"""


def _open(rule: FraudRule, moments: Sequence[datetime]) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_BY_INDEX)
        cursor.execute(
            f"""
            with found as materialized ({_FOUND.format(pattern=PATTERNS[rule.kind].query)})
            insert into loyalty_fraud_hits
              (rule_id, rule_version, balance_id, facts, status, as_of, due_at)
            select %(rule)s, %(version)s, f.balance_id, f.facts, 'open', f.at,
              now() + make_interval(hours => %(review_hours)s)
            from found f join loyalty_balances b on b.id = f.balance_id
            where b.erased_at is null and not b.fraud_flags @> jsonb_build_array(%(confirmed)s::text)
              and not exists (
                select from loyalty_fraud_hits h where h.rule_id = %(rule)s and h.balance_id = f.balance_id
                  and h.as_of > f.at - make_interval(hours => %(hours)s)
                  and h.as_of < f.at + make_interval(hours => %(hours)s))
            order by f.balance_id limit %(most)s
            on conflict (rule_id, balance_id) where status = 'open' do nothing
            returning id
            """,
            {
                **_parameters(rule, moments),
                "rule": rule.pk,
                "version": rule.version,
                "review_hours": rule.review_hours,
                "confirmed": CONFIRMED,
                "most": MOST_HITS,
            },
        )
        return [row[0] for row in cursor.fetchall()]


def _parameters(rule: FraudRule, moments: Sequence[datetime]) -> dict[str, Any]:
    return {**rule.limits, "networks": list(rule.allowed_networks), "moments": list(moments)}
