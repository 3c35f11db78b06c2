"""Points through the services: earned once under a key, redeemed, reversed, adjusted with two teams' consent."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from loyalty import adjusting
from loyalty.errors import ActorMismatch, BudgetExhausted, KeyTaken, MemberFrozen, PointsShort, ReversalRefused
from loyalty.models import Balance, Program, Transaction
from loyalty.services import members, points, programs
from opsconsole.approvals import services as approvals
from opsconsole.approvals.errors import AlreadyApproved, AlreadyConsumed, DigestMismatch, QuorumIncomplete
from opsconsole.approvals.gate import Asked
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.journal.models import Entry


def reason_of(verb: str) -> str:
    """Why, by the one entry of this verb."""
    return str(json.loads(Entry.objects.get(verb=verb).body)["reason"])


pytestmark = pytest.mark.django_db(transaction=True)


def test_the_same_key_gives_the_first_transaction(program: Program, marketing: Actor) -> None:
    first = points.earn_points(program_id=program.pk, user_id="alice", points=100, key="order-1", actor=marketing)
    again = points.earn_points(program_id=program.pk, user_id="alice", points=100, key="order-1", actor=marketing)
    assert not first.replayed
    assert again.replayed
    assert again.transaction_id == first.transaction_id
    with pytest.raises(KeyTaken):
        points.earn_points(program_id=program.pk, user_id="alice", points=101, key="order-1", actor=marketing)
    assert Balance.objects.get().points_balance == 100
    program.refresh_from_db()
    assert program.budget_spent == 100


def test_each_movement_names_who_made_it(
    member: Callable[..., Balance], program: Program, marketing: Actor, connect_as: Callable[[str], Any]
) -> None:
    alice = member("alice", 500)
    points.redeem_points(program_id=program.pk, user_id="alice", points=100, actor=marketing)
    points.adjust_points(balance_id=alice.pk, amount=5, reason="Ticket 1", actor=marketing)
    earned = Transaction.objects.get(event_type="earn")
    points.reverse_transaction(transaction_id=earned.pk, points=1, reason="returned goods", actor=marketing)
    operator = connect_as("operator")
    operator.execute("set ops.actor = 'somebody'; set ops.context = 'points.earn_points'")  # as anybody may say
    operator.execute(
        "insert into loyalty_transactions (balance_id, event_type, amount) values (%s, 'earn', 7)", [alice.pk]
    )
    told = operator.execute(
        "select action, actor from loyalty_audit_logs where entity_type = 'transaction' order by created_at, id"
    )
    by_marketing = [(event, marketing.name) for event in ("earn", "redeem", "adjust", "reverse")]
    assert told.fetchall() == [*by_marketing, ("earn", "operator")]


def test_what_is_spent_earns_by_the_rate(program: Program, marketing: Actor, finance: Actor) -> None:
    Program.objects.filter(pk=program.pk).update(earn_rate=Decimal("1.5"))
    posted = points.earn_points(program_id=program.pk, user_id="alice", spent=Decimal("11.77"), actor=marketing)
    assert posted.points == 17  # 17.655, cut


def test_redeeming_needs_points_that_are_not_locked(member: Callable[..., Balance], marketing: Actor) -> None:
    alice = member("alice", 500)
    members.lock_points(balance_id=alice.pk, points=200, reason="investigation", actor=marketing)
    with pytest.raises(PointsShort):
        points.redeem_points(program_id=alice.program_id, user_id="alice", points=301, actor=marketing)
    left = points.redeem_points(program_id=alice.program_id, user_id="alice", points=300, actor=marketing)
    assert (left.balance, left.locked) == (200, 200)


def test_a_frozen_member_neither_earns_nor_redeems(member: Callable[..., Balance], marketing: Actor) -> None:
    alice = member("alice", 500)
    members.freeze_members(balance_ids=[alice.pk], reason="fraud alert", flag="emergency_freeze_x", actor=marketing)
    with pytest.raises(MemberFrozen):
        points.earn_points(program_id=alice.program_id, user_id="alice", points=1, actor=marketing)
    with pytest.raises(MemberFrozen):
        points.redeem_points(program_id=alice.program_id, user_id="alice", points=1, actor=marketing)
    alice.refresh_from_db()
    assert (alice.points_balance, alice.fraud_flags) == (500, ["emergency_freeze_x"])
    assert reason_of("member.frozen") == "fraud alert"


def test_no_more_is_taken_back_than_there_was(member: Callable[..., Balance], marketing: Actor) -> None:
    alice = member("alice", 500)
    earned = Transaction.objects.get(balance=alice)
    member("alice", 50)  # so that it is not for want of points
    points.reverse_transaction(transaction_id=earned.pk, points=300, reason="returned goods", actor=marketing)
    with pytest.raises(ReversalRefused):
        points.reverse_transaction(transaction_id=earned.pk, points=201, reason="returned goods", actor=marketing)
    points.reverse_transaction(transaction_id=earned.pk, points=200, reason="returned goods", actor=marketing)
    alice.refresh_from_db()
    assert alice.points_balance == 50
    assert Program.objects.get(pk=alice.program_id).budget_spent == 50


def test_a_small_adjustment_is_made_at_once(member: Callable[..., Balance], marketing: Actor) -> None:
    alice = member("alice", 500)
    made = points.adjust_points(
        balance_id=alice.pk,
        amount=-100,
        reason="Ticket 12345",
        actor_id=str(marketing.user.pk) if marketing.user else None,
        actor_role="ops_marketing",
        actor=marketing,
    )
    assert isinstance(made, Transaction)
    alice.refresh_from_db()
    assert alice.points_balance == 400
    with pytest.raises(ActorMismatch):
        points.adjust_points(balance_id=alice.pk, amount=1, reason="x", actor_id="somebody", actor=marketing)
    with pytest.raises(ActorMismatch):
        points.adjust_points(balance_id=alice.pk, amount=1, reason="x", actor_role="finance_ops", actor=marketing)


def test_a_large_adjustment_takes_two_teams(
    member: Callable[..., Balance], marketing: Actor, finance: Actor, person: Callable[..., Actor]
) -> None:
    alice = member("alice", 500)
    asked = points.adjust_points(balance_id=alice.pk, amount=20_000, reason="Ticket 1: lost", actor=marketing)
    assert isinstance(asked, Asked)
    assert asked.roles == ["ops_marketing", "finance_ops"]  # the asker's own first, as in the runbook
    request = asked.request.pk

    def again(**changed: object) -> Transaction | Asked:
        facts = {"balance_id": alice.pk, "amount": 20_000, "reason": "Ticket 1", "actor": marketing, **changed}
        return points.adjust_points(approval_id=request, **facts)  # type: ignore[arg-type]

    with pytest.raises(QuorumIncomplete):
        again()
    approvals.decide_request(request_id=request, approved=True, comments="verified", signature="", actor=finance)
    with pytest.raises(DigestMismatch):
        again(amount=20_001)
    with pytest.raises(DigestMismatch):
        again(actor=person("ops_marketing2", "ops_marketing"))
    assert Transaction.objects.filter(event_type="adjust").count() == 0
    made = again()
    assert isinstance(made, Transaction)
    with pytest.raises(AlreadyConsumed):
        again()
    alice.refresh_from_db()
    assert alice.points_balance == 20_500
    assert reason_of("points.adjusted") == "Ticket 1"  # and the first reason is in the request's own entry


def test_splitting_an_adjustment_does_not_help(member: Callable[..., Balance], marketing: Actor) -> None:
    alice = member("alice", 500)
    for _ in range(2):
        made = points.adjust_points(balance_id=alice.pk, amount=5_000, reason="goodwill", actor=marketing)
        assert isinstance(made, Transaction)
    assert isinstance(points.adjust_points(balance_id=alice.pk, amount=1, reason="goodwill", actor=marketing), Asked)


def test_an_approval_is_used_up_even_where_none_is_needed_any_more(
    member: Callable[..., Balance], marketing: Actor, finance: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = member("alice", 500)
    points.adjust_points(balance_id=alice.pk, amount=9_000, reason="goodwill", actor=marketing)
    asked = points.adjust_points(balance_id=alice.pk, amount=2_000, reason="goodwill", actor=marketing)
    assert isinstance(asked, Asked)
    request = asked.request.pk
    approvals.decide_request(request_id=request, approved=True, comments="", signature="", actor=finance)
    monkeypatch.setattr(adjusting, "ADJUSTED_WITHIN", timedelta(0))  # a day later
    again = {"balance_id": alice.pk, "amount": 2_000, "reason": "goodwill", "approval_id": request, "actor": marketing}
    assert isinstance(points.adjust_points(**again), Transaction)
    with pytest.raises(AlreadyConsumed):
        points.adjust_points(**again)
    alice.refresh_from_db()
    assert alice.points_balance == 11_500


def test_nobody_agrees_with_themselves_alone(
    member: Callable[..., Balance], finance: Actor, person: Callable[..., Actor]
) -> None:
    both = person("both", "ops_marketing", "finance_ops")
    alice = member("alice", 500)
    asked = points.adjust_points(balance_id=alice.pk, amount=20_000, reason="mine", actor=both)
    assert isinstance(asked, Asked)
    with pytest.raises(AlreadyApproved):
        approvals.decide_request(request_id=asked.request.pk, approved=True, comments="", signature="", actor=both)
    with pytest.raises(QuorumIncomplete):
        points.adjust_points(
            balance_id=alice.pk, amount=20_000, reason="mine", approval_id=asked.request.pk, actor=both
        )


def test_the_budget_is_never_passed(program: Program, marketing: Actor) -> None:
    with pytest.raises(BudgetExhausted, match="Program budget exhausted"):
        points.earn_points(program_id=program.pk, user_id="alice", points=1_000_001, actor=marketing)
    assert not Transaction.objects.exists()
    assert not Balance.objects.exists()


def test_a_denied_actor_changes_nothing(member: Callable[..., Balance], auditor: Actor) -> None:
    alice = member("alice", 500)
    entries = Entry.objects.count()
    for attempt in (
        lambda: points.earn_points(program_id=alice.program_id, user_id="alice", points=1, actor=auditor),
        lambda: points.redeem_points(program_id=alice.program_id, user_id="alice", points=1, actor=auditor),
        lambda: points.adjust_points(balance_id=alice.pk, amount=1, reason="x", actor=auditor),
        lambda: members.freeze_members(balance_ids=[alice.pk], reason="x", actor=auditor),
        lambda: programs.suspend_program(program_id=alice.program_id, reason="x", actor=auditor),
        lambda: programs.change_budget(
            program_id=alice.program_id, budget_limit=Decimal(2_000_000), reason="x", actor=auditor
        ),
    ):
        with pytest.raises(Denied):
            attempt()
    assert Entry.objects.count() == entries
    assert Transaction.objects.count() == 1
