"""What a sweep plan has hold of: one transfer for each source account, its amount fixed when it is staged.

Set-based, in the caller's operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from opsconsole.core.database import bulk_joins
from opsconsole.core.operations import assert_in_operation
from opsconsole.plans.models import Plan
from opsconsole.treasury import promises
from opsconsole.treasury.gateways.base import PaymentOrder
from opsconsole.treasury.models import Account
from opsconsole.treasury.states import AccountKind

SWEEP = "sweep"


@dataclass(frozen=True, slots=True)
class Source:
    """An account that a sweep looks at: what it holds, what other plans are promised, what may be taken."""

    account_id: UUID
    iban: str
    bank: str
    balance: Decimal
    promised: Decimal
    open: bool
    takes: Decimal


def settlement_account(iban: str, currency: str) -> Account | None:
    """Our settlement account of this IBAN, if it is kept in the currency."""
    return (
        Account.objects.select_related("bank")
        .defer("bank__secret")
        .filter(iban=iban, currency=currency, kind=AccountKind.SETTLEMENT)
        .first()
    )


def sources(
    *, currency: str, ibans: Sequence[str] | None, bank: str | None, target: UUID, keep_minimum: Decimal
) -> list[Source]:
    """The accounts named, or all of the bank, but for the target; each with what lies above the minimum on it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select a.id, a.iban, b.code, a.ledger_balance, {promises.PROMISED} as promised,
              a.status = 'active' and b.status = 'active', 0
            from treasury_accounts a join treasury_banks b on b.id = a.bank_id
            where a.kind = 'settlement' and a.currency = %(currency)s and a.id <> %(target)s
              and (a.iban = any(%(ibans)s::text[]) or b.code = %(bank)s)
            order by b.code, a.iban
            """,
            {"currency": currency, "target": target, "ibans": list(ibans or ()), "bank": bank},
        )
        rows = [Source(*row) for row in cursor.fetchall()]
    return [
        Source(
            row.account_id,
            row.iban,
            row.bank,
            row.balance,
            row.promised,
            row.open,
            max(row.balance - row.promised - keep_minimum, Decimal(0)) if row.open else Decimal(0),
        )
        for row in rows
    ]


def reserve(plan: Plan, found: Iterable[Source], *, target: UUID, currency: str) -> int:
    """Promise what each account has to give; how many have."""
    assert_in_operation()
    taken = [source for source in found if source.takes > 0]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into treasury_sweeps (plan_id, step_seq, bank_id, account_id, target_id, amount, currency)
            select %s, t.seq, a.bank_id, a.id, %s, t.amount, %s
            from unnest(%s::uuid[], %s::numeric[]) with ordinality as t (account, amount, seq)
              join treasury_accounts a on a.id = t.account
            """,
            [plan.pk, target, currency, [one.account_id for one in taken], [one.takes for one in taken]],
        )
        return int(cursor.rowcount)


def bind_steps(plan: Plan) -> None:
    """Note on each planned sweep the step that was written for it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            update treasury_sweeps w set step_id = s.id from ops_plan_steps s
            where w.plan_id = %(plan)s and w.status = 'planned' and w.undoes_id is null and s.plan_id = %(plan)s
              and s.revision = %(revision)s and s.direction = 'execute' and s.seq = w.step_seq
            """,
            {"plan": plan.pk, "revision": plan.revision},
        )


def release(plan: Plan) -> int:
    """Give back what is promised and was not sent; returns how many. A way back stays promised: it is owed."""
    assert_in_operation()
    with bulk_joins(), connection.cursor() as cursor:
        cursor.execute(
            "update treasury_sweeps set status = 'released'"
            " where plan_id = %s and status = 'planned' and undoes_id is null",
            [plan.pk],
        )
        return int(cursor.rowcount)


def reopen_failed(plan: Plan, *, way_back: bool) -> None:
    """Promise failed transfers of the plan again, in one direction, under the same EndToEndId and key."""
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute(
            "update treasury_sweeps set status = 'planned', reason = ''"
            " where plan_id = %s and status = 'failed' and (undoes_id is not null) = %s",
            [plan.pk, way_back],
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One transfer of a plan, with everything that an order, a step and the impact need of it."""

    id: UUID
    step_seq: int
    step_id: UUID | None
    undoes: UUID | None
    status: str
    key: str
    reference: str
    end_to_end_id: str
    amount: Decimal
    currency: str
    external_id: str
    day: date
    bank: str
    bank_name: str
    bank_bic: str
    gateway: str
    fee: Decimal
    account_name: str
    iban: str
    balance: Decimal
    is_open: bool
    target_bank: str
    target_bic: str
    target_name: str
    target_iban: str
    target_balance: Decimal
    target_open: bool

    @property
    def is_internal(self) -> bool:
        """Whether both accounts are with the same bank."""
        return self.bank == self.target_bank

    @property
    def order(self) -> PaymentOrder:
        """What the bank is told."""
        return PaymentOrder(
            key=self.key,
            end_to_end_id=self.end_to_end_id,
            amount=self.amount,
            currency=self.currency,
            debtor_name=self.account_name,
            debtor_iban=self.iban,
            debtor_bic=self.bank_bic,
            creditor_name=self.target_name,
            creditor_iban=self.target_iban,
            creditor_bic=self.target_bic,
            remittance=f"{'Sweep back' if self.undoes else 'Sweep'} {self.external_id}"[:140],
            requested_on=self.day,
        )


# A way back goes out under a key of its own: the step's is that of the recall.
BACK = ":back"

_LINES = f"""
  select w.id, w.step_seq, w.step_id, w.undoes_id, w.status,
    coalesce(s.key, '') || case when w.undoes_id is null then '' else '{BACK}' end, w.bank_reference,
    w.end_to_end_id, w.amount, w.currency, p.external_id, (w.created_at at time zone 'UTC')::date,
    b.code, b.name, b.bic, b.gateway, b.fee_per_payment, a.name, a.iban, a.ledger_balance,
    a.status = 'active' and b.status = 'active',
    tb.code, tb.bic, t.name, t.iban, t.ledger_balance, t.status = 'active' and tb.status = 'active'
  from treasury_sweeps w
    join ops_plans p on p.id = w.plan_id
    join treasury_accounts a on a.id = w.account_id join treasury_banks b on b.id = w.bank_id
    join treasury_accounts t on t.id = w.target_id join treasury_banks tb on tb.id = t.bank_id
    left join ops_plan_steps s on s.id = w.step_id
"""


def planned(plan: Plan) -> list[Line]:
    """The transfers that the plan is going to make, in the order of its steps."""
    return _lines("w.plan_id = %s and w.status = 'planned' and w.undoes_id is null order by w.step_seq", [plan.pk])


def lines_of(steps: Sequence[UUID]) -> dict[UUID, Line]:
    """The transfer of each of these steps; of a step that was given up more than once, the live or the last one."""
    found = _lines("w.step_id = any(%s) order by w.status in ('released'), w.id desc", [list(steps)])
    lines: dict[UUID, Line] = {}
    for line in found:
        if line.step_id is not None:
            lines.setdefault(line.step_id, line)
    return lines


def _lines(where: str, values: list[Any]) -> list[Line]:
    with connection.cursor() as cursor:
        cursor.execute(f"{_LINES} where {where}", values)
        return [Line(*row) for row in cursor.fetchall()]
