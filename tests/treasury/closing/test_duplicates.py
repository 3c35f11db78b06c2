"""Likely duplicates: what else is being paid, or was, to the same payee, and the merchant that a payout is of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import psycopg
import pytest
from django.conf import settings

from opsconsole.core.actors import Actor
from opsconsole.plans.models import Plan
from opsconsole.plans.services import execution
from opsconsole.plans.services.execution import Drifted
from opsconsole.treasury.models import Payout
from opsconsole.treasury.payouts.facts import FactsRefused, read_facts
from opsconsole.treasury.payouts.files import GoodLine, read_payouts
from opsconsole.treasury.services import payouts, routes
from tests.treasury.conftest import HEADER, line, refusal
from tests.world import PAYEES, TESTER, World

pytestmark = pytest.mark.django_db(transaction=True)

DUE = date(2025, 7, 1)


def payout(external_id: str, *, amount: str = "55.00", due: date = DUE, iban: str = PAYEES[0], **more: str) -> Payout:
    """A payable payout."""
    raw = dict(zip(HEADER.split(","), line().split(","), strict=True)) | more
    raw |= {"external_id": external_id, "amount": amount, "due_date": due.isoformat(), "iban": iban}
    return payouts.create_payout(facts=read_facts(raw), actor=TESTER)[0]


def batch(total: str | None = None, by: date = DUE) -> dict[str, Any]:
    """Everything that is due by then."""
    return {"currency": "EUR", "cutoff_date": by.isoformat()} | ({"total_amount": total} if total else {})


def warned(plan: Plan) -> dict[str, Any]:
    """The warning of likely duplicates; empty where there is none."""
    warnings = plan.estimated_impact["warnings"]
    return next((one for one in warnings if one["code"] == "likely_duplicates"), {})


@pytest.fixture
def bare(world: World) -> World:
    """The treasury without its payouts."""
    Payout.objects.all().delete()
    return world


def test_two_of_one_plan_are_one_pair(bare: World, staged: Callable[..., Plan]) -> None:
    for name in ("A-1", "A-2", "A-3"):
        payout(name, amount="55.00" if name != "A-3" else "55.01")
    warning = warned(staged("payout_batch", batch()))
    (pair,) = warning["payouts"]
    assert warning["message"].startswith("1 payout looks like another one")
    assert (pair["payout"], pair["like"], pair["status"], pair["plan"]) == ("A-2", "A-1", "reserved", "payout_batch")
    assert (pair["amount"], pair["currency"], pair["due"], pair["sent"]) == ("55.00", "EUR", "2025-07-01", "")


def test_one_that_was_sent_recently_counts_though_it_was_due_long_ago(
    bare: World, staged: Callable[..., Plan], done: Callable[..., Any], superuser: psycopg.Connection[Any]
) -> None:
    payout("OLD", due=DUE - timedelta(days=90))
    first, _ = done("payout_batch", batch(by=DUE - timedelta(days=60)), "first")
    assert Payout.objects.get(external_id="OLD").status == "sent"
    payout("NEW")
    payout("OTHER", amount="56.00")
    warning = warned(staged("payout_batch", batch(), "second"))
    (pair,) = warning["payouts"]
    assert (pair["payout"], pair["like"], pair["status"], pair["plan"]) == ("NEW", "OLD", "sent", "first")
    assert pair["sent"]
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update treasury_instructions set sent_at = now() - interval '8 days' where status = 'sent'")
    payout("NEWER", due=DUE + timedelta(days=1))
    third = staged("payout_batch", batch(by=DUE + timedelta(days=1)), "third")
    assert [pair["like"] for pair in warned(third)["payouts"]] == ["NEW"]


def test_due_far_apart_or_to_another_payee_is_no_duplicate(bare: World, staged: Callable[..., Plan]) -> None:
    payout("A-1")
    payout("A-2", due=DUE - timedelta(days=8))
    payout("A-3", iban=PAYEES[1])
    payout("A-4", due=DUE - timedelta(days=16))
    assert warned(staged("payout_batch", batch())) == {}


# The merchant


def test_a_payout_may_say_of_which_merchant_it_is(bare: World) -> None:
    assert payout("A-1", merchant=" shop-7 ").merchant == "shop-7"
    assert payout("A-2").merchant == ""
    with pytest.raises(FactsRefused, match="merchant: is 101 characters long"):
        payout("A-3", merchant="x" * 101)


def test_a_file_may_name_merchants_and_need_not() -> None:
    plain, named = HEADER + "\n" + line() + "\n", HEADER + ",merchant\n" + line() + ",shop-7\n"
    found = [next(iter(read_payouts(BytesIO(text.encode())))) for text in (plain, named)]
    assert [one.facts.merchant for one in found if isinstance(one, GoodLine)] == ["", "shop-7"]


@pytest.mark.parametrize("role", ["ops_app", settings.DB_OPERATOR_ROLE, settings.DB_OWNER_ROLE])
def test_the_merchant_stands_still_once_a_plan_has_the_payout(
    bare: World, staged: Callable[..., Plan], connect_as: Callable[[str], psycopg.Connection[Any]], role: str
) -> None:
    payout("A-1", merchant="shop-7")
    staged("payout_batch", batch())
    assert refusal(connect_as(role), "update treasury_payouts set merchant = ''") == "treasury_payouts_fixed"


# A route that one person leads elsewhere


def test_a_changed_route_is_a_drift_as_after_a_failover(
    world: World, approved: Callable[..., Plan], person: Callable[..., Actor]
) -> None:
    plan = approved("payout_batch", batch())
    routes.change_route(route_id=world.route.pk, account_id=world.iso_account.pk, reason="x", actor=person("pay_admin"))
    drifted = execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    assert isinstance(drifted, Drifted)
    assert drifted.reasons == [f"2 payments of EUR/DE would go through {world.iso_account.iban} by now."]
    plan.refresh_from_db()
    assert plan.estimated_impact["accounts"][0]["account"] == world.iso_account.iban
    assert Decimal(plan.estimated_impact["sums"]["EUR"]) > 0
