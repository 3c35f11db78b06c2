"""Rewards for points, with a stock and a limit that hold; rules of earning, of which multipliers take two teams."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.utils import timezone

from loyalty.errors import (
    MemberNotFound,
    NothingToDo,
    PointsInvalid,
    PointsShort,
    RewardLimit,
    RewardNameTaken,
    RewardUnavailable,
    RuleNameTaken,
)
from loyalty.models import Balance, Program, Redemption, Reward, Rule, Transaction
from loyalty.services import points, programs, rewards, rules
from opsconsole.approvals import services as approvals
from opsconsole.approvals.gate import Asked
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, DomainError
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reward(program: Program, marketing: Actor) -> Callable[..., Reward]:
    """Offer a reward: `reward("Coffee", points=100, stock=2)`."""

    def offer(name: str = "Coffee", points: int = 100, **facts: Any) -> Reward:
        return rewards.create_reward(
            **{"program_id": program.pk, "name": name, "points": points, **facts}, actor=marketing
        )

    return offer


def at_once(*calls: Callable[[], Any]) -> list[str]:
    def run(call: Callable[[], Any]) -> str:
        try:
            return type(call()).__name__
        except DomainError as error:
            return type(error).__name__
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return sorted(pool.map(run, calls))


def test_a_reward_costs_points_and_leaves_the_stock(
    reward: Callable[..., Reward], member: Callable[..., Balance], marketing: Actor
) -> None:
    coffee, alice = reward(stock=2), member("alice", 250)
    taken = rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing)
    paid = Transaction.objects.get(pk=taken.transaction_id)
    assert (paid.event_type, paid.amount, paid.origin_txn_id) == ("redeem", -100, str(taken.pk))
    coffee.refresh_from_db()
    alice.refresh_from_db()
    assert (coffee.stock, alice.points_balance, taken.status) == (1, 150, "claimed")
    rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing)
    with pytest.raises(RewardUnavailable, match="None of this reward are left"):
        rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing)
    with pytest.raises(MemberNotFound):
        rewards.redeem_reward(reward_id=reward("Tea").pk, user_id="nobody", actor=marketing)
    with pytest.raises(PointsShort):
        rewards.redeem_reward(reward_id=reward("Cake").pk, user_id="alice", actor=marketing)
    assert Redemption.objects.count() == 2


def test_the_last_one_and_many_who_want_it(
    reward: Callable[..., Reward], member: Callable[..., Balance], marketing: Actor
) -> None:
    last, few = reward(stock=1), reward("Cup", per_member=2)
    for name in ("a", "b", "c", "d"):
        member(name, 1_000)
    answers = at_once(
        *[lambda n=n: rewards.redeem_reward(reward_id=last.pk, user_id=n, actor=marketing) for n in "abcd"]
    )
    assert answers == ["Redemption"] + ["RewardUnavailable"] * 3
    answers = at_once(*[lambda: rewards.redeem_reward(reward_id=few.pk, user_id="a", actor=marketing)] * 5)
    assert answers == ["Redemption"] * 2 + ["RewardLimit"] * 3
    last.refresh_from_db()
    assert last.stock == 0
    spent = -sum(Transaction.objects.filter(event_type="redeem").values_list("amount", flat=True))
    assert spent == 300 == sum(Redemption.objects.values_list("points", flat=True))


def test_taken_back(reward: Callable[..., Reward], member: Callable[..., Balance], marketing: Actor) -> None:
    coffee, alice = reward(stock=5, per_member=1), member("alice", 250)
    taken = rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing)
    with pytest.raises(RewardLimit):
        rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing)
    points.reverse_transaction(transaction_id=taken.transaction_id, points=40, reason="goodwill", actor=marketing)
    back = rewards.take_redemption_back(redemption_id=taken.pk, reason="broken cup", actor=marketing)
    assert back.status == "reversed"
    with pytest.raises(WrongState):
        rewards.take_redemption_back(redemption_id=taken.pk, reason="broken cup", actor=marketing)
    coffee.refresh_from_db()
    alice.refresh_from_db()
    assert (coffee.stock, alice.points_balance) == (5, 250)
    again = rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing)
    rewards.fulfil_redemption(redemption_id=again.pk, actor=marketing)
    with pytest.raises(WrongState):
        rewards.take_redemption_back(redemption_id=again.pk, reason="regrets it", actor=marketing)
    verbs = Entry.objects.filter(subject_kind="loyalty_redemptions").values_list("verb", flat=True)
    assert sorted(verbs) == ["redemption.fulfilled", "redemption.taken_back"]


def test_what_was_paid_back_is_not_handed_over(
    reward: Callable[..., Reward], member: Callable[..., Balance], marketing: Actor
) -> None:
    member("alice", 250)
    taken = rewards.redeem_reward(reward_id=reward(stock=5).pk, user_id="alice", actor=marketing)
    points.reverse_transaction(transaction_id=taken.transaction_id, reason="broken cup", actor=marketing)
    with pytest.raises(WrongState):
        rewards.fulfil_redemption(redemption_id=taken.pk, actor=marketing)
    assert (
        rewards.take_redemption_back(redemption_id=taken.pk, reason="broken cup", actor=marketing).status == "reversed"
    )


def test_redeeming_and_taking_back_at_once(
    reward: Callable[..., Reward], member: Callable[..., Balance], marketing: Actor
) -> None:
    coffee, alice = reward(stock=20), member("alice", 1_000)
    taken = [rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing) for _ in range(4)]
    answers = at_once(
        *[
            lambda one=one: rewards.take_redemption_back(redemption_id=one.pk, reason="x", actor=marketing)
            for one in taken
        ],
        *[lambda: rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing)] * 4,
    )
    assert answers == ["Redemption"] * 8  # and nobody waited for each other in a circle
    coffee.refresh_from_db()
    alice.refresh_from_db()
    assert (coffee.stock, alice.points_balance) == (16, 600)


def test_a_reward_is_changed(reward: Callable[..., Reward], member: Callable[..., Balance], marketing: Actor) -> None:
    coffee = reward(stock=5)
    reward("Tea")
    member("alice", 500)
    changed = rewards.change_reward(
        reward_id=coffee.pk, changes={"points": 120, "stock": None}, reason="dearer beans", actor=marketing
    )
    assert (changed.points, changed.stock) == (120, None)
    with pytest.raises(NothingToDo):
        rewards.change_reward(reward_id=coffee.pk, changes={"points": 120}, reason="x", actor=marketing)
    with pytest.raises(RewardNameTaken):
        rewards.change_reward(reward_id=coffee.pk, changes={"name": "Tea"}, reason="x", actor=marketing)
    with pytest.raises(PointsInvalid) as wrong:
        rewards.change_reward(reward_id=coffee.pk, changes={"points": -1, "stock": -1}, reason="x", actor=marketing)
    assert set(wrong.value.fields["errors"]) == {"points", "stock"}
    rewards.change_reward(reward_id=coffee.pk, changes={"active": False}, reason="gone", actor=marketing)
    with pytest.raises(RewardUnavailable, match="not given any more"):
        rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing)
    assert Entry.objects.filter(verb="reward.changed").count() == 2


def test_the_database_keeps_stock_and_limits(
    reward: Callable[..., Reward],
    member: Callable[..., Balance],
    marketing: Actor,
    connect_as: Callable[[str], Any],
) -> None:
    one, none_left, alice = reward(per_member=1), reward("Tea", stock=0), member("alice", 1_000)
    other = programs.create_program(name="Other", budget_limit=Decimal(1000), actor=marketing)
    eve = member("eve", 500, program_id=other.pk)
    taken = rewards.redeem_reward(reward_id=one.pk, user_id="alice", actor=marketing)
    operator = connect_as("operator")

    def refused(constraint: str, *statements: str) -> None:
        with pytest.raises(psycopg.errors.CheckViolation) as broken, operator.transaction():
            operator.execute("; ".join(statements))
        assert broken.value.diag.constraint_name == constraint

    def claim(reward: Reward, member: Balance, points: int = 100) -> str:
        return (
            "insert into loyalty_redemptions (balance_id, reward_id, transaction_id, points)"
            f" values ('{member.pk}', '{reward.pk}', gen_random_uuid(), {points})"
        )

    refused("reward_limit_per_member", claim(one, alice))
    refused("reward_in_stock", claim(none_left, alice))
    refused("redemption_costs_its_reward", claim(one, eve, 1))
    refused("reward_of_program", claim(one, eve))
    refused("redemption_paid_by_ledger", "update loyalty_rewards set per_member = 2", claim(one, alice))
    refused("redemption_returned_by_ledger", "update loyalty_redemptions set status = 'reversed'")
    refused("redemption_stays", "update loyalty_redemptions set points = 1")
    refused("loyalty_redemptions_append_only", "delete from loyalty_redemptions")
    taken.refresh_from_db()
    assert taken.status == "claimed"


def test_the_doors(reward: Callable[..., Reward], member: Callable[..., Balance], api: Callable[..., Any]) -> None:
    coffee, client = reward(stock=5), api("ops_marketing")
    member("alice", 500)
    taken = client.post(f"/api/rewards/{coffee.pk}/redeem", {"userId": "alice"}, format="json")
    assert (taken.status_code, taken.json()["status"], taken.json()["userId"]) == (201, "claimed", "alice")
    path = f"/api/redemptions/{taken.json()['id']}"
    assert client.post(f"{path}/take-back", {"reason": "broken"}, format="json").json()["status"] == "reversed"
    assert client.post(f"{path}/fulfil").status_code == 409
    changed = client.patch(f"/api/rewards/{coffee.pk}", {"perMember": 3, "reason": "enough"}, format="json")
    assert (changed.status_code, changed.json()["perMember"], changed.json()["stock"]) == (200, 3, 5)
    listed = client.get("/api/redemptions", {"userId": "alice"}).json()["results"]
    assert [row["reward"] for row in listed] == ["Coffee"]


# --- rules of earning -----------------------------------------------------------------------------------------------


def test_a_multiplier_takes_two_teams(program: Program, marketing: Actor, finance: Actor) -> None:
    facts: dict[str, Any] = {
        "program_id": program.pk, "name": "Double", "kind": "multiplier", "multiplier": Decimal(2), "actor": marketing,
    }  # fmt: skip
    asked = rules.create_rule(**facts, reason="spring")
    assert isinstance(asked, Asked)
    assert not Rule.objects.exists()
    request = asked.request.pk
    approvals.decide_request(request_id=request, approved=True, comments="ok", signature="", actor=finance)
    made = rules.create_rule(**facts, reason="spring", approval_id=request)
    assert isinstance(made, Rule)
    earned = points.earn_points(program_id=program.pk, user_id="alice", spent=Decimal(10), actor=marketing)
    assert earned.points == 20
    asked = rules.change_rule(rule_id=made.pk, changes={"active": False}, reason="over", actor=marketing)
    assert isinstance(asked, Asked)
    approvals.decide_request(request_id=asked.request.pk, approved=True, comments="ok", signature="", actor=finance)
    off = rules.change_rule(
        rule_id=made.pk, changes={"active": False}, reason="over", approval_id=asked.request.pk, actor=marketing
    )
    assert isinstance(off, Rule)
    assert not off.active
    assert Entry.objects.filter(verb="rule.switched_off").count() == 1
    earned = points.earn_points(program_id=program.pk, user_id="alice", spent=Decimal(10), actor=marketing)
    assert earned.points == 10


def test_a_cap_holds_at_once(program: Program, marketing: Actor, api: Callable[..., Any]) -> None:
    cap = rules.create_rule(
        program_id=program.pk, name="A day", kind="cap", cap_points=15, period_days=1, reason="x", actor=marketing
    )
    assert isinstance(cap, Rule)
    with pytest.raises(RuleNameTaken):
        rules.create_rule(
            program_id=program.pk, name="A day", kind="cap", cap_points=1, period_days=1, reason="x", actor=marketing
        )
    spent = [
        points.earn_points(program_id=program.pk, user_id="alice", spent=Decimal(10), actor=marketing).points
        for _ in range(3)
    ]
    assert spent == [10, 5, 0]
    back = Transaction.objects.filter(event_type="earn").order_by("pk")[0]
    points.reverse_transaction(transaction_id=back.pk, points=4, reason="returned goods", actor=marketing)
    again = points.earn_points(program_id=program.pk, user_id="alice", spent=Decimal(10), actor=marketing)
    assert again.points == 4  # what was taken back was not earned
    client = api("ops_marketing")
    earn = f"/api/programs/{program.pk}/earn"
    for member in ("alice", "new"):  # points that are given as such are not cut, and nobody is enrolled for nothing
        refused = client.post(earn, {"userId": member, "points": 16}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (422, "rule_caps_earns")
    assert not Balance.objects.filter(user_id="new").exists()
    assert client.post(earn, {"userId": "new", "points": 15}, format="json").status_code == 201
    assert client.post(earn, {"userId": "new", "spent": "9.00"}, format="json").json()["pointsBalance"] == 15
    off = client.patch(f"/api/rules/{cap.pk}", {"active": False, "reason": "complaints"}, format="json")
    assert (off.status_code, off.json()["active"]) == (200, False)


def test_what_is_no_rule_is_said_field_by_field(program: Program, marketing: Actor) -> None:
    now = timezone.now()
    for facts, wrong in (
        ({"kind": "cap", "multiplier": Decimal(2)}, {"multiplier", "cap_points", "period_days"}),
        ({"kind": "multiplier", "multiplier": Decimal(0), "cap_points": 5}, {"multiplier", "cap_points"}),
        ({"kind": "gift"}, {"kind", "cap_points", "period_days"}),
        (
            {"kind": "multiplier", "multiplier": Decimal(2), "starts_at": now, "ends_at": now - timedelta(days=1)},
            {"ends_at"},
        ),
        ({"kind": "multiplier", "multiplier": Decimal(2), "ends_at": now.replace(year=9000)}, {"ends_at"}),
    ):
        with pytest.raises(PointsInvalid) as refused:
            rules.create_rule(program_id=program.pk, name="x", reason="x", actor=marketing, **facts)
        assert set(refused.value.fields["errors"]) == wrong


def test_a_denied_actor_changes_nothing(
    reward: Callable[..., Reward], member: Callable[..., Balance], marketing: Actor, auditor: Actor, program: Program
) -> None:
    coffee = reward()
    member("alice", 500)
    taken = rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing)
    cap = rules.create_rule(
        program_id=program.pk, name="A day", kind="cap", cap_points=15, period_days=1, reason="x", actor=marketing
    )
    entries, movements = Entry.objects.count(), Transaction.objects.count()
    for attempt in (
        lambda: rewards.create_reward(program_id=program.pk, name="x", points=1, actor=auditor),
        lambda: rewards.change_reward(reward_id=coffee.pk, changes={"points": 1}, reason="x", actor=auditor),
        lambda: rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=auditor),
        lambda: rewards.fulfil_redemption(redemption_id=taken.pk, actor=auditor),
        lambda: rewards.take_redemption_back(redemption_id=taken.pk, reason="x", actor=auditor),
        lambda: rules.create_rule(
            program_id=program.pk, name="y", kind="cap", cap_points=1, period_days=1, reason="x", actor=auditor
        ),
        lambda: rules.change_rule(rule_id=cap.pk, changes={"active": False}, reason="x", actor=auditor),
    ):
        with pytest.raises(Denied):
            attempt()
    assert (Entry.objects.count(), Transaction.objects.count()) == (entries, movements)
