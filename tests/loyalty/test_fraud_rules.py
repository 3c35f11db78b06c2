"""Rules of fraud: tried on the past before they look, changed by versions, told field by field what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from loyalty.errors import FraudRuleInvalid, FraudRuleTaken, NotBacktested
from loyalty.models import Balance, FraudHit, FraudRule
from loyalty.services import fraud_rules
from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from tests.loyalty.history import NOON, ago, earns

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_rule_looks_before_somebody_saw_what_it_would_hit(
    member: Callable[..., Balance], risk: Actor, connect_as: Callable[[str], Any]
) -> None:
    for day in (1, 2, 40):
        earns(member(f"m{day}", 1), 1, 20_000, ago(days=day, hours=1))
    shipped = FraudRule.objects.order_by("code")
    assert [(rule.code, rule.active) for rule in shipped] == [
        ("frequent_earner", False), ("frequent_redeemer", False), ("shared_address", False), ("sudden_spike", False),
    ]  # fmt: skip
    rule = shipped[0]
    assert rule.limits == {"hours": 24, "max_earns": 50, "max_points": 10_000}
    with pytest.raises(NotBacktested):
        fraud_rules.switch_fraud_rule(rule_id=rule.pk, active=True, reason="go", actor=risk)
    with pytest.raises(psycopg.errors.CheckViolation, match="fraud_rule_tried_before_it_looks"):
        connect_as("operator").execute("update loyalty_fraud_rules set active = true")
    tried = fraud_rules.back_test_rule(rule_id=rule.pk, since=ago(days=90), until=NOON, actor=risk)
    assert tried.backtest["members"] == 3
    assert tried.backtest["by_month"] == {"1998-01": 1, "1998-02": 1, "1998-03": 1}
    assert (tried.backtest["looks"], tried.backtest["tried_by"]) == (180, "risk_manager")
    assert not FraudHit.objects.exists()
    assert not Balance.objects.exclude(fraud_flags=[]).exists()
    fraud_rules.switch_fraud_rule(rule_id=rule.pk, active=True, reason="three are right", actor=risk)
    for slip in ("locks = true", """limits = limits || '{"max_earns": 1}'"""):
        with pytest.raises(psycopg.errors.CheckViolation, match="is another version of it"):
            connect_as("operator").execute(f"update loyalty_fraud_rules set {slip} where active")
        with pytest.raises(psycopg.errors.CheckViolation, match="fraud_rule_tried_before_it_looks"):
            connect_as("operator").execute(f"update loyalty_fraud_rules set {slip}, version = version + 1 where active")
    changed = fraud_rules.change_fraud_rule(
        rule_id=rule.pk, changes={"limits": {**rule.limits, "max_points": 30_000}}, reason="too many", actor=risk
    )
    assert (changed.version, changed.active, changed.backtest) == (2, False, None)
    verbs = Entry.objects.filter(subject_kind="loyalty_fraud_rules", actor_name="risk_manager").order_by("seq")
    assert [entry.verb for entry in verbs] == [
        "fraud_rule.tried", "fraud_rule.switched_on", "fraud_rule.changed",
    ]  # fmt: skip


def test_two_who_change_a_limit_each_keep_both(risk: Actor) -> None:
    rule = FraudRule.objects.get(code="frequent_earner")
    for limits in ({"max_earns": 40}, {"max_points": 9_000}):
        fraud_rules.change_fraud_rule(rule_id=rule.pk, changes={"limits": limits}, reason="ours", actor=risk)
    rule.refresh_from_db()
    assert (rule.limits, rule.version) == ({"hours": 24, "max_earns": 40, "max_points": 9_000}, 3)


def test_what_is_no_rule_is_said_field_by_field(risk: Actor) -> None:
    def make(**facts: Any) -> FraudRule:
        wanted = {"code": "mine", "kind": "address", "limits": {"hours": 24, "max_members": 5}, **facts}
        return fraud_rules.create_fraud_rule(**wanted, reason="x", actor=risk)

    for facts, wrong in (
        ({"kind": "moon"}, "kind"),
        ({"code": " "}, "code"),
        ({"limits": {"hours": 0, "max_members": 5}}, "limits"),
        ({"limits": {"hours": 24, "max_members": 5, "colour": 1}}, "limits"),
        ({"limits": {"hours": True, "max_members": 5}}, "limits"),
        ({"allowed_networks": ["here"]}, "allowed_networks"),
        ({"kind": "redemptions", "limits": {"hours": 1, "max_redemptions": 1}, "allowed_networks": ["::/0"]},
         "allowed_networks"),
        ({"review_hours": 0}, "review_hours"),
    ):  # fmt: skip
        with pytest.raises(FraudRuleInvalid) as refused:
            make(**facts)
        assert list(refused.value.fields["errors"]) == [wrong]
    assert make(allowed_networks=[" 198.51.100.0/24 "]).allowed_networks == ["198.51.100.0/24"]
    with pytest.raises(FraudRuleTaken):
        make()
    with pytest.raises(FraudRuleInvalid):
        fraud_rules.back_test_rule(rule_id=FraudRule.objects.get(code="mine").pk, since=NOON, until=NOON, actor=risk)
