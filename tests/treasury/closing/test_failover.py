"""`failover`: routes are led over and back exactly; what happens to payments at each point of their way."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.plans.errors import NothingToDo, PlanInvalid
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import execution
from opsconsole.plans.services.execution import Drifted
from opsconsole.plans.types import type_named
from opsconsole.treasury.errors import RouteRefused
from opsconsole.treasury.models import Account, Bank, Instruction, Route
from opsconsole.treasury.services import banks, routes
from tests.sandbox_bank.process import BankProcess
from tests.treasury.closing.conftest import carry_out, driven, rolled_back, rows, told
from tests.world import TESTER, World, counts

pytestmark = pytest.mark.django_db(transaction=True)

People = Callable[..., Actor]
OVER = {"from_bank": "sandbox", "to_bank": "sandbox2"}
BATCH = {"currency": "EUR", "cutoff_date": "2025-08-01"}


@pytest.fixture
def france(world: World) -> Route:
    """A route of its own for France, through the same bank."""
    return banks.open_route(currency="EUR", country="FR", account_id=world.account.pk, actor=TESTER)


def ways() -> dict[str, str]:
    """Corridor -> bank."""
    return {route.corridor: route.bank.code for route in Route.objects.select_related("bank")}


def test_the_whole_story(
    world: World, france: Route, second: Account, approved: Callable[..., Plan], person: People
) -> None:
    plan = approved("failover", OVER)
    before = rows()
    run = carry_out(plan, person("ops"))
    assert (plan.status, run.status) == ("succeeded", "succeeded")
    assert ways() == {"EUR/*": "sandbox2", "EUR/FR": "sandbox2"}
    assert [one["corridor"] for one in run.result["changed"]] == ["EUR/FR", "EUR/*"]
    changed = rows()
    assert {table for table in before if changed[table] != before[table]} == {"treasury_routes"}
    back = rolled_back(plan, person)
    assert (plan.status, back.status) == ("rolled_back", "succeeded")
    assert rows() == before
    entries = told("route.changed")
    assert len(entries) == 4
    assert entries[0].content["before"]["bank"] == entries[-1].content["after"]["bank"] == "sandbox"


def test_only_the_corridors_that_were_named(
    world: World, france: Route, second: Account, done: Callable[..., Any]
) -> None:
    done("failover", OVER | {"corridors": ["EUR/FR"]})
    assert ways() == {"EUR/*": "sandbox", "EUR/FR": "sandbox2"}


def test_what_waits_follows_and_what_is_staged_drifts(
    world: World, second: Account, bank: BankProcess, approved: Callable[..., Plan], done: Callable[..., Any],
    person: People,
) -> None:  # fmt: skip
    batch = approved("payout_batch", BATCH | {"total_amount": "1000"})
    failover = approved("failover", OVER)
    impact = failover.estimated_impact
    assert {line["status"]: line["then"].split(":")[0] for line in impact["payments"]} == {
        "waiting for a plan": "follow the new route",
        "in a plan that is staged": "their plans drift",
    }
    assert impact["count"] == 40
    assert [(line["account"], line["count"]) for line in impact["accounts"]] == [(second.iban, 40)]
    assert [one["code"] for one in impact["warnings"]] == ["plans_drift"]
    digest, steps = batch.digest, list(Step.objects.filter(plan=batch).values_list("payload", flat=True))
    carry_out(failover, person("ops"))

    batch.refresh_from_db()
    assert (batch.status, batch.digest) == ("approved", digest)  # nothing that was approved was changed
    assert list(Step.objects.filter(plan=batch).values_list("payload", flat=True)) == steps
    drifted = execution.execute_plan(plan_id=batch.pk, actor=person("finance_ops"))
    assert isinstance(drifted, Drifted)
    assert len(drifted.reasons) == 3  # one for each country
    assert all(f"would go through {second.iban} by now." in reason for reason in drifted.reasons)
    batch.refresh_from_db()
    assert (batch.status, batch.approvals, batch.revision) == ("staged", [], 2)
    planned = Instruction.objects.filter(plan=batch, status="planned")
    assert set(planned.values_list("account_id", flat=True)) == {second.pk}
    assert bank.payments() == []


def test_a_run_that_is_going_keeps_the_way_that_was_approved(
    world: World, second: Account, bank: BankProcess, approved: Callable[..., Plan], done: Callable[..., Any],
    person: People,
) -> None:  # fmt: skip
    batch = approved("payout_batch", BATCH | {"total_amount": "500"})
    run = execution.execute_plan(plan_id=batch.pk, actor=person("finance_ops"))
    failover = approved("failover", OVER)
    assert "runs_keep_their_way" in [one["code"] for one in failover.estimated_impact["warnings"]]
    carry_out(failover, person("ops"))
    driven(batch, run)
    assert run.status == "succeeded"
    assert {payment["debtor_account"] for payment in bank.payments()} == {world.account.iban}


def test_money_goes_the_new_way_from_then_on(
    world: World, second: Account, bank: BankProcess, done: Callable[..., Any]
) -> None:
    done("failover", OVER)
    _, run = done("payout_batch", BATCH | {"total_amount": "500"})
    assert run.status == "succeeded"
    assert {payment["debtor_account"] for payment in bank.payments()} == {second.iban}


def test_exactly_the_previous_routes_though_the_bank_is_paused_by_now(
    world: World, france: Route, second: Account, done: Callable[..., Any], person: People
) -> None:
    before = ways()
    plan, _ = done("failover", OVER)
    Bank.objects.filter(code="sandbox").update(status="paused")
    Account.objects.filter(pk=world.account.pk).update(status="frozen")
    assert rolled_back(plan, person).status == "succeeded"
    assert ways() == before


def test_a_route_that_was_led_elsewhere_since_stays_there(
    world: World, france: Route, second: Account, done: Callable[..., Any], person: People
) -> None:
    plan, _ = done("failover", OVER)
    routes.change_route(route_id=france.pk, account_id=world.iso_account.pk, reason="x", actor=person("pay_admin"))
    back = rolled_back(plan, person)
    assert (back.status, plan.status) == ("partial", "rollback_partial")
    assert [one["code"] for one in back.result["left_as_it_was"]] == ["route_moved"]
    assert ways() == {"EUR/*": "sandbox", "EUR/FR": "filebank"}


def test_no_account_in_that_currency_stays_where_it_is(
    world: World, second: Account, staged: Callable[..., Plan]
) -> None:
    dollars = banks.open_account(
        bank_id=world.http.pk, name="Dollars", iban="FR7630006000011234567890189", currency="USD", actor=TESTER
    )
    banks.open_route(currency="USD", country=None, account_id=dollars.pk, actor=TESTER)
    impact = staged("failover", OVER).estimated_impact
    assert [route["corridor"] for route in impact["routes"]] == ["EUR/*"]
    assert impact["warnings"][0]["code"] == "no_account"
    with pytest.raises(NothingToDo, match="no open account for USD/"):
        staged("failover", OVER | {"corridors": ["USD/*"]}, "dollars")


def test_too_little_money_over_there_is_said(world: World, second: Account, staged: Callable[..., Plan]) -> None:
    banks.fund_account(account_id=world.account.pk, amount=Decimal(1), reference="x", actor=TESTER)
    poor = banks.open_account(
        bank_id=world.iso.pk, name="Poor", iban="FR7630006000011234567890189", currency="EUR", actor=TESTER
    )
    Account.objects.filter(pk=world.iso_account.pk).update(status="frozen")
    impact = staged("failover", OVER | {"to_bank": "filebank"}).estimated_impact
    assert impact["routes"][0]["to_account"] == poor.iban
    assert [one["code"] for one in impact["warnings"]] == ["too_little_money"]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"to_bank": "sandbox"}, {"to_bank"}),
        ({"from_bank": "nobody", "to_bank": None}, {"from_bank", "to_bank"}),
        ({"corridors": []}, {"corridors"}),
        ({"corridors": "EUR/*"}, {"corridors"}),
        ({"corridors": ["EUR"], "x": 1}, {"corridors", "x"}),
        ({"corridors": ["EUR/*", 7]}, {"corridors"}),
    ],
)
def test_every_wrong_field_is_named(
    world: World, second: Account, staged: Callable[..., Plan], change: dict[str, Any], fields: set[str]
) -> None:
    with pytest.raises(PlanInvalid) as refused:
        staged("failover", OVER | change)
    assert set(refused.value.fields["errors"]["payload"]) == fields


def test_not_to_a_paused_bank_nor_by_corridors_that_do_not_lead_there(
    world: World, second: Account, staged: Callable[..., Plan]
) -> None:
    with pytest.raises(RouteRefused, match="EUR/FR do not lead through sandbox"):
        staged("failover", OVER | {"corridors": ["EUR/FR"]})
    Bank.objects.filter(code="sandbox2").update(status="paused")
    with pytest.raises(RouteRefused, match="Second Bank is paused"):
        staged("failover", OVER, "other")
    assert counts("ops_plans") == {"draft": 2}


def test_led_elsewhere_or_paused_since_it_was_approved_is_a_drift(
    world: World, second: Account, approved: Callable[..., Plan], person: People
) -> None:
    plan = approved("failover", OVER)
    routes.change_route(route_id=world.route.pk, account_id=world.iso_account.pk, reason="x", actor=person("pay_admin"))
    Bank.objects.filter(code="sandbox2").update(status="paused")
    drifted = execution.execute_plan(plan_id=plan.pk, actor=person("pay_admin"))
    assert isinstance(drifted, Drifted)
    assert drifted.reasons == [
        f"EUR/* would no longer be led from {world.account.iban} to {second.iban}.",
        "Second Bank is paused.",
    ]
    assert not Run.objects.exists()


@pytest.mark.parametrize("closed", ["bank", "account", "route"])
def test_closed_since_it_was_queued_fails_the_step_and_changes_nothing(
    world: World, second: Account, approved: Callable[..., Plan], person: People, closed: str
) -> None:
    plan = approved("failover", OVER)
    run = execution.execute_plan(plan_id=plan.pk, actor=person("pay_admin"))
    if closed == "bank":
        Bank.objects.filter(code="sandbox2").update(status="paused")
    elif closed == "account":
        Account.objects.filter(pk=second.pk).update(status="frozen")
    else:
        Route.objects.filter(pk=world.route.pk).update(bank=world.iso, account=world.iso_account)
    before = rows()
    driven(plan, run)
    assert (run.status, plan.status) == ("failed", "failed")
    assert Step.objects.get().result["code"] == {"route": "route_moved"}.get(closed, "route_refused")
    assert rows() == before


def test_nobody_leads_routes_by_these_steps_by_hand(
    world: World, second: Account, done: Callable[..., Any], person: People
) -> None:
    plan, _ = done("failover", OVER)
    step, before = Step.objects.get(plan=plan), rows()
    for name in ("pay_admin", "ops", "auditor"):
        for service in (routes.lead_route, routes.lead_route_back):
            with pytest.raises(Denied):
                service(step=step, actor=person(name))
    assert rows() == before


def test_the_same_steps_twice_are_done_once(
    world: World, france: Route, second: Account, done: Callable[..., Any], person: People
) -> None:
    plan, _ = done("failover", OVER)
    steps = list(Step.objects.filter(plan=plan).order_by("seq"))
    plan_type, led = type_named("failover"), rows()
    assert plan_type.execute(steps) == plan_type.probe(steps)
    assert rows() == led
    rolled_back(plan, person)
    before = rows()
    back = list(Step.objects.filter(plan=plan, direction="rollback").order_by("seq"))
    assert plan_type.compensate(back) == plan_type.probe(back)
    assert plan_type.execute(steps) == plan_type.probe(steps)  # a worker that comes much too late
    assert rows() == before
