"""Fraud: found by the runbook's limits, once, as of any time; a machine flags and locks, people judge."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from loyalty.errors import NothingToDo
from loyalty.fraud import detection
from loyalty.fraud.figures import Precision, precision_by_rule, waiting_hits
from loyalty.jobs import fraud as jobs
from loyalty.models import Balance, FraudHit, FraudRule, SiraFeedback
from loyalty.services import fraud, fraud_rules, members, programs
from opsconsole.core import metrics, schedule
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied, NotFound
from opsconsole.core.models import OutboxEvent
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from tests.loyalty.history import NOON, ago, earns, happened

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def looking(risk: Actor) -> Callable[..., FraudRule]:
    """A shipped rule, changed, tried out and switched on: `looking("frequent_earner", locks=True)`."""

    def switch(code: str, **changes: Any) -> FraudRule:
        rule = FraudRule.objects.get(code=code)
        if changes:
            fraud_rules.change_fraud_rule(rule_id=rule.pk, changes=changes, reason="ours", actor=risk)
        fraud_rules.back_test_rule(rule_id=rule.pk, since=NOON - timedelta(days=9), until=NOON, actor=risk)
        return fraud_rules.switch_fraud_rule(rule_id=rule.pk, active=True, reason="seen", actor=risk)

    return switch


def hits() -> dict[str, dict[str, Any]]:
    """The facts of every hit by the member."""
    return {hit.balance.user_id: hit.facts for hit in FraudHit.objects.select_related("balance")}


# --- what is found --------------------------------------------------------------------------------------------------


def test_frequent_earners_are_those_of_the_runbook(
    member: Callable[..., Balance], marketing: Actor, looking: Callable[..., FraudRule]
) -> None:
    other = programs.create_program(name="Other", budget_limit=Decimal(1_000_000), actor=marketing)
    often, rich, both = member("often", 1), member("rich", 1), member("both", 1)
    both_too = member("both", 1, program_id=other.pk)
    fine, late, early = member("fine", 1), member("late", 1), member("early", 1)
    earns(often, 51, 1, ago(hours=1))
    earns(rich, 1, 10_001, ago(hours=23))
    earns(both, 1, 6_000, ago(hours=2))
    earns(both_too, 1, 6_000, ago(hours=3))
    earns(fine, 50, 200, ago(hours=1))
    earns(late, 1, 20_000, NOON)  # the moment itself is not before it
    earns(early, 1, 20_000, ago(hours=24, seconds=1))
    rule = looking("frequent_earner")
    found = fraud.look_for(rule_id=rule.pk, as_of=NOON, actor=jobs.FRAUD)
    assert (found.hits, found.points_locked) == (4, 0)
    assert hits() == {
        "often": {"earns": 51, "points": 51},
        "rich": {"earns": 1, "points": 10_001},
        "both": {"earns": 2, "points": 12_000},
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT lb.user_id FROM loyalty_transactions lt JOIN loyalty_balances lb ON lt.balance_id = lb.id
            WHERE lt.created_at >= %(now)s - INTERVAL '24 hours' AND lt.created_at < %(now)s AND lt.event_type = 'earn'
            GROUP BY lb.user_id HAVING COUNT(*) > 50 OR SUM(lt.amount) > 10000
            """,
            {"now": NOON},
        )
        assert {row[0] for row in cursor.fetchall()} == set(hits())


def test_many_members_behind_one_address(member: Callable[..., Balance], looking: Callable[..., FraudRule]) -> None:
    for number in range(7):
        earns(member(f"m{number}", 1), 1, 10, ago(hours=1), "203.0.113.7" if number < 6 else "203.0.113.8")
        earns(member(f"shop{number}", 1), 1, 10, ago(hours=1), "198.51.100.9")
    rule = looking("shared_address", allowed_networks=["198.51.100.0/24"])
    assert fraud.look_for(rule_id=rule.pk, as_of=NOON, actor=jobs.FRAUD).hits == 6
    assert sorted(hits()) == ["m0", "m1", "m2", "m3", "m4", "m5"]
    assert hits()["m3"] == {"address": "203.0.113.7", "members": 6, "points": 60}
    everybody = fraud_rules.change_fraud_rule(
        rule_id=rule.pk, changes={"allowed_networks": ["0.0.0.0/0", "::/0"]}, reason="x", actor=SYSTEM("test")
    )
    with transaction.atomic():  # as in an operation: what it reads lives as long as that
        assert detection.try_out(everybody, [NOON])["members"] == 0


