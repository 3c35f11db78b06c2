"""What a plan has hold of: payouts reserved for it and the instructions that will pay them. Set-based, in the
caller's operation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection

from opsconsole.core.database import bulk_joins
from opsconsole.core.operations import assert_in_operation
from opsconsole.plans.models import Plan
from opsconsole.treasury.closing.closures import FROZEN_PAYOUT
from opsconsole.treasury.gateways.credit_transfer import MAX_TRANSACTIONS

# Two plans that are staged at once would choose the same payouts: one currency at a time.
_ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('treasury.reserve.' || %s, 0))"

# Where a payout goes: the route of its country, else the one for any country, if bank and account are active.
ROUTED = """
  left join lateral (
    select r.account_id, r.bank_id, b.gateway from treasury_routes r
      join treasury_banks b on b.id = r.bank_id and b.status = 'active'
      join treasury_accounts a on a.id = r.account_id and a.status = 'active'
    where r.currency = p.currency and (r.country = p.country or r.country is null)
    order by r.country nulls last limit 1
  ) route on true
"""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Due payouts that a plan does not take: beyond the total, with no open way to pay them, or frozen."""

    beyond_total: int
    beyond_sum: Decimal
    unroutable: int
    unroutable_sum: Decimal
    frozen: int
    frozen_sum: Decimal


def reserve_due(plan: Plan, *, currency: str, cutoff: date, total: Decimal | None) -> int:
    """Reserve payable payouts due by the cutoff, by due date then external_id, stopping before the total is passed.

    Each gets an instruction with its place in the plan: a step of its own at an HTTP bank, a step for all of an
    account (as many as a file may hold) where files are sent. What is frozen, or has no open route, is passed over.
    Returns how many were reserved.
    """
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME, [currency])
        cursor.execute(
            f"""
            with due as (
              select p.id, p.amount, p.due_date, p.external_id, route.account_id, route.bank_id, route.gateway,
                sum(p.amount) over (order by p.due_date, p.external_id) as running
              from treasury_payouts p {ROUTED}
              where p.currency = %(currency)s and p.due_date <= %(cutoff)s and p.status = 'payable'
                and route.account_id is not null and not {FROZEN_PAYOUT}),
            taken as (
              update treasury_payouts p set status = 'reserved', plan_id = %(plan)s
              from due where p.id = due.id and p.status = 'payable'
                and (%(total)s::numeric is null or due.running <= %(total)s::numeric)
              returning p.id, p.amount, p.currency, due.due_date, due.external_id, due.account_id, due.bank_id,
                due.gateway),
            numbered as (
              select t.*, row_number() over (order by due_date, external_id) as ordinal,
                (row_number() over (partition by account_id order by due_date, external_id) - 1) / %(file)s as file
              from taken t),
            grouped as (
              select n.*, min(ordinal) over (
                partition by account_id, case when gateway = 'http' then ordinal else file end) as first
              from numbered n)
            insert into treasury_instructions
              (payout_id, plan_id, step_seq, ordinal, bank_id, account_id, amount, currency)
            select id, %(plan)s, dense_rank() over (order by first), ordinal, bank_id, account_id, amount, currency
            from grouped
            """,
            {"plan": plan.pk, "currency": currency, "cutoff": cutoff, "total": total, "file": MAX_TRANSACTIONS},
        )
        return int(cursor.rowcount)


def left_out(*, currency: str, cutoff: date) -> LeftOut:
    """What is still payable and due by the cutoff once a plan has reserved its part."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            with due as (
              select p.amount, case when {FROZEN_PAYOUT} then 'frozen' when route.account_id is null then 'unroutable'
                else 'beyond' end as why
              from treasury_payouts p {ROUTED}
              where p.currency = %s and p.due_date <= %s and p.status = 'payable')
            select count(*) filter (where why = 'beyond'), coalesce(sum(amount) filter (where why = 'beyond'), 0),
              count(*) filter (where why = 'unroutable'),
              coalesce(sum(amount) filter (where why = 'unroutable'), 0),
              count(*) filter (where why = 'frozen'), coalesce(sum(amount) filter (where why = 'frozen'), 0)
            from due
            """,
            [currency, cutoff],
        )
        return LeftOut(*cursor.fetchone())


def bind_steps(plan: Plan) -> None:
    """Note on each planned instruction the step that was written for it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update treasury_instructions i set step_id = s.id from ops_plan_steps s
            where i.plan_id = %(plan)s and i.status = 'planned' and s.plan_id = %(plan)s
              and s.revision = %(revision)s and s.direction = 'execute' and s.seq = i.step_seq
            """,
            {"plan": plan.pk, "revision": plan.revision},
        )


def release(plan: Plan) -> int:
    """Give back every payout of the plan that was not sent and is not in doubt; returns how many."""
    assert_in_operation()
    with bulk_joins(), connection.cursor() as cursor:
        cursor.execute(
            """
            with freed as (
              update treasury_instructions set status = 'released' where plan_id = %(plan)s and status = 'planned'
              returning payout_id)
            update treasury_payouts p set status = 'payable', plan_id = null from freed
            where p.id = freed.payout_id and p.status = 'reserved' and p.plan_id = %(plan)s
            """,
            {"plan": plan.pk},
        )
        return int(cursor.rowcount)


