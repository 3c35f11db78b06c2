"""What stands behind the doors of vouchers, rewards, fraud, disputes, budgets and members as persons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone

from loyalty.models import Balance, BudgetAlert, FraudHit, FraudRule, Program, Rule, Voucher
from loyalty.services import budgets, disputes, fraud, fraud_rules, points, programs, rewards, rules, vouchers
from loyalty.vouchers.codes import grouped
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation

Row = tuple[str, str]
TESTER = SYSTEM("test")


def furnish(people: Mapping[str, Actor], program: Program, alice: UUID) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ids that stand in the addresses, and those of fraud rules, which go by another name in them."""
    marketing = people["ops_marketing"]
    batch, _new = vouchers.issue_batch(program_id=program.pk, name="Fair", points=5, count=3, actor=marketing)
    vouchers.make_codes(batch_id=batch.pk, actor=marketing)
    reward = rewards.create_reward(program_id=program.pk, name="Coffee", points=5, actor=marketing)
    taken = rewards.redeem_reward(reward_id=reward.pk, user_id="alice", actor=marketing)
    cap = rules.create_rule(
        program_id=program.pk, name="A day", kind="cap", cap_points=9_000, period_days=1, reason="x", actor=marketing
    )
    assert isinstance(cap, Rule)
    leaver = points.earn_points(program_id=program.pk, user_id="leaver", points=5, actor=marketing)
    yesterday = timezone.now() - timedelta(days=1)
    dispute = disputes.open_dispute(
        balance_id=alice, ticket="12345", origin_txn_id="order-1", happened_at=yesterday, actor=marketing
    )
    own_rules = {code: _tried(code) for code in ("frequent_earner", "frequent_redeemer")}
    looks = own_rules["frequent_redeemer"]
    fraud_rules.switch_fraud_rule(rule_id=looks, active=True, reason="seen", actor=TESTER)
    judged = _hit(balance=leaver.balance_id, rule=looks, actor=TESTER)
    fraud.dismiss_hits(hit_ids=[judged.pk], comment="a wedding", actor=people["risk_manager"])
    defaults = {
        "batch_id": batch.pk,
        "reward_id": reward.pk,
        "redemption_id": taken.pk,
        "rule_id": cap.pk,
        "hit_id": _hit(balance=alice, rule=looks, actor=TESTER).pk,
        "dispute_id": dispute.pk,
        "alert_id": _alert(marketing).pk,
    }
    address = "api/fraud-rules/<rule_id>"
    ids = {f"{address}{door}": {"rule_id": own_rules["frequent_earner"]} for door in ("", "/back-test", "/switch")}
    ids[f"{address}/look"] = {"rule_id": looks}
    return defaults, ids


def bodies() -> dict[Row, dict[str, Any]]:
    """A body for each door that takes one."""
    reason, alice = {"reason": "because"}, Balance.objects.get(program__name="Club", user_id="alice")
    program = {"programId": str(alice.program_id)}
    code = Voucher.objects.filter(status="issued").values_list("code", flat=True).first()
    cap = {"kind": "cap", "capPoints": 5, "periodDays": 1}
    batch, rule = "api/voucher-batches/<batch_id>", "api/fraud-rules/<rule_id>"
    return {
        ("POST", "api/voucher-batches"): {"name": "Spring", "points": 5, "count": 2, **program},
        ("POST", f"{batch}/withdraw"): reason,
        ("POST", f"{batch}/export"): reason,
        ("POST", "api/vouchers/redeem"): {"code": grouped(code), "userId": "alice"},
        ("POST", "api/vouchers/withdraw"): {"code": code, **reason},
        ("POST", "api/rewards"): {"name": "Tea", "points": 5, **program},
        ("PATCH", "api/rewards/<reward_id>"): {"stock": 5, **reason},
        ("POST", "api/rewards/<reward_id>/redeem"): {"userId": "alice"},
        ("POST", "api/redemptions/<redemption_id>/take-back"): reason,
        ("POST", "api/rules"): {"name": "A week", **cap, **program, **reason},
        ("PATCH", "api/rules/<rule_id>"): {"active": False, **reason},
        ("POST", "api/fraud-rules"): {
            "code": "mine", "kind": "address", "limits": {"hours": 24, "maxMembers": 9}, **reason,
        },
        ("PATCH", rule): {"locks": True, **reason},
        ("POST", f"{rule}/switch"): {"active": True, **reason},
        ("POST", "api/fraud-hits/<hit_id>/confirm"): {"comment": "stolen card"},
        ("POST", "api/fraud-hits/<hit_id>/dismiss"): {"comment": "a wedding"},
        ("POST", "api/disputes"): {
            "balanceId": str(alice.pk), "ticket": "7", "originTxnId": "order-2", "happenedAt": "2026-01-01T00:00:00Z",
        },
        ("POST", "api/disputes/<dispute_id>/refuse"): reason,
        ("POST", "api/disputes/<dispute_id>/adjust"): {"amount": 5, **reason},
        ("POST", "api/budget-alerts/<alert_id>/acknowledge"): {"note": "the merchant is asked"},
        ("POST", "api/members/export"): {"userId": "leaver", **reason},
        ("POST", "api/members/erase"): {"userId": "leaver", **reason},
    }  # fmt: skip


def _tried(code: str) -> UUID:
    rule = FraudRule.objects.get(code=code)
    return fraud_rules.back_test_rule(rule_id=rule.pk, actor=TESTER).pk


@operation
def _hit(*, balance: UUID, rule: UUID, actor: Actor) -> FraudHit:
    return FraudHit.objects.create(rule_id=rule, rule_version=1, balance_id=balance, due_at=timezone.now())


def _alert(marketing: Actor) -> BudgetAlert:
    """Of another program, which is nearly used up."""
    small = programs.create_program(name="Small club", budget_limit=Decimal(100), actor=marketing)
    points.earn_points(program_id=small.pk, user_id="alice", points=93, actor=marketing)
    (alert,) = budgets.watch_budgets(actor=TESTER)
    return alert