def test_a_spike_is_one_against_the_members_own_habit(
    member: Callable[..., Balance], looking: Callable[..., FraudRule]
) -> None:
    steady, sudden, small, newcomer = (member(name, 1) for name in ("steady", "sudden", "small", "newcomer"))
    for one, usual in ((steady, 900), (sudden, 100), (small, 10)):
        happened([(one.pk, "earn", usual, ago(days=day, hours=12), None) for day in range(1, 29)])
    earns(steady, 1, 4_000, ago(hours=1))
    earns(sudden, 1, 1_400, ago(hours=1))
    earns(small, 1, 999, ago(hours=1))
    earns(newcomer, 1, 9_000, ago(hours=1))
    rule = looking("sudden_spike")
    assert fraud.look_for(rule_id=rule.pk, as_of=NOON, actor=jobs.FRAUD).hits == 1
    assert hits() == {"sudden": {"points": 1_400, "usual": 100.0, "times": 14.0}}


def test_frequent_redemptions(member: Callable[..., Balance], looking: Callable[..., FraudRule]) -> None:
    often, fine = member("often", 5_000), member("fine", 5_000)
    for one, count in ((often, 11), (fine, 10)):
        happened([(one.pk, "redeem", -5, ago(minutes=minute), None) for minute in range(1, count + 1)])
    rule = looking("frequent_redeemer")
    fraud.look_for(rule_id=rule.pk, as_of=NOON, actor=jobs.FRAUD)
    assert hits() == {"often": {"redemptions": 11, "points": 55}}


# --- once -----------------------------------------------------------------------------------------------------------


def test_a_hit_is_opened_once_and_a_verdict_holds_for_its_window(
    member: Callable[..., Balance], looking: Callable[..., FraudRule], risk: Actor
) -> None:
    alice = member("alice", 1)
    earns(alice, 1, 20_000, ago(hours=1))
    rule = looking("frequent_earner")

    def look(at: datetime) -> int:
        return fraud.look_for(rule_id=rule.pk, as_of=at, actor=jobs.FRAUD).hits

    assert [look(NOON), look(NOON), look(NOON + timedelta(hours=5))] == [1, 0, 0]
    fraud.dismiss_hits(hit_ids=[FraudHit.objects.get().pk], comment="a wedding", actor=risk)
    assert look(NOON + timedelta(hours=6)) == 0
    earns(alice, 1, 20_000, NOON + timedelta(days=2))
    assert look(NOON + timedelta(days=2, hours=1)) == 1
    assert Entry.objects.filter(verb="fraud.found").count() == 2
    assert OutboxEvent.objects.filter(topic="fraud.found").count() == 2


def test_what_passed_while_nobody_looked_is_looked_at(
    member: Callable[..., Balance], looking: Callable[..., FraudRule]
) -> None:
    now = timezone.now()
    earns(member("missed", 1), 1, 20_000, now - timedelta(days=2, hours=3))
    rule = looking("frequent_earner")
    jobs.look_by_rule(str(rule.pk))
    assert hits() == {}  # it was switched on after that
    FraudRule.objects.filter(pk=rule.pk).update(looked_at=now - timedelta(days=3))
    jobs.look_by_rule(str(rule.pk))
    assert list(hits()) == ["missed"]
    rule.refresh_from_db()
    assert detection.moments_until(rule, rule.looked_at) == [rule.looked_at]
    run = {task.name for task in schedule.registered()}
    assert {"loyalty.jobs.fraud.look_for_fraud", "loyalty.jobs.fraud.remind_of_verdicts"} <= run


def test_a_rule_that_is_off_does_not_look(member: Callable[..., Balance], risk: Actor) -> None:
    rule = FraudRule.objects.get(code="frequent_earner")
    with pytest.raises(NothingToDo):
        fraud.look_for(rule_id=rule.pk, as_of=NOON, actor=risk)
    jobs.look_by_rule(str(rule.pk))
    with pytest.raises(NotFound):
        fraud.look_for(rule_id=uuid4(), actor=jobs.FRAUD)
    assert not FraudHit.objects.exists()


# --- verdicts -------------------------------------------------------------------------------------------------------