def reopen_failed(plan: Plan) -> list[str]:
    """Take failed payouts of the plan back into it; returns those that have gone elsewhere meanwhile.

    The instruction is the same one, with the same EndToEndId and key: the bank may well have done it by now.
    """
    assert_in_operation()
    with bulk_joins(), connection.cursor() as cursor:
        cursor.execute(
            """
            update treasury_payouts p set status = 'reserved' from treasury_instructions i
            where i.plan_id = %(plan)s and i.status = 'failed' and p.id = i.payout_id and p.status = 'failed'
              and p.plan_id = %(plan)s
            """,
            {"plan": plan.pk},
        )
        cursor.execute(
            """
            update treasury_instructions i set status = 'planned', reason = '' from treasury_payouts p
            where i.plan_id = %(plan)s and i.status = 'failed' and p.id = i.payout_id and p.status = 'reserved'
              and p.plan_id = %(plan)s
            """,
            {"plan": plan.pk},
        )
        cursor.execute(
            "select p.external_id from treasury_instructions i join treasury_payouts p on p.id = i.payout_id"
            " where i.plan_id = %s and i.status = 'failed' order by 1 limit 20",
            [plan.pk],
        )
        return [row[0] for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class AccountLine:
    """What the planned instructions of a plan do to one account."""

    account_id: Any
    iban: str
    bank: str
    gateway: str
    currency: str
    count: int
    sum: Decimal
    balance: Decimal
    fee: Decimal
    bank_status: str
    account_status: str
    swept: Decimal  # promised to sweeps, so no payout may count on it


def account_lines(plan: Plan) -> list[AccountLine]:
    """The planned instructions by the account that pays them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select a.id, a.iban, b.code, b.gateway, i.currency, count(*), sum(i.amount), a.ledger_balance,
              count(*) * b.fee_per_payment, b.status, a.status,
              (select coalesce(sum(w.amount), 0) from treasury_sweeps w
               where w.account_id = a.id and w.status = 'planned')
            from treasury_instructions i
              join treasury_payouts p on p.id = i.payout_id
              join treasury_accounts a on a.id = i.account_id join treasury_banks b on b.id = i.bank_id
            where i.plan_id = %s and i.status = 'planned' and p.status = 'reserved'
            group by a.id, b.id, i.currency order by b.code, a.iban
            """,
            [plan.pk],
        )
        return [AccountLine(*row) for row in cursor.fetchall()]


def payees(plan: Plan) -> int:
    """How many different accounts the planned instructions pay."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(distinct p.iban) from treasury_instructions i join treasury_payouts p on p.id = i.payout_id"
            " where i.plan_id = %s and i.status = 'planned'",
            [plan.pk],
        )
        row = cursor.fetchone()
        return int(row[0])


def led_elsewhere(plan: Plan) -> list[tuple[str, str, int]]:
    """Planned payments whose corridor leads through another account by now: corridor, that account, how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            with p as (
              select i.account_id, i.currency, p.country, count(*) as count
              from treasury_instructions i join treasury_payouts p on p.id = i.payout_id
              where i.plan_id = %s and i.status = 'planned' group by 1, 2, 3)
            select concat_ws('/', p.currency, p.country), a.iban, sum(p.count)::int
            from p {ROUTED} join treasury_accounts a on a.id = route.account_id
            where route.account_id <> p.account_id group by 1, 2 order by 1, 2
            """,
            [plan.pk],
        )
        return [(corridor, account, count) for corridor, account, count in cursor.fetchall()]


def frozen_since(plan: Plan) -> int:
    """How many planned payments go to a frozen beneficiary, or are of a frozen merchant, by now."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select count(*) from treasury_instructions i join treasury_payouts p on p.id = i.payout_id
            where i.plan_id = %s and i.status = 'planned' and {FROZEN_PAYOUT}
            """,
            [plan.pk],
        )
        row = cursor.fetchone()
        return int(row[0])


DUPLICATE_DAYS = 7


def likely_duplicates(plan: Plan, *, limit: int = 20) -> tuple[int, list[dict[str, str]]]:
    """Payouts of the plan whose payee is to get, or got, the same amount within days; how many, and the first pairs.

    Within days of each other they are due, or the other one was sent that recently. Two of the same plan are one pair.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            with mine as (
              select p.* from treasury_instructions i join treasury_payouts p on p.id = i.payout_id
              where i.plan_id = %(plan)s and i.status = 'planned'),
            pairs as (
              select p.external_id, q.external_id as like, q.status, q.due_date, q.plan_id, p.beneficiary_name,
                p.amount, p.currency,
                (select max(sent.sent_at) from treasury_instructions sent
                 where sent.payout_id = q.id and sent.status in ('sent', 'settled')) as sent_at,
                abs(q.due_date - p.due_date) <= %(days)s as due_close
              from mine p join treasury_payouts q on q.iban = p.iban and q.amount = p.amount
                and q.currency = p.currency and q.id <> p.id and q.status in ('reserved', 'sending', 'sent', 'settled')
                and (q.plan_id is distinct from p.plan_id or q.external_id < p.external_id)),
            close as (
              select *, dense_rank() over (order by external_id) as nth from pairs
              where due_close or sent_at > now() - make_interval(days => %(days)s))
            select c.external_id, c.like, c.status, c.due_date, coalesce(c.sent_at::date::text, ''),
              coalesce(plan.external_id, ''), c.beneficiary_name, c.amount, c.currency,
              (select coalesce(max(nth), 0) from close)
            from close c left join ops_plans plan on plan.id = c.plan_id
            order by c.external_id, c.like limit %(limit)s
            """,
            {"plan": plan.pk, "days": DUPLICATE_DAYS, "limit": limit},
        )
        rows = cursor.fetchall()
    found = [
        {
            "payout": mine,
            "like": other,
            "status": status,
            "due": due.isoformat(),
            "sent": sent,
            "plan": of_plan,
            "beneficiary": name,
            "amount": f"{amount:f}",
            "currency": currency,
        }
        for mine, other, status, due, sent, of_plan, name, amount, currency, _ in rows
    ]
    return (rows[0][-1] if rows else 0), found
