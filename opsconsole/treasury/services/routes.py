"""Routes: which account pays a corridor; led elsewhere one by one, or by the steps of a failover."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.plans.models import Step
from opsconsole.plans.outcomes import Outcome, Refused, Skipped
from opsconsole.treasury import access
from opsconsole.treasury.closing import alterations
from opsconsole.treasury.errors import RouteRefused
from opsconsole.treasury.models import Account, Route
from opsconsole.treasury.states import AccountKind, AccountState, BankState


@operation
def change_route(*, route_id: UUID, account_id: UUID, reason: str, actor: Actor) -> Route:
    """Lead a route through another account, and so perhaps another bank.

    A plan that is staged and would pay the other way has drifted: executing it stages it afresh. A run that is going
    keeps the way that was approved. Raises RouteRefused for an account that cannot pay this corridor, RouteNotFound,
    AccountNotFound, Denied. The same account again changes nothing and leaves no entry.
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


@operation
def lead_route(*, step: Step, actor: Actor) -> Outcome:
    """Do a step of a failover, once under its key; refused where the route or its new account is not as approved."""
    actor.require(access.SET_UP)
    if (known := alterations.begin(step)) is not None:
        return known
    route = _route_of(step)
    if route is None:
        return Refused("no_route", f"The route {step.payload['corridor']} is gone.")
    if str(route.account_id) != step.payload["from_account_id"]:
        return Refused("route_moved", f"{route.corridor} no longer goes through {step.payload['from_account']}.")
    account = Account.objects.select_related("bank").defer("bank__secret").get(pk=step.payload["to_account_id"])
    try:
        _check(route, account)
    except RouteRefused as refusal:
        return Refused(refusal.code, refusal.message)
    return _lead(route, account, step, actor=actor)


@operation
def lead_route_back(*, step: Step, actor: Actor) -> Outcome:
    """Undo such a step, once: the route leads exactly where it did, whatever has become of that account or bank."""
    actor.require(access.SET_UP)
    if (known := alterations.begin(step)) is not None:
        return known
    route, led = _route_of(step), alterations.of_undone(step)
    if route is None or led is None:
        return Skipped("no_route", f"The route {step.payload['corridor']} is gone.")
    if str(route.account_id) != led.after["account_id"]:
        return Skipped("route_moved", f"{route.corridor} was led elsewhere since; it stays as it is.")
    account = Account.objects.select_related("bank").defer("bank__secret").get(pk=led.before["account_id"])
    return _lead(route, account, step, actor=actor)


def _route_of(step: Step) -> Route | None:
    return Route.objects.select_for_update(no_key=True).filter(pk=step.payload["route"]).first()


def _lead(route: Route, account: Account, step: Step, *, actor: Actor) -> Outcome:
    before = _way(route, Account.objects.select_related("bank").defer("bank__secret").get(pk=route.account_id))
    route.account, route.bank = account, account.bank
    route.save(update_fields=["account", "bank"])
    after = _way(route, account)
    record(actor, "route.changed", route, before=before, after={**after, "plan": step.plan_id, "step": step.key})
    return alterations.note(step, route, before=before, after=after)


def _way(route: Route, account: Account) -> dict[str, Any]:
    return {
        "corridor": route.corridor,
        "bank": account.bank.code,
        "account": account.iban,
        "account_id": str(account.pk),
    }


def _check(route: Route, account: Account) -> None:
    if account.kind != AccountKind.SETTLEMENT:
        told = format_lazy(_("{account} is not a settlement account."), account=account.name)
        raise RouteRefused(told, account=account.pk)
    if account.currency != route.currency:
        told = format_lazy(
            _("{account} is kept in {currency}, not {wanted}."),
            account=account.name,
            currency=account.currency,
            wanted=route.currency,
        )
        raise RouteRefused(told, account=account.pk)
    if account.status != AccountState.ACTIVE:
        raise RouteRefused(format_lazy(_("{account} is frozen."), account=account.name), account=account.pk)
    if account.bank.status != BankState.ACTIVE:
        raise RouteRefused(format_lazy(_("{bank} is paused."), bank=account.bank.name), bank=account.bank_id)
