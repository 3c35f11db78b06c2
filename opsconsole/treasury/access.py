"""Who may see and change what in treasury: fetched, locked and permitted in one call.

A role gives the model permission; a grant on one bank or account gives the sight of that one. What an actor may not
see does not exist for them.
"""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from guardian.shortcuts import get_objects_for_user

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, NotFound
from opsconsole.treasury.errors import AccountNotFound, BankNotFound, PayoutNotFound, RouteNotFound
from opsconsole.treasury.models import Account, Bank, Payout, Route

Row = TypeVar("Row", bound=Model)


def visible_banks(actor: Actor) -> QuerySet[Bank]:
    """The banks the actor may see; raises Denied for one who may see none."""
    return _visible(actor, Bank, "treasury.view_bank")


def visible_accounts(actor: Actor) -> QuerySet[Account]:
    """The accounts the actor may see; raises Denied for one who may see none."""
    return _visible(actor, Account, "treasury.view_account")


def visible_payouts(actor: Actor) -> QuerySet[Payout]:
    """All payouts; raises Denied for whom payouts are no business of."""
    actor.require("treasury.view_payout")
    return Payout.objects.all()


def visible_routes(actor: Actor) -> QuerySet[Route]:
    """All routes; raises Denied for whom routes are no business of."""
    actor.require("treasury.view_route")
    return Route.objects.select_related("bank", "account")


def account_seen_by(actor: Actor, account_id: UUID) -> Account:
    """The account, to read; raises AccountNotFound for one the actor may not see."""
    account = Account.objects.select_related("bank").filter(pk=account_id).first()
    return _seen(actor, account, "treasury.view_account", AccountNotFound("There is no such account."))


def bank_seen_by(actor: Actor, bank_id: UUID) -> Bank:
    """The bank, to read; raises BankNotFound for one the actor may not see."""
    bank = Bank.objects.filter(pk=bank_id).first()
    return _seen(actor, bank, "treasury.view_bank", BankNotFound("There is no such bank."))


def payout_seen_by(actor: Actor, payout_id: UUID) -> Payout:
    """The payout, to read; raises PayoutNotFound for one the actor may not see."""
    payout = Payout.objects.filter(pk=payout_id).first()
    return _seen(actor, payout, "treasury.view_payout", PayoutNotFound("There is no such payout."))


def payout_for(actor: Actor, payout_id: UUID) -> Payout:
    """The payout, locked to be held, released or retried; raises PayoutNotFound or Denied."""
    seen = payout_seen_by(actor, payout_id)
    actor.require("treasury.hold_payout")
    return Payout.objects.select_for_update(no_key=True).get(pk=seen.pk)


def route_for(actor: Actor, route_id: UUID) -> Route:
    """The route, locked to be led elsewhere; raises RouteNotFound or Denied."""
    route = Route.objects.filter(pk=route_id).first()
    seen = _seen(actor, route, "treasury.view_route", RouteNotFound("There is no such route."))
    actor.require("treasury.change_route")
    return Route.objects.select_for_update(no_key=True).get(pk=seen.pk)


def _visible(actor: Actor, model: type[Row], permission: str) -> QuerySet[Row]:
    everything = model._default_manager.all()
    if actor.may(permission):
        return everything
    granted = everything.none()
    if actor.user is not None and actor.user.is_active:
        granted = get_objects_for_user(actor.user, permission, everything, accept_global_perms=False)
    if not granted.exists():
        raise Denied(f"{actor.name} lacks the permission {permission}.", permission=permission)
    return granted


def _seen(actor: Actor, row: Row | None, permission: str, otherwise: NotFound) -> Row:
    if row is None or not actor.may(permission, row):
        raise otherwise
    return row
