"""What a closure reaches: the payments that wait, are planned or on their way through a bank, an account or a route,
to a beneficiary, or of a merchant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection

from opsconsole.plans.types import AccountImpact
from opsconsole.treasury.models import Account, Bank

PLANS_SHOWN: Final = 20
WAITING, STAGED, STOPPED, GOING, ON_ITS_WAY = (
    "waiting for a plan",
    "in a plan that is staged",
    "in a plan that stopped",
    "in a run that is going",
    "on its way",
)

# Where a corridor leads by its route, whether that is open or not.
_ROUTE = """
  left join lateral (
    select r.id, r.account_id, r.bank_id from treasury_routes r
    where r.currency = p.currency and (r.country = p.country or r.country is null)
    order by r.country nulls last limit 1
  ) route on true
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which payments are meant, as conditions over instruction `i`, payout `p` and its `route`."""

    instruction: str
    payout: str = "true"
    route: str = "true"
    values: dict[str, Any] = field(default_factory=dict)


def of_bank(bank: Bank) -> Reach:
    """Everything through a bank."""
    return Reach("i.bank_id = %(bank)s", route="route.bank_id = %(bank)s", values={"bank": bank.pk})


def of_account(account: Account) -> Reach:
    """Everything from an account of ours, and what is paid to it."""
    return Reach(
        "(i.account_id = %(account)s or p.iban = %(own)s)",
        route="(route.account_id = %(account)s or p.to_own)",
        values={"account": account.pk, "own": account.iban},
    )


def of_beneficiary(iban: str) -> Reach:
    """Everything to a beneficiary."""
    return Reach("p.iban = %(iban)s", payout="p.iban = %(iban)s", values={"iban": iban})


def of_merchant(merchant: str) -> Reach:
    """Everything of a merchant."""
    return Reach("p.merchant = %(merchant)s", payout="p.merchant = %(merchant)s", values={"merchant": merchant})


def of_routes(routes: Sequence[UUID]) -> Reach:
    """Everything that goes by these routes, from the accounts they lead through."""
    return Reach(
        "route.id = any(%(routes)s) and route.account_id = i.account_id",
        route="route.id = any(%(routes)s)",
        values={"routes": list(routes)},
    )


@dataclass(frozen=True, slots=True)
class Line:
    """Payments that stand alike: how far they are, the account that pays them, how many, how much."""

    how_far: str
    account_id: UUID | None
    currency: str
    count: int
    sum: Decimal


@dataclass(frozen=True, slots=True)
class Exposure:
    """What is reached, line by line, and the plans it is in."""

    lines: list[Line]
    plans: list[dict[str, Any]]

    def count(self, *how_far: str) -> int:
        """How many payments stand like this."""
        return sum(line.count for line in self.lines if line.how_far in how_far)

    def sums(self, *how_far: str) -> dict[str, Decimal]:
        """What they come to, by currency."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for line in self.lines:
            if line.how_far in how_far:
                found[line.currency] += line.sum
        return dict(found)

    def accounts(self) -> list[AccountImpact]:
        """By the account that would pay: what does not leave it. No balance changes."""
        held: dict[UUID, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
        for line in self.lines:
            if line.account_id is not None and line.how_far != ON_ITS_WAY:
                count, total = held[line.account_id]
                held[line.account_id] = (count + line.count, total + line.sum)
        accounts = Account.objects.filter(pk__in=held).select_related("bank").defer("bank__secret")
        return [
            AccountImpact(
                account.iban or account.name,
                account.bank.code,
                account.currency,
                *held[account.pk],
                account.ledger_balance,
                account.ledger_balance,
            )
            for account in accounts.order_by("bank__code", "iban")
        ]

    def as_details(self) -> dict[str, Any]:
        """For the impact: a table of payments by how far they are, and one of the plans."""
        by_state: dict[tuple[str, str], tuple[int, Decimal]] = {}
        for line in self.lines:
            count, total = by_state.get((line.how_far, line.currency), (0, Decimal(0)))
            by_state[line.how_far, line.currency] = (count + line.count, total + line.sum)
        payments = [
            {"status": how_far, "count": count, "sum": f"{total:f}", "currency": currency}
            for (how_far, currency), (count, total) in sorted(by_state.items())
        ]
        return {"payments": payments, "plans": self.plans}


def exposed(reach: Reach) -> Exposure:
    """The payments that are reached, as they stand."""
    values = {"own": None, **reach.values}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            with p as (
              select p.currency, p.country, coalesce(p.iban = %(own)s, false) as to_own, count(*) as count,
                sum(p.amount) as sum
              from treasury_payouts p where p.status = 'payable' and {reach.payout} group by 1, 2, 3)
            select route.account_id, p.currency, sum(p.count)::int, sum(p.sum) from p {_ROUTE}
            where {reach.route} group by 1, 2
            """,
            values,
        )
        lines = [Line(WAITING, *row) for row in cursor.fetchall()]
        by_route = _ROUTE if "route." in reach.instruction else ""
        cursor.execute(
            f"""
            select i.status, plan.status, plan.external_id, plan.name, i.account_id, i.currency, count(*)::int,
              sum(i.amount)
            from treasury_instructions i join treasury_payouts p on p.id = i.payout_id
              join ops_plans plan on plan.id = i.plan_id {by_route}
            where i.status in ('planned', 'sending', 'sent') and {reach.instruction}
            group by 1, 2, 3, 4, 5, 6 order by 3, 5, 6
            """,
            values,
        )
        rows = cursor.fetchall()
    plans: list[dict[str, Any]] = []
    for status, plan_status, external_id, name, account_id, currency, count, total in rows:
        how_far = _how_far(status, plan_status)
        lines.append(Line(how_far, account_id, currency, count, total))
        if how_far != ON_ITS_WAY:
            plans.append(
                {
                    "plan": external_id,
                    "name": name,
                    "status": plan_status,
                    "count": count,
                    "sum": f"{total:f}",
                    "currency": currency,
                }
            )
    return Exposure(lines, plans[:PLANS_SHOWN])


def _how_far(instruction: str, plan: str) -> str:
    if instruction != "planned":
        return ON_ITS_WAY
    if plan in ("staged", "approved"):
        return STAGED
    return GOING if plan == "executing" else STOPPED