def test_a_machine_flags_and_locks_and_never_freezes(
    member: Callable[..., Balance], looking: Callable[..., FraudRule], marketing: Actor, risk: Actor
) -> None:
    alice = member("alice", 500)
    earns(alice, 1, 20_000, ago(hours=1))
    members.lock_points(balance_id=alice.pk, points=300, reason="a person's", actor=marketing)
    members.flag_members(balance_ids=[alice.pk], flags=["vip"], reason="a person's", actor=marketing)
    rule = looking("frequent_earner", locks=True)
    assert fraud.look_for(rule_id=rule.pk, as_of=NOON, actor=jobs.FRAUD).points_locked == 20_200
    alice.refresh_from_db()
    assert (alice.is_frozen, alice.locked) == (False, 20_500)
    assert alice.fraud_flags == ["vip", "suspicious_pattern_detected", "under_investigation"]
    fraud.dismiss_hits(hit_ids=[FraudHit.objects.get().pk], comment="a wedding", actor=risk)
    alice.refresh_from_db()
    assert (alice.is_frozen, alice.locked, alice.fraud_flags) == (False, 300, ["vip"])
    feedback = SiraFeedback.objects.get()
    assert (feedback.verdict, feedback.comment, feedback.rule_code) == ("dismissed", "a wedding", "frequent_earner")
    assert {"fraud.dismissed", "points.unlocked"} <= set(Entry.objects.values_list("verb", flat=True))


def test_confirmed_fraud_is_frozen_locked_and_flagged(
    member: Callable[..., Balance], looking: Callable[..., FraudRule], risk: Actor
) -> None:
    alice = member("alice", 500)
    earns(alice, 1, 20_000, ago(hours=1))
    rule = looking("frequent_earner")
    fraud.look_for(rule_id=rule.pk, as_of=NOON, actor=jobs.FRAUD)
    hit = FraudHit.objects.get()
    with pytest.raises(Denied):
        fraud.confirm_hits(hit_ids=[hit.pk], comment="sure", actor=SYSTEM("sira"))
    fraud.confirm_hits(hit_ids=[hit.pk], comment="stolen card", actor=risk)
    alice.refresh_from_db()
    assert (alice.is_frozen, alice.locked, alice.points_balance) == (True, 20_500, 20_500)
    assert "confirmed_fraud" in alice.fraud_flags
    with pytest.raises(WrongState):
        fraud.dismiss_hits(hit_ids=[hit.pk], comment="oh", actor=risk)
    frozen = json.loads(Entry.objects.get(verb="member.frozen").body)
    assert (frozen["reason"], frozen["after"]["locked"], frozen["actor"]["name"]) == (
        "stolen card",
        20_500,
        "risk_manager",
    )
    # Found again by nothing: it is known.
    assert fraud.look_for(rule_id=rule.pk, as_of=NOON + timedelta(days=30), actor=jobs.FRAUD).hits == 0
    assert precision_by_rule()[1] == Precision("frequent_redeemer", 0, 0, 0)
    assert (precision_by_rule()[0].precision, precision_by_rule()[0].at_least) == (1.0, 0.2065)


def test_two_hits_of_one_member_share_their_flags(
    member: Callable[..., Balance], looking: Callable[..., FraudRule], risk: Actor
) -> None:
    alice = member("alice", 500)
    earns(alice, 1, 20_000, ago(hours=1))
    happened([(alice.pk, "redeem", -5, ago(minutes=minute), None) for minute in range(1, 12)])
    for code in ("frequent_earner", "frequent_redeemer"):
        fraud.look_for(rule_id=looking(code).pk, as_of=NOON, actor=jobs.FRAUD)
    first, second = FraudHit.objects.order_by("pk")
    fraud.dismiss_hits(hit_ids=[first.pk], comment="fine", actor=risk)
    alice.refresh_from_db()
    assert alice.fraud_flags == ["suspicious_pattern_detected", "under_investigation"]
    fraud.dismiss_hits(hit_ids=[second.pk], comment="fine", actor=risk)
    alice.refresh_from_db()
    assert alice.fraud_flags == []


