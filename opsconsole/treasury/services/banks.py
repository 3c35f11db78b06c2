"""Setting up banks, their accounts and routes, and the money they start with.

Where payments go is no configuration that somebody edits: no role holds the permission these ask for, so only the
installation itself and, later, approved actions get through.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from opsconsole.core.actors import Actor
from opsconsole.core.fields import Secret
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.treasury import ledger
from opsconsole.treasury.models import Account, Bank, Route, Transfer
from opsconsole.treasury.selectors import ledger_account
from opsconsole.treasury.states import AccountKind, TransferKind

PERMISSION: Final = "treasury.set_up"
# Beside a settlement account, the ledger keeps one of each of these for the bank and currency.
BESIDE: Final = (AccountKind.IN_TRANSIT, AccountKind.PAID_OUT, AccountKind.FUNDING)


@dataclass(frozen=True, slots=True)
class BankFacts:
    """What there is to know about a bank."""

    code: str
    name: str
    bic: str
    gateway: str
    priority: int = 100
    base_url: str = ""
    key_id: str = ""
    secret: str = field(default="", repr=False)
    fee_per_payment: Decimal = Decimal(0)
    probing: bool = True


@operation
def set_up_bank(*, facts: BankFacts, actor: Actor) -> Bank:
    """Make the bank of this code what the facts say; journalled where that changes anything."""
    actor.require(PERMISSION)
    wanted = asdict(facts) | {"secret": Secret(facts.secret)}
    bank = Bank.objects.select_for_update(no_key=True).filter(code=facts.code).first()
    if bank is None:
        bank = Bank.objects.create(**wanted)
        record(actor, "bank.set_up", bank, after=wanted)
        return bank
    before = {name: value for name in wanted if (value := getattr(bank, name)) != wanted[name]}
    if before:
        after = {name: wanted[name] for name in before}
        for name, value in after.items():
            setattr(bank, name, value)
        bank.save(update_fields=list(after))
        record(actor, "bank.changed", bank, before=before, after=after)
    return bank


@operation
def open_account(*, bank_id: UUID, name: str, iban: str, currency: str, actor: Actor) -> Account:
    """Open a settlement account, and the ledger's own accounts beside it; the one with this IBAN if there is one."""
    actor.require(PERMISSION)
    account = Account.objects.filter(iban=iban).first()
    if account is not None:
        return account
    account = _open(bank_id, name, currency, AccountKind.SETTLEMENT, iban=iban, actor=actor)
    bank = Bank.objects.get(pk=bank_id)
    for kind in BESIDE:
        if not Account.objects.filter(bank=bank, currency=currency, kind=kind).exists():
            _open(bank_id, f"{bank.name} {currency} {kind.label}", currency, kind, iban=None, actor=actor)
    return account


@operation
def open_route(*, currency: str, country: str | None, account_id: UUID, actor: Actor) -> Route:
    """Lead a corridor through an account; the route that is there if there is one, wherever it leads by now."""
    actor.require(PERMISSION)
    route = Route.objects.filter(currency=currency, country=country).first()
    if route is None:
        account = Account.objects.get(pk=account_id)
        route = Route.objects.create(currency=currency, country=country, account=account, bank_id=account.bank_id)
        record(actor, "route.opened", route, after={"corridor": route.corridor, "account": account.pk})
    return route


@operation
def fund_account(*, account_id: UUID, amount: Decimal, reference: str, actor: Actor) -> bool:
    """Book money that came into a settlement account from outside; False if this reference is in the ledger."""
    actor.require(PERMISSION)
    if Transfer.objects.filter(reference=reference).exists():
        return False
    account = Account.objects.get(pk=account_id)
    funding = ledger_account(account.bank_id, account.currency, AccountKind.FUNDING)
    record(actor, "account.funded", account, after={"amount": amount, "reference": reference})
    ledger.book([ledger.Movement(TransferKind.FUNDED, reference, funding.pk, account.pk, amount, account.currency)])
    return True


def _open(bank_id: UUID, name: str, currency: str, kind: AccountKind, *, iban: str | None, actor: Actor) -> Account:
    facts: dict[str, Any] = {"name": name, "iban": iban, "currency": currency, "kind": str(kind)}
    account = Account.objects.create(bank_id=bank_id, **facts)
    record(actor, "account.opened", account, after={"bank": bank_id, **facts})
    return account
