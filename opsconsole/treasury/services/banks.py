"""Setting up banks, their accounts and routes, and the money they start with; pausing a bank and resuming it.

Where payments go is no configuration that somebody edits: no role holds the permission these ask for, so only the
installation itself and the steps of approved plans get through.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from opsconsole.core.actors import Actor
from opsconsole.core.fields import Secret
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import record
from opsconsole.plans.models import Step
from opsconsole.plans.outcomes import Outcome, Refused, Skipped
from opsconsole.treasury import access, ledger
from opsconsole.treasury.closing import alterations, closures
from opsconsole.treasury.models import Account, Bank, Route, Transfer
from opsconsole.treasury.selectors import ledger_account
from opsconsole.treasury.states import AccountKind, BankState, TransferKind

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
    actor.require(access.SET_UP)
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
    actor.require(access.SET_UP)
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
    actor.require(access.SET_UP)
    route = Route.objects.filter(currency=currency, country=country).first()
    if route is None:
        account = Account.objects.get(pk=account_id)
        route = Route.objects.create(currency=currency, country=country, account=account, bank_id=account.bank_id)
        record(actor, "route.opened", route, after={"corridor": route.corridor, "account": account.pk})
    return route


@operation
def fund_account(*, account_id: UUID, amount: Decimal, reference: str, actor: Actor) -> bool:
    """Book money that came into a settlement account from outside; False if this reference is in the ledger."""
    actor.require(access.SET_UP)
    if Transfer.objects.filter(reference=reference).exists():
        return False
    account = Account.objects.get(pk=account_id)
    funding = ledger_account(account.bank_id, account.currency, AccountKind.FUNDING)
    record(actor, "account.funded", account, after={"amount": amount, "reference": reference})
    ledger.book([ledger.Movement(TransferKind.FUNDED, reference, funding.pk, account.pk, amount, account.currency)])
    return True


@operation
def pause_bank(*, step: Step, actor: Actor) -> Outcome:
    """Do a step that pauses a bank, once under its key: from the commit on no payment to it is marked as going out.

    Skipped for a bank that is paused already: it stays as it is, also when the plan is rolled back.
    """
    actor.require(access.SET_UP)
    if (known := alterations.begin(step)) is not None:
        return known
    closures.close_doors()
    bank = Bank.objects.select_for_update(no_key=True).filter(code=step.payload["bank"]).first()
    if bank is None:
        return Refused("no_bank", f"There is no bank {step.payload['bank']}.")
    if bank.status == BankState.PAUSED:
        return Skipped("already_paused", f"{bank.name} was paused before this plan came to it; it stays as it is.")
    return _turn(bank, BankState.PAUSED, step, actor=actor, reason=step.payload["reason"])


@operation
def resume_bank(*, step: Step, actor: Actor) -> Outcome:
    """Undo such a step, once: the bank becomes what it was. Skipped where that would undo somebody else's pause."""
    actor.require(access.SET_UP)
    if (known := alterations.begin(step)) is not None:
        return known
    closures.close_doors()
    bank = Bank.objects.select_for_update(no_key=True).get(code=step.payload["bank"])
    paused = alterations.of_undone(step)
    if paused is None or bank.status != BankState.PAUSED:
        return Skipped("not_paused", f"{bank.name} is not paused by this plan any more.")
    if not alterations.is_latest(paused):
        return Skipped("paused_again", f"{bank.name} was resumed and paused again by another plan; it stays paused.")
    return _turn(bank, BankState(paused.before["status"]), step, actor=actor, reason="")


def _turn(bank: Bank, state: BankState, step: Step, *, actor: Actor, reason: str) -> Outcome:
    before = {"status": bank.status}
    bank.move_to(state).save(update_fields=["status"])
    verb = "bank.paused" if state == BankState.PAUSED else "bank.resumed"
    after = {"bank": bank.code, "status": bank.status}
    record(actor, verb, bank, before=before, after={**after, "plan": step.plan_id, "step": step.key}, reason=reason)
    emit(verb, kind="bank", id=bank.pk, data={"bank": bank.code, "plan": str(step.plan_id), "reason": reason})
    return alterations.note(step, bank, before=before, after=after)


def _open(bank_id: UUID, name: str, currency: str, kind: AccountKind, *, iban: str | None, actor: Actor) -> Account:
    facts: dict[str, Any] = {"name": name, "iban": iban, "currency": currency, "kind": str(kind)}
    account = Account.objects.create(bank_id=bank_id, **facts)
    record(actor, "account.opened", account, after={"bank": bank_id, **facts})
    return account
