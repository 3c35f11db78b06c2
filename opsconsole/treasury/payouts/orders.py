"""The payments of a plan as orders: read from its instructions, written as steps, held against what was staged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from opsconsole.core.canonical import canonical
from opsconsole.core.errors import RuleBroken
from opsconsole.core.texts import Text
from opsconsole.plans.models import Plan, Step
from opsconsole.plans.states import Direction
from opsconsole.plans.types import StepDraft
from opsconsole.treasury.gateways.base import PaymentOrder
from opsconsole.treasury.gateways.credit_transfer import problems_of
from opsconsole.treasury.gateways.sepa import transliterate

MOST_SHOWN = 20
PAYMENT, FILE = "payment", "file"


@dataclass(frozen=True, slots=True)
class Planned:
    """One planned instruction with everything an order needs."""

    step_seq: int
    step_id: UUID | None
    external_id: str
    due_date: date
    remittance: str
    bank_code: str
    gateway: str
    order: PaymentOrder


_PLANNED = """
  select i.step_seq, i.step_id, p.external_id, p.due_date, p.remittance, b.code, b.gateway,
    i.end_to_end_id, i.amount, i.currency, a.name, a.iban, b.bic, p.beneficiary_name, p.iban, p.bic, s.key,
    s.payload ->> 'requested_on'
  from treasury_instructions i
    join treasury_payouts p on p.id = i.payout_id
    join treasury_accounts a on a.id = i.account_id
    join treasury_banks b on b.id = i.bank_id
    left join ops_plan_steps s on s.id = i.step_id
"""


def planned(plan: Plan, today: date) -> Iterator[Planned]:
    """The planned instructions of a plan that is being staged, in the order of its steps."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_PLANNED} where i.plan_id = %s and i.status = 'planned' order by i.step_seq, i.ordinal", [plan.pk]
        )
        for row in cursor.fetchall():
            yield _planned(row, today)


def lines_of(steps: list[UUID]) -> list[Planned]:
    with connection.cursor() as cursor:
        cursor.execute(f"{_PLANNED} where i.step_id = any(%s) order by i.step_seq, i.ordinal", [steps])
        return [_planned(row, None) for row in cursor.fetchall()]


def _planned(row: tuple[Any, ...], today: date | None) -> Planned:
    (
        step_seq, step_id, external_id, due_date, remittance, bank_code, gateway, end_to_end_id, amount, currency,
        debtor_name, debtor_iban, debtor_bic, creditor_name, creditor_iban, creditor_bic, key, requested_on,
    ) = row  # fmt: skip
    order = PaymentOrder(
        key=key or "",
        end_to_end_id=end_to_end_id,
        amount=amount,
        currency=currency,
        debtor_name=debtor_name,
        debtor_iban=debtor_iban,
        debtor_bic=debtor_bic,
        creditor_name=creditor_name,
        creditor_iban=creditor_iban,
        creditor_bic=creditor_bic,
        remittance=remittance,
        requested_on=date.fromisoformat(requested_on) if requested_on else (today or due_date),
    )
    return Planned(step_seq, step_id, external_id, due_date, remittance, bank_code, gateway, order)


def payment_step(line: Planned) -> StepDraft:
    return StepDraft(
        kind=PAYMENT,
        payload={
            "payout": line.external_id,
            "bank": line.bank_code,
            "account": line.order.debtor_iban,
            "beneficiary": line.order.creditor_name,
            "iban": line.order.creditor_iban,
            "bic": line.order.creditor_bic,
            "amount": line.order.amount,
            "currency": line.order.currency,
            "due_date": line.due_date,
            "remittance": line.remittance,
            "requested_on": line.order.requested_on,
        },
        compensation={"bank": line.bank_code, "recall": line.external_id, "amount": line.order.amount},
    )


def file_step(lines: list[Planned]) -> StepDraft:
    problems = list(problems_of([line.order for line in lines]))
    if problems:
        said = ngettext_lazy(
            "{count} payout cannot stand in a file: {first}",
            "{count} payouts cannot stand in a file: {first}",
            len(problems),
        )
        raise RuleBroken(
            format_lazy(said, count=len(problems), first=problems[0].told),
            problems=[str(problem) for problem in problems[:MOST_SHOWN]],
        )
    first = lines[0].order
    control_sum = sum((line.order.amount for line in lines), Decimal(0))
    return StepDraft(
        kind=FILE,
        payload={
            "bank": lines[0].bank_code,
            "account": first.debtor_iban,
            "format": "pain.001.001.09",
            "count": len(lines),
            "control_sum": control_sum,
            "currency": first.currency,
            "requested_on": first.requested_on,
            "payments_digest": payments_digest(lines),
        },
        compensation={"bank": lines[0].bank_code, "withdraw": len(lines), "amount": control_sum},
    )


def payments_digest(lines: Iterable[Planned]) -> str:
    """SHA-256 over who gets what in a file, one canonical line each: what the approval of the file covers."""
    running = hashlib.sha256()
    for line in lines:
        order = line.order
        fields = [
            line.external_id, order.creditor_name, order.creditor_iban, order.creditor_bic, order.amount,
            order.currency, order.remittance,
        ]  # fmt: skip
        running.update(canonical(fields) + b"\n")
    return running.hexdigest()


def transliterated(plan: Plan) -> list[dict[str, str]]:
    """Names that a file will carry in other letters; the first of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select distinct p.beneficiary_name from treasury_instructions i
              join treasury_payouts p on p.id = i.payout_id join treasury_banks b on b.id = i.bank_id
            where i.plan_id = %s and i.status = 'planned' and b.gateway = 'iso20022' order by 1
            """,
            [plan.pk],
        )
        names = [row[0] for row in cursor.fetchall()]
    changed = [{"name": name, "as": transliterate(name)} for name in names if transliterate(name) != name]
    return changed[:MOST_SHOWN]


def changed_payouts(plan: Plan) -> list[Text]:
    """Payouts whose facts are no longer those of their step."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select p.external_id from treasury_instructions i join treasury_payouts p on p.id = i.payout_id
              join ops_plan_steps s on s.id = i.step_id
            where i.plan_id = %s and i.status = 'planned' and s.kind = 'payment'
              and (s.payload ->> 'amount' <> p.amount::text or s.payload ->> 'iban' <> p.iban
                or s.payload ->> 'beneficiary' <> p.beneficiary_name or s.payload ->> 'currency' <> p.currency
                or i.amount <> p.amount)
            order by 1 limit 20
            """,
            [plan.pk],
        )
        payout = _("The payout {payout} has changed since it was staged.")
        changed: list[Text] = [format_lazy(payout, payout=row[0]) for row in cursor.fetchall()]
    files = Step.objects.filter(plan=plan, revision=plan.revision, direction=Direction.EXECUTE, kind=FILE)
    return changed + [
        format_lazy(_("The payments of file {number} have changed since it was staged."), number=step.seq)
        for step in files
        if payments_digest(lines_of([step.pk])) != step.payload["payments_digest"]
    ]
