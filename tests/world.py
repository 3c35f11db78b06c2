"""A small treasury for tests: banks, funded accounts, routes and payouts, made by operations like everything else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import Subject, record
from opsconsole.treasury import ledger
from opsconsole.treasury.ledger import Movement
from opsconsole.treasury.models import Account, Bank, Payout, Route
from opsconsole.treasury.states import AccountKind, GatewayKind, TransferKind
from tests.sandbox_bank.process import OUR_IBAN, BankProcess

ISO_IBAN = "DE75512108001245126199"
PAYEES = ("DE25370400449046584330", "DE84100700004897785971", "FR7630006000011234567890189", "BE68539007547034")


@dataclass(frozen=True, slots=True)
class World:
    """What `build` has made."""

    http: Bank
    account: Account
    iso: Bank
    iso_account: Account
    route: Route


@operation
def build(*, base_url: str, secret: str, balance: Decimal, actor: Actor) -> World:
    """One HTTP bank and one that takes files, an account each, and a route through the first."""
    http = Bank.objects.create(
        code="sandbox", name="Sandbox Bank", bic="COBADEFFXXX", gateway=GatewayKind.HTTP, base_url=base_url,
        key_id=BankProcess.key_id, secret=secret, fee_per_payment=Decimal("0.20"),
    )  # fmt: skip
    iso = Bank.objects.create(code="filebank", name="File Bank", bic="SOGEDEFFXXX", gateway=GatewayKind.ISO20022)
    accounts: dict[tuple[str, str], Account] = {}
    for bank, iban in ((http, OUR_IBAN), (iso, ISO_IBAN)):
        for kind in AccountKind:
            accounts[bank.code, kind.value] = Account.objects.create(
                bank=bank,
                name=f"{bank.name} {kind.label}",
                iban=iban if kind == AccountKind.SETTLEMENT else None,
                currency="EUR",
                kind=kind,
            )
    route = Route.objects.create(currency="EUR", bank=http, account=accounts["sandbox", "settlement"])
    record(actor, "world.built", Subject("test", "world"))
    ledger.book(
        [
            Movement(
                kind=TransferKind.FUNDED,
                reference=f"opening:{code}",
                source=accounts[code, "funding"].pk,
                target=accounts[code, "settlement"].pk,
                amount=balance,
                currency="EUR",
            )
            for code in ("sandbox", "filebank")
        ]
    )
    return World(http, accounts["sandbox", "settlement"], iso, accounts["filebank", "settlement"], route)


@operation
def add_payouts(
    *, count: int, amount: Decimal, actor: Actor, prefix: str = "PAY", due: date = date(2025, 7, 1)
) -> list[UUID]:
    """So many payable payouts, a cent apart, to a few payees; one is due each day."""
    payouts = Payout.objects.bulk_create(
        Payout(
            external_id=f"{prefix}-{number:05}",
            beneficiary_name=f"Payee {number % len(PAYEES)} GmbH",
            iban=PAYEES[number % len(PAYEES)],
            bic="COBADEFFXXX",
            amount=amount + Decimal(number) / 100,
            currency="EUR",
            due_date=due + timedelta(days=number % 20),
            remittance=f"Invoice {number}",
        )
        for number in range(count)
    )
    record(actor, "payouts.made", Subject("test", prefix), after={"count": count})
    return [payout.pk for payout in payouts]


@operation
def route_through(*, route: UUID, account: Account, actor: Actor) -> None:
    """Lead the route through another account."""
    Route.objects.filter(pk=route).update(bank_id=account.bank_id, account=account)
    record(actor, "route.led", Subject("treasury_routes", str(route)))


@operation
def set_probing(*, bank: UUID, probing: bool, actor: Actor) -> None:
    """Switch the probing of a bank on or off."""
    Bank.objects.filter(pk=bank).update(probing=probing)
    record(actor, "bank.probing", Subject("treasury_banks", str(bank)))


def counts(table: str, column: str = "status") -> dict[str, int]:
    """How many rows of a table have each value of a column."""
    with connection.cursor() as cursor:
        cursor.execute(f"select {column}, count(*) from {table} group by 1")
        return dict(cursor.fetchall())


TESTER = SYSTEM("test")
