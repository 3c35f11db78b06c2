"""Who may see and change what in treasury: fetched, locked and permitted in one call.

A role gives the model permission over everything. A grant of `view_bank` on one bank opens that bank and its accounts,
one of `view_account` that account, and either opens what happens on those accounts: routes, instructions, transfers,
sweeps, freezes, breaks, files of the bank. What an actor may not see does not exist for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar
from uuid import UUID

from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, NotFound
from opsconsole.core.grants import granted
from opsconsole.treasury.errors import (
    AccountNotFound,
    BankFileNotFound,
    BankNotFound,
    BreakNotFound,
    PayoutNotFound,
    RouteNotFound,
)
from opsconsole.treasury.models import (
    Account,
    Bank,
    BankFile,
    BankLine,
    Break,
    Freeze,
    Instruction,
    Leg,
    Payout,
    Route,
    StatedBalance,
    Sweep,
    Transfer,
)

Row = TypeVar("Row", bound=Model)

# Where payments go, and what is closed to them: no role holds this, so only the installation and the steps of approved
# plans get through.
SET_UP: Final = "treasury.set_up"


def visible_banks(actor: Actor) -> QuerySet[Bank]:
    """The banks the actor may see; raises Denied for one who may see none."""
    return _visible(actor, "treasury.view_bank", Bank.objects.all(), _open_banks(actor))


def visible_accounts(actor: Actor) -> QuerySet[Account]:
    """The accounts the actor may see; raises Denied for one who may see none."""
    return _visible(actor, "treasury.view_account", Account.objects.all(), _open_accounts(actor))


def visible_payouts(actor: Actor) -> QuerySet[Payout]:
    """All payouts; raises Denied for whom payouts are no business of."""
    actor.require("treasury.view_payout")
    return Payout.objects.all()


def visible_routes(actor: Actor) -> QuerySet[Route]:
    """Routes, or those that pay from accounts the actor may see; raises Denied for one who may see none of those."""
    routes = Route.objects.select_related("bank", "account")
    return _of_accounts(actor, "treasury.view_route", routes, lambda opened: Q(account__in=opened))


def visible_instructions(actor: Actor) -> QuerySet[Instruction]:
    """Instructions, or those that pay from accounts the actor may see; raises Denied for one who may see none."""
    return _of_accounts(
        actor, "treasury.view_instruction", Instruction.objects.all(), lambda opened: Q(account__in=opened)
    )


def visible_transfers(actor: Actor) -> QuerySet[Transfer]:
    """Transfers, or those with a leg on an account the actor may see; raises Denied for one who may see none."""
    return _of_accounts(
        actor,
        "treasury.view_transfer",
        Transfer.objects.all(),
        lambda opened: Q(Exists(Leg.objects.filter(transfer=OuterRef("pk"), account__in=opened))),
    )


def visible_freezes(actor: Actor) -> QuerySet[Freeze]:
    """Freezes, or those of accounts the actor may see; raises Denied for one who may see none of those."""
    freezes = Freeze.objects.select_related("account", "plan")
    return _of_accounts(actor, "treasury.view_freeze", freezes, lambda opened: Q(account__in=opened))


def visible_sweeps(actor: Actor) -> QuerySet[Sweep]:
    """Sweeps, or those from or to accounts the actor may see; raises Denied for one who may see none of those."""
    sweeps = Sweep.objects.select_related("bank", "account", "target", "plan").defer("bank__secret")
    return _of_accounts(
        actor, "treasury.view_sweep", sweeps, lambda opened: Q(account__in=opened) | Q(target__in=opened)
    )


def visible_bank_files(actor: Actor) -> QuerySet[BankFile]:
    """Files, or those that speak of accounts the actor may see and of no other; raises Denied as the others do."""
    return _of_accounts(actor, "treasury.view_bankfile", BankFile.objects.all(), _file_of)


def visible_breaks(actor: Actor) -> QuerySet[Break]:
    """Breaks, or those of lines about accounts the actor may see; raises Denied for one who may see none of those."""
    breaks = Break.objects.select_related("line", "file")
    return _of_accounts(
        actor,
        "treasury.view_break",
        breaks,
        lambda opened: Q(Exists(BankLine.objects.filter(_line_of(opened), pk=OuterRef("line")))),
    )


def bank_file_seen_by(actor: Actor, file_id: UUID) -> BankFile:
    """The file, to read; raises BankFileNotFound for one the actor may not see."""
    return _one(visible_bank_files, actor, file_id, BankFileNotFound(_("There is no such bank file.")))


def break_for(actor: Actor, break_id: UUID) -> Break:
    """The break, locked to be resolved; raises BreakNotFound or Denied."""
    seen = _one(visible_breaks, actor, break_id, BreakNotFound(_("There is no such break.")))
    actor.require("treasury.resolve_break")
    return Break.objects.select_for_update(no_key=True, of=("self",)).select_related("line", "file").get(pk=seen.pk)


def account_seen_by(actor: Actor, account_id: UUID) -> Account:
    """The account, to read; raises AccountNotFound for one the actor may not see."""
    return _one(
        lambda viewer: visible_accounts(viewer).select_related("bank"),
        actor,
        account_id,
        AccountNotFound(_("There is no such account.")),
    )


def bank_seen_by(actor: Actor, bank_id: UUID) -> Bank:
    """The bank, to read; raises BankNotFound for one the actor may not see."""
    return _one(visible_banks, actor, bank_id, BankNotFound(_("There is no such bank.")))


def sees_account(actor: Actor, **by: str) -> bool:
    """Whether there is an account of this `pk` or `iban` that the actor may see."""
    try:
        return visible_accounts(actor).filter(**by).exists()
    except Denied:
        return False


def sees_bank(actor: Actor, code: str) -> bool:
    """Whether there is a bank of this code that the actor may see."""
    try:
        return visible_banks(actor).filter(code=code).exists()
    except Denied:
        return False


def payout_seen_by(actor: Actor, payout_id: UUID) -> Payout:
    """The payout, to read; raises PayoutNotFound for one the actor may not see."""
    return _one(visible_payouts, actor, payout_id, PayoutNotFound(_("There is no such payout.")))


def payout_for(actor: Actor, payout_id: UUID) -> Payout:
    """The payout, locked to be held, released or retried; raises PayoutNotFound or Denied."""
    seen = payout_seen_by(actor, payout_id)
    actor.require("treasury.hold_payout")
    return Payout.objects.select_for_update(no_key=True).get(pk=seen.pk)


def payouts_for(actor: Actor, payout_ids: Sequence[UUID]) -> list[Payout]:
    """Several payouts, locked by id to be held or released; raises PayoutNotFound if one is missing, or Denied."""
    visible_payouts(actor)
    actor.require("treasury.hold_payout")
    rows = list(Payout.objects.select_for_update(no_key=True).filter(pk__in=payout_ids).order_by("pk"))
    if len(rows) != len(set(payout_ids)):
        raise PayoutNotFound(_("Some of these payouts do not exist."))
    return rows


def route_for(actor: Actor, route_id: UUID) -> Route:
    """The route, locked to be led elsewhere; raises RouteNotFound or Denied."""
    seen = _one(visible_routes, actor, route_id, RouteNotFound(_("There is no such route.")))
    actor.require("treasury.change_route")
    return Route.objects.select_for_update(no_key=True).get(pk=seen.pk)


def _open_banks(actor: Actor) -> QuerySet[Bank]:
    return granted(actor, "treasury.view_bank", Bank.objects.all())


def _open_accounts(actor: Actor) -> QuerySet[Account]:
    by_account = granted(actor, "treasury.view_account", Account.objects.all())
    return Account.objects.filter(Q(pk__in=by_account.values("pk")) | Q(bank__in=_open_banks(actor).values("pk")))


def _visible(actor: Actor, permission: str, everything: QuerySet[Row], opened: QuerySet[Row]) -> QuerySet[Row]:
    if actor.may(permission):
        return everything
    if not opened.exists():
        raise _lacking(actor, permission)
    return opened


def _of_accounts(
    actor: Actor, permission: str, everything: QuerySet[Row], belonging: Callable[[QuerySet[Account]], Q]
) -> QuerySet[Row]:
    """All, or what belongs to accounts that were opened: a list that may be empty, for whoever was given any."""
    if actor.may(permission):
        return everything
    opened = _open_accounts(actor)
    if not opened.exists():
        raise _lacking(actor, permission)
    return everything.filter(belonging(opened))


def _line_of(opened: QuerySet[Account]) -> Q:
    """Lines of bank files that speak of these accounts: by their IBAN, or by the payment they tell of."""
    return (
        Q(account__in=opened.filter(iban__isnull=False).values("iban"))
        | Q(instruction__account__in=opened)
        | Q(sweep__account__in=opened)
        | Q(sweep__target__in=opened)
    )


def _file_of(opened: QuerySet[Account]) -> Q:
    """Files that are about these accounts alone: a file is shown whole, so nothing in it may be of another one."""
    lines, balances = BankLine.objects.filter(file=OuterRef("pk")), StatedBalance.objects.filter(file=OuterRef("pk"))
    told_of = Q(Exists(lines.filter(_line_of(opened)))) | Q(Exists(balances.filter(account__in=opened)))
    foreign = Account.objects.exclude(pk__in=opened.values("pk"))
    others = (
        Q(account__in=foreign.filter(iban__isnull=False).values("iban"))
        | Q(instruction__account__in=foreign)
        | Q(sweep__account__in=foreign, sweep__target__in=foreign)
    )
    return told_of & ~Q(Exists(lines.filter(others))) & ~Q(Exists(balances.filter(account__in=foreign)))


def _lacking(actor: Actor, permission: str) -> Denied:
    said = format_lazy(_("{actor} lacks the permission {permission}."), actor=actor.name, permission=permission)
    return Denied(said, permission=permission)


def _one(visible: Callable[[Actor], QuerySet[Row]], actor: Actor, pk: UUID, otherwise: NotFound) -> Row:
    try:
        row = visible(actor).filter(pk=pk).first()
    except Denied:
        row = None
    if row is None:
        raise otherwise
    return row
