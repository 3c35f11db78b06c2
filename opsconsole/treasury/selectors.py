"""What treasury is asked: payouts by what people filter on, the money on accounts, the way a payout takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from opsconsole.treasury.models import Account, Bank, Freeze, Payout, Route
from opsconsole.treasury.payouts.facts import COLUMNS
from opsconsole.treasury.states import OPEN_INSTRUCTIONS, OPEN_SWEEPS, AccountKind, FreezeKind, PayoutState


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


def ids_by_external_id(payouts: QuerySet[Payout], external_ids: Iterable[str]) -> dict[str, UUID]:
    """The ids of those of these payouts that bear one of the external ids."""
    return dict(payouts.filter(external_id__in=list(external_ids)).values_list("external_id", "id"))


def live_freezes(*, account: Account | None = None, payout: Payout | None = None) -> QuerySet[Freeze]:
    """The freezes that stand on an account, or that keep a payout from being paid."""
    meant = Q(pk=None)
    if account is not None:
        meant |= Q(account=account)
    if payout is not None:
        meant |= Q(kind=FreezeKind.BENEFICIARY, subject=payout.iban)
        meant |= Q(kind=FreezeKind.ACCOUNT, account__iban=payout.iban)
        if payout.merchant:
            meant |= Q(kind=FreezeKind.MERCHANT, subject=payout.merchant)
    return Freeze.objects.filter(meant, lifted_at=None).select_related("plan").order_by("set_at")


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


def existing_codes(codes: Iterable[str]) -> set[str]:
    """Those of the codes that a bank has."""
    return set(Bank.objects.filter(code__in=list(codes)).values_list("code", flat=True))


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
            select b.code, coalesce(extract(epoch from now() - least((
              select i.sent_at from treasury_instructions i where i.bank_id = b.id and i.status = 'sent'
              order by i.sent_at limit 1), (
              select min(w.sent_at) from treasury_sweeps w where w.bank_id = b.id and w.status = 'sent'))), 0)
            from treasury_banks b order by b.code
            """
        )
        return {code: float(age) for code, age in cursor.fetchall()}


def open_breaks() -> tuple[int, float]:
    """How many breaks are open, and how many seconds ago the oldest of them was found; from the index of just those."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*), coalesce(extract(epoch from now() - min(created_at)), 0) from treasury_breaks"
            " where status = 'open'"
        )
        count, age = cursor.fetchone()
        return int(count), float(age)


def files_left_behind(seconds: float) -> list[UUID]:
    """Files of banks that nobody has taken in to their end for so long, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select id from treasury_bank_files where status = 'reading'"
            " and created_at < now() - make_interval(secs => %s) order by created_at limit 100",
            [seconds],
        )
        return [row[0] for row in cursor.fetchall()]


def oldest_unread_file() -> float:
    """How many seconds ago the oldest file came that is not taken in to its end; 0 where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select coalesce(extract(epoch from now() - min(created_at)), 0) from treasury_bank_files"
            " where status = 'reading'"
        )
        return float(cursor.fetchone()[0])


def open_sweeps() -> dict[str, int]:
    """How many sweeps there are in each state that is not an end, from the index of just those."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select status, count(*) from treasury_sweeps where status in ('planned', 'sending', 'sent')"
            " group by status"
        )
        counted = dict(cursor.fetchall())
    return {state.value: counted.get(state.value, 0) for state in OPEN_SWEEPS}


def balance_differences() -> list[tuple[str, str, str, Decimal]]:
    """Bank, IBAN, currency, and how much more the bank stated last than the ledger expected; of stated accounts."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select b.code, a.iban, a.currency, s.stated - s.expected
            from treasury_accounts a join treasury_banks b on b.id = a.bank_id
              join lateral (
                select stated, expected from treasury_stated_balances s where s.account_id = a.id
                order by s.as_of desc, s.id desc limit 1) s on true
            where a.kind = 'settlement' order by 1, 2
            """
        )
        return [(code, iban, currency, difference) for code, iban, currency, difference in cursor.fetchall()]
