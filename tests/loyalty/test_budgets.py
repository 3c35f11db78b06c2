"""Budgets that run out: how fast, until when, and somebody is told once for each crossing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from loyalty.budgets import Decision, decide, has_news, standing_of
from loyalty.jobs import budgets as jobs
from loyalty.models import Balance, BudgetAlert, Program, Transaction
from loyalty.services import budgets, points
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied
from opsconsole.core.models import OutboxEvent
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from tests.loyalty.history import happened

pytestmark = pytest.mark.django_db(transaction=True)


def _born(program: Program, **ago: int) -> Program:
    with connection.cursor() as cursor:
        cursor.execute(
            "update loyalty_programs set created_at = %s where id = %s",
            [timezone.now() - timedelta(**ago), program.pk],
        )
    program.refresh_from_db()
    return program


@pytest.mark.parametrize(
    ("left", "decision"),
    [("10.01", Decision.WATCH), ("10", Decision.PREPARE), ("5", Decision.PREPARE), ("4.99", Decision.ACT)],
)
def test_the_matrix_of_the_runbook(left: str, decision: Decision) -> None:
    assert decide(Decimal(left), Decimal(100)) is decision


def test_how_fast_and_until_when(program: Program, member: Callable[..., Balance], marketing: Actor) -> None:
    alice = member("alice", 10_000)
    now = timezone.now()
    happened([(alice.pk, "earn", 70_000, now - timedelta(days=day), None) for day in (2, 3, 8)])
    happened([(alice.pk, "redeem", -500, now - timedelta(days=1), None)])
    points.adjust_points(balance_id=alice.pk, amount=-1_000, reason="x", actor=marketing)
    earned = Transaction.objects.filter(amount=10_000).get()
    points.reverse_transaction(transaction_id=earned.pk, points=10_000, reason="x", actor=marketing)
    standing = standing_of(_born(program, days=30), now=now + timedelta(seconds=60))
    # 140,000 of seven days; what was earned and taken back is nothing, and the eighth day is over.
    assert sum(day.points for day in standing.days) == 140_000
    assert standing.burn_per_day == Decimal("20000.00")
    assert (standing.left, standing.used_per_cent, standing.decision) == (790_000, Decimal("21.00"), Decision.WATCH)
    assert standing.exhausted_at is not None
    assert standing.exhausted_at - now == timedelta(days=39.5, seconds=60)
    # It exists for a day, so that is what it burns in one.
    young = standing_of(_born(program, minutes=5), now=now + timedelta(seconds=60))
    assert young.burn_per_day == Decimal("140000.00")


def test_what_nobody_earns_does_not_run_out(program: Program) -> None:
    standing = standing_of(program)
    assert (standing.burn_per_day, standing.exhausted_at, list(standing.days)) == (0, None, [])


def test_an_alert_once_for_each_crossing(
    program: Program, member: Callable[..., Balance], marketing: Actor, finance: Actor
) -> None:
    alice = member("alice", 899_999)
    assert not has_news()
    assert budgets.watch_budgets(actor=SYSTEM("test")) == []
    member("alice", 1)
    assert has_news()
    (alert,) = budgets.watch_budgets(actor=SYSTEM("test"))
    jobs.watch()
    assert (alert.threshold, alert.budget_used, alert.burn_per_day) == (90, 900_000, 900_000)
    member("alice", 50_000)
    jobs.watch()
    assert list(BudgetAlert.objects.order_by("threshold").values_list("threshold", "status")) == [
        (90, "open"), (95, "open"),
    ]  # fmt: skip
    told = {event.data["threshold"]: event.data for event in OutboxEvent.objects.filter(topic="budget.alerted")}
    assert {threshold: data["severity"] for threshold, data in told.items()} == {90: "warning", 95: "critical"}
    assert told[95]["decision"] == "prepare"  # exactly 5 % is left
    seen = budgets.acknowledge_alert(alert_id=alert.pk, note="the merchant is asked", actor=finance)
    assert (seen.status, seen.acknowledged_by_id) == ("acknowledged", finance.user.pk if finance.user else None)
    with pytest.raises(WrongState):
        budgets.acknowledge_alert(alert_id=alert.pk, note="again", actor=finance)
    points.adjust_points(balance_id=alice.pk, amount=-1, reason="x", actor=marketing)  # gives nothing back to it
    for earned in Transaction.objects.filter(event_type="earn", amount__gt=50_000):
        points.reverse_transaction(transaction_id=earned.pk, points=100_000, reason="x", actor=marketing)
    assert has_news()
    jobs.watch()
    assert set(BudgetAlert.objects.values_list("status", flat=True)) == {"closed"}
    member("alice", 60_000)
    (again,) = budgets.watch_budgets(actor=SYSTEM("test"))
    assert (again.threshold, again.pk == alert.pk) == (90, False)
    assert Entry.objects.filter(verb="budget.alerted").count() == 3
    assert Entry.objects.filter(verb="budget.recovered").count() == 2


def test_two_watchers_raise_one_alert(program: Program, member: Callable[..., Balance]) -> None:
    member("alice", 960_000)

    def watch(_number: int) -> int:
        try:
            return len(budgets.watch_budgets(actor=SYSTEM("test")))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(watch, range(4))) == 2
    assert BudgetAlert.objects.count() == 2
    assert OutboxEvent.objects.filter(topic="budget.alerted").count() == 2


def test_what_a_campaign_has_reserved_counts_as_used(program: Program, superuser: Any) -> None:
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update loyalty_programs set budget_reserved = 955000")
    program.refresh_from_db()
    standing = standing_of(program)
    assert (standing.spent, standing.left, standing.decision) == (0, 45_000, Decision.ACT)
    assert {alert.threshold for alert in budgets.watch_budgets(actor=SYSTEM("test"))} == {90, 95}


def test_the_doors(program: Program, member: Callable[..., Balance], api: Callable[..., Any]) -> None:
    member("alice", 930_000)
    jobs.watch()
    client = api("finance_ops")
    budget = client.get(f"/api/programs/{program.pk}/budget").json()
    assert (budget["left"], budget["usedPerCent"], budget["decision"]) == ("70000.00", "93.00", "prepare")
    assert [day["points"] for day in budget["days"]] == [930_000]
    (alert,) = client.get("/api/budget-alerts", {"status": "open"}).json()["results"]
    path = f"/api/budget-alerts/{alert['id']}/acknowledge"
    seen = client.post(path, {"note": "the merchant is asked"}, format="json")
    assert (seen.status_code, seen.json()["status"], seen.json()["acknowledgedBy"]) == (
        200, "acknowledged", "finance_ops",
    )  # fmt: skip


def test_a_denied_actor_changes_nothing(program: Program, member: Callable[..., Balance], auditor: Actor) -> None:
    member("alice", 930_000)
    (alert,) = budgets.watch_budgets(actor=SYSTEM("test"))
    entries = Entry.objects.count()
    with pytest.raises(Denied):
        budgets.acknowledge_alert(alert_id=alert.pk, note="x", actor=auditor)
    alert.refresh_from_db()
    assert (alert.status, Entry.objects.count()) == ("open", entries)
