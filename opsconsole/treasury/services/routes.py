"""Routes: which account pays a corridor."""

from __future__ import annotations

from uuid import UUID

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.treasury import access
from opsconsole.treasury.errors import RouteRefused
from opsconsole.treasury.models import Account, Route
from opsconsole.treasury.states import AccountKind, AccountState, BankState


@operation
def change_route(*, route_id: UUID, account_id: UUID, reason: str, actor: Actor) -> Route:
    """Lead a route through another account, and so perhaps another bank; what is planned already keeps its way.

    Raises RouteRefused for an account that cannot pay this corridor, RouteNotFound, AccountNotFound, Denied. The
    same account again changes nothing and leaves no entry.
    """
    route = access.route_for(actor, route_id)
    account = access.account_seen_by(actor, account_id)
    if account.pk == route.account_id:
        return route
    _check(route, account)
    before = {"account": route.account_id, "bank": route.bank_id}
    route.account, route.bank = account, account.bank
    route.save(update_fields=["account", "bank"])
    record(
        actor,
        "route.changed",
        route,
        before=before,
        after={"account": route.account_id, "bank": route.bank_id},
        reason=reason.strip(),
    )
    return route


def _check(route: Route, account: Account) -> None:
    if account.kind != AccountKind.SETTLEMENT:
        raise RouteRefused(f"{account.name} is not a settlement account.", account=account.pk)
    if account.currency != route.currency:
        raise RouteRefused(f"{account.name} is kept in {account.currency}, not {route.currency}.", account=account.pk)
    if account.status != AccountState.ACTIVE:
        raise RouteRefused(f"{account.name} is frozen.", account=account.pk)
    if account.bank.status != BankState.ACTIVE:
        raise RouteRefused(f"{account.bank.name} is paused.", bank=account.bank_id)