@pytest.fixture
def two_hits(member: Callable[..., Balance], looking: Callable[..., FraudRule]) -> Callable[..., list[FraudHit]]:
    """Alice, who has earned and redeemed too often: a hit of each rule, the first of which has put all on her."""

    def look(**changes: Any) -> list[FraudHit]:
        alice = member("alice", 500)
        earns(alice, 1, 20_000, ago(hours=1))
        happened([(alice.pk, "redeem", -5, ago(minutes=minute), None) for minute in range(1, 12)])
        for code in ("frequent_earner", "frequent_redeemer"):
            fraud.look_for(rule_id=looking(code, **changes).pk, as_of=NOON, actor=jobs.FRAUD)
        return list(FraudHit.objects.order_by("pk"))

    return look


def test_both_hits_of_a_member_dismissed_in_one_go(two_hits: Callable[..., list[FraudHit]], risk: Actor) -> None:
    hits = two_hits(locks=True)
    fraud.dismiss_hits(hit_ids=[hit.pk for hit in hits], comment="fine", actor=risk)
    alice = Balance.objects.get()
    assert (alice.locked, alice.fraud_flags) == (0, [])


def test_what_another_hit_is_locked_for_stays_locked(two_hits: Callable[..., list[FraudHit]], risk: Actor) -> None:
    first, second = two_hits(locks=True)
    assert (first.points_locked, second.points_locked) == (20_445, 0)
    fraud.dismiss_hits(hit_ids=[first.pk], comment="fine", actor=risk)
    assert Balance.objects.get().locked == 20_445
    assert not Entry.objects.filter(verb="points.unlocked").exists()
    fraud.dismiss_hits(hit_ids=[second.pk], comment="fine", actor=risk)
    assert Balance.objects.get().locked == 0


def test_a_rule_that_locks_nothing_keeps_nothing_locked(two_hits: Callable[..., list[FraudHit]], risk: Actor) -> None:
    first, second = two_hits(locks=True)
    fraud_rules.change_fraud_rule(rule_id=second.rule_id, changes={"locks": False}, reason="ours", actor=risk)
    fraud.dismiss_hits(hit_ids=[first.pk], comment="fine", actor=risk)
    assert Balance.objects.get().locked == 0


def test_confirmed_fraud_stays_locked_whatever_else_is_dismissed(
    two_hits: Callable[..., list[FraudHit]], risk: Actor
) -> None:
    first, second = two_hits(locks=True)
    fraud.confirm_hits(hit_ids=[second.pk], comment="stolen card", actor=risk)
    fraud.dismiss_hits(hit_ids=[first.pk], comment="not this", actor=risk)
    alice = Balance.objects.get()
    assert (alice.is_frozen, alice.locked, alice.fraud_flags) == (True, alice.points_balance, ["confirmed_fraud"])


