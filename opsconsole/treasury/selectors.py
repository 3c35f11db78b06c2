"""What treasury is asked: payouts by what people filter on, the money on accounts, the way a payout takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from opsconsole.treasury.models import Account, Payout, Route
from opsconsole.treasury.payout_facts import COLUMNS
from opsconsole.treasury.states import OPEN_INSTRUCTIONS, AccountKind, PayoutState


def search_payouts(payouts: QuerySet[Payout], words: str) -> QuerySet[Payout]:
    """Those whose external id or name begins with the words, or whose IBAN they are: what an index finds."""
    text = words.strip()
    return payouts.filter(
        Q(external_id__startswith=text) | Q(beneficiary_name__startswith=text) | Q(iban=text.replace(" ", "").upper())
    )


def payable_due(currency: str, by: date) -> QuerySet[Payout]:
    """Payouts that can be paid and are due by that day, in the order in which money goes to them."""
    return Payout.objects.filter(status=PayoutState.PAYABLE, currency=currency, due_date__lte=by).order_by(
        "due_date", "external_id"
    )


def payouts_by_external_id(external_ids: Iterable[str]) -> dict[str, tuple[object, ...]]:
    """The facts of these payouts as they stand, in the order of COLUMNS, by external id."""
    rows = Payout.objects.filter(external_id__in=list(external_ids)).values_list(*COLUMNS)
    return {row[0]: row for row in rows}


@dataclass(frozen=True, slots=True)
class Tallied:
    """How many payouts there are in one state and currency, and what they sum to."""

    status: str
    currency: str
    count: int
    amount: Decimal


def payout_tallies() -> list[Tallied]:
    """Payouts by status and currency, from the tallies: a few rows, however many payouts there are."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select status, currency, sum(count)::bigint, sum(amount) from treasury_tallies
            group by status, currency having sum(count) <> 0 order by status, currency
            """
        )
        return [Tallied(*row) for row in cursor.fetchall()]


def ledger_account(bank_id: UUID, currency: str, kind: AccountKind) -> Account:
    """The bank's one account of this kind that is the ledger's own; raises Account.DoesNotExist."""
    return Account.objects.get(bank_id=bank_id, currency=currency, kind=kind)


def route_of(currency: str, country: str) -> Route | None:
    """The route of a corridor: the one that names the country, else the one for any; None where there is none."""
    routes = Route.objects.select_related("bank", "account").filter(
        Q(country=country) | Q(country__isnull=True), currency=currency
    )
    return routes.order_by("country").first()  # NULL sorts last


def open_instructions() -> dict[str, int]:
    """How many instructions there are in each state that is not an end, from the index of just those."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select status, count(*) from treasury_instructions where status in ('planned', 'sending', 'sent')"
            " group by status"
        )
        counted = dict(cursor.fetchall())
    return {state.value: counted.get(state.value, 0) for state in OPEN_INSTRUCTIONS}


def oldest_unsettled() -> dict[str, float]:
    """For each bank, how many seconds ago its oldest unsettled payment was sent; 0 where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select b.code, coalesce(extract(epoch from now() - (
              select i.sent_at from treasury_instructions i where i.bank_id = b.id and i.status = 'sent'
              order by i.sent_at limit 1)), 0)
            from treasury_banks b order by b.code
            """
        )
        return {code: float(age) for code, age in cursor.fetchall()}
