"""What waits on the demo's desks: members who look like fraud, and members who say that points are missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.utils import timezone

from loyalty.models import Balance, Dispute, FraudRule, Program
from loyalty.services import disputes, fraud, fraud_rules, points
from opsconsole.core.actors import Actor

RULES: Final = ("frequent_earner", "shared_address")
RICH: Final = (("courier-7", 31_400), ("reseller-2", 12_600))
BEHIND_ONE_ADDRESS: Final = 8
ADDRESS: Final = "203.0.113.77"
TRIED_ON: Final = timedelta(days=30)


def seed_desk(program: Program, *, actor: Actor) -> None:
    """Have members who stand out, the rules that find them, and two disputes; nothing that is there is changed."""
    for member, earned in RICH:
        _earn(program, member, earned, "198.51.100.20", actor)
    for number in range(1, BEHIND_ONE_ADDRESS + 1):
        _earn(program, f"tester-{number:02}", 40 * number, ADDRESS, actor)
    for rule in FraudRule.objects.filter(code__in=RULES, backtest__isnull=True).order_by("code"):
        fraud_rules.back_test_rule(rule_id=rule.pk, since=timezone.now() - TRIED_ON, actor=actor)
        fraud_rules.switch_fraud_rule(rule_id=rule.pk, active=True, reason="The demo", actor=actor)
        fraud.look_for(rule_id=rule.pk, actor=actor)
    if not Dispute.objects.filter(program=program).exists():
        _disputes(program, actor)


def _earn(program: Program, user_id: str, earned: int, address: str, actor: Actor) -> None:
    key = f"demo-{user_id}"
    points.earn_points(
        program_id=program.pk,
        user_id=user_id,
        points=earned,
        origin_txn_id=f"till-{user_id}",
        key=key,
        ip_address=address,
        actor=actor,
    )


def _disputes(program: Program, actor: Actor) -> None:
    """One about a purchase that earned for somebody else, one about a purchase that nobody has seen."""
    now = timezone.now()
    claims = (
        ("tester-02", "T-1041", "till-tester-01", now, "I bought it and somebody else has the points."),
        ("reseller-2", "T-1042", "order-20931", now - timedelta(days=3), "The shop was offline when I paid."),
    )
    for user_id, ticket, purchase, happened_at, claim in claims:
        disputes.open_dispute(
            balance_id=Balance.objects.get(program=program, user_id=user_id).pk,
            ticket=ticket,
            origin_txn_id=purchase,
            happened_at=happened_at,
            claim=claim,
            actor=actor,
        )