def test_two_who_judge_hits_of_one_member_do_not_wait_for_each_other(
    two_hits: Callable[..., list[FraudHit]], risk: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits, seen, gate = two_hits(), fraud._members_of, threading.Barrier(2)

    def together(hits: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            gate.wait(1)  # both have their hit by now, if both can
        return seen(hits)

    def dismiss(hit: FraudHit) -> str:
        try:
            return fraud.dismiss_hits(hit_ids=[hit.pk], comment="fine", actor=risk)[0].status
        finally:
            connection.close()

    monkeypatch.setattr(fraud, "_members_of", together)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(dismiss, hits)) == ["dismissed", "dismissed"]
    assert Balance.objects.get().fraud_flags == []


def test_a_verdict_that_nobody_gives_is_asked_for_once(
    member: Callable[..., Balance], looking: Callable[..., FraudRule]
) -> None:
    earns(member("alice", 1), 1, 20_000, ago(hours=1))
    fraud.look_for(rule_id=looking("frequent_earner").pk, as_of=NOON, actor=jobs.FRAUD)
    jobs.remind_of_verdicts()
    assert (waiting_hits().open, waiting_hits().overdue) == (1, 0)
    FraudHit.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    jobs.remind_of_verdicts()
    jobs.remind_of_verdicts()
    assert (waiting_hits().open, waiting_hits().overdue) == (1, 1)
    facts = {fact.name: fact for fact in metrics.registered()}
    assert list(facts["loyalty_fraud_hits_open"].samples()) == [(("in time",), 0.0), (("overdue",), 1.0)]
    assert all(list(facts[name].samples()) for name in facts if name.startswith("loyalty_"))
    assert OutboxEvent.objects.filter(topic="fraud.overdue").count() == 1


def test_a_reminder_passes_a_hit_that_is_being_judged(
    two_hits: Callable[..., list[FraudHit]], superuser: psycopg.Connection[Any]
) -> None:
    judged, other = two_hits()
    FraudHit.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    with superuser.transaction():
        superuser.execute("select from loyalty_fraud_hits where id = %s for update", [judged.pk])
        jobs.remind_of_verdicts()  # neither waits nor keeps what the verdict will need
        assert list(FraudHit.objects.filter(reminded_at__isnull=False)) == [other]
    jobs.remind_of_verdicts()
    assert not FraudHit.objects.filter(reminded_at__isnull=True).exists()


def test_the_doors(member: Callable[..., Balance], api: Callable[..., Any]) -> None:
    earns(member("alice", 1), 1, 20_000, ago(hours=1))
    client = api("risk_manager")
    rules = {rule["code"]: rule for rule in client.get("/api/fraud-rules").json()["results"]}
    path = f"/api/fraud-rules/{rules['frequent_earner']['id']}"
    limits = {"hours": 24, "maxEarns": 50, "maxPoints": 15_000}
    assert rules["frequent_earner"]["limits"] == {**limits, "maxPoints": 10_000}
    changed = client.patch(path, {"limits": limits, "reviewHours": 4, "reason": "ours"}, format="json")
    assert (changed.status_code, changed.json()["limits"], changed.json()["version"]) == (200, limits, 2)
    refused = client.post(f"{path}/switch", {"active": True, "reason": "go"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "fraud_rule_not_backtested")
    tried = client.post(f"{path}/back-test", {"since": ago(days=9), "until": NOON}, format="json").json()
    assert (tried["backtest"]["members"], tried["backtest"]["byMonth"]) == (1, {"1998-03": 1})
    assert client.post(f"{path}/switch", {"active": True, "reason": "go"}, format="json").json()["active"] is True
    assert client.post(f"{path}/look", {"asOf": NOON}, format="json").json() == {"hits": 1, "pointsLocked": 0}
    (hit,) = client.get("/api/fraud-hits", {"status": "open", "userId": "alice"}).json()["results"]
    assert (hit["rule"], hit["facts"], hit["ruleVersion"]) == ("frequent_earner", {"earns": 1, "points": 20_000}, 2)
    judged = client.post(f"/api/fraud-hits/{hit['id']}/confirm", {"comment": "stolen card"}, format="json").json()
    assert (judged["status"], judged["decidedBy"]) == ("confirmed", "risk_manager")
    told = {row["rule"]: row for row in client.get("/api/fraud-rules/precision").json()["results"]}
    assert (told["frequent_earner"]["precision"], told["frequent_earner"]["confirmed"]) == (1.0, 1)


def test_a_denied_actor_changes_nothing(
    member: Callable[..., Balance], looking: Callable[..., FraudRule], auditor: Actor, marketing: Actor
) -> None:
    earns(member("alice", 1), 1, 20_000, ago(hours=1))
    rule = looking("frequent_earner")
    fraud.look_for(rule_id=rule.pk, as_of=NOON, actor=jobs.FRAUD)
    hit, entries = FraudHit.objects.get(), Entry.objects.count()
    for actor in (auditor, marketing):
        for attempt in (
            lambda actor=actor: fraud.confirm_hits(hit_ids=[hit.pk], comment="x", actor=actor),
            lambda actor=actor: fraud.dismiss_hits(hit_ids=[hit.pk], comment="x", actor=actor),
            lambda actor=actor: fraud.look_for(rule_id=rule.pk, as_of=NOON, actor=actor),
            lambda actor=actor: fraud_rules.back_test_rule(rule_id=rule.pk, actor=actor),
            lambda actor=actor: fraud_rules.switch_fraud_rule(rule_id=rule.pk, active=False, reason="x", actor=actor),
            lambda actor=actor: fraud_rules.change_fraud_rule(
                rule_id=rule.pk, changes={"locks": True}, reason="x", actor=actor
            ),
            lambda actor=actor: fraud_rules.create_fraud_rule(
                code="x", kind="earns", limits={}, reason="x", actor=actor
            ),
        ):
            with pytest.raises(Denied):
                attempt()
    hit.refresh_from_db()
    assert (hit.status, Entry.objects.count()) == ("open", entries)
