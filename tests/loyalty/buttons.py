"""The rows that the buttons of loyalty stand on, and what a person would type into their forms."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from loyalty.models import Balance, Campaign, FraudHit, FraudRule, Program
from loyalty.services import disputes, points, programs
from opsconsole.approvals.gate import Asked
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor
from tests.loyalty import shop_buttons


def rows(known: Mapping[str, Any], ids: Mapping[str, Any], people: Mapping[str, Actor]) -> dict[str, Any]:
    """A row for each button of a row, in a state in which it can be pressed."""
    campaign, drafted = "api/campaigns/<campaign_id>", known["campaign_id"]
    suspended = ids["api/programs/<program_id>/resume"]["program_id"]
    frozen = ids["api/balances/<balance_id>/unfreeze"]["balance_id"]
    runs = ids[f"{campaign}/pause"]["campaign_id"]
    to_do = _agreed_to(people)
    return {
        **{f"loyalty_program_{name}": known["program_id"] for name in ("budget", "earn-rate", "suspend")},
        "loyalty_program_resume": suspended,
        "loyalty_program_carry-out": to_do[0],
        "loyalty_budgetalert_acknowledge": known["alert_id"],
        **{f"loyalty_balance_{name}": known["balance_id"] for name in ("freeze", "lock", "flag", "adjust")},
        **{f"loyalty_balance_{name}": frozen for name in ("unfreeze", "unlock")},
        "loyalty_balance_carry-out": to_do[1],
        "loyalty_balance_dispute": known["balance_id"],
        "loyalty_transaction_reverse": known["transaction_id"],
        **shop_buttons.rows(known, people),
        **{f"loyalty_dispute_{name}": known["dispute_id"] for name in ("adjust", "refuse")},
        "loyalty_dispute_carry-out": to_do[2],
        **{f"loyalty_fraudhit_{name}": known["hit_id"] for name in ("confirm", "dismiss")},
        **{f"loyalty_fraudrule_{name}": _fraud_rule("frequent_earner") for name in ("edit", "copy", "try-out", "on")},
        **{f"loyalty_fraudrule_{name}": _fraud_rule("frequent_redeemer") for name in ("off", "look")},
        **{f"loyalty_campaign_{name}": drafted for name in ("edit", "preview", "test", "cancel")},
        "loyalty_campaign_schedule": _previewed(people),
        **{f"loyalty_campaign_{name}": runs for name in ("pause", "execute", "fail")},
        "loyalty_campaign_resume": ids[f"{campaign}/resume"]["campaign_id"],
        "loyalty_campaign_undo": ids[f"{campaign}/undo"]["campaign_id"],
    }


def _fraud_rule(code: str) -> Any:
    """The first is off and tried out, the second is on."""
    return FraudRule.objects.get(code=code).pk


def _agreed_to(people: Mapping[str, Actor]) -> tuple[Any, Any, Any]:
    """A program, a member and a dispute for which marketing has asked something, and finance has agreed."""
    marketing = people["ops_marketing"]
    program = programs.create_program(name="Agreed", budget_limit=Decimal(100_000), actor=marketing)
    posted = points.earn_points(program_id=program.pk, user_id="agreed", points=9, actor=marketing)
    other = points.earn_points(program_id=program.pk, user_id="disputes", points=9, actor=marketing)
    dispute = disputes.open_dispute(
        balance_id=other.balance_id, ticket="9", origin_txn_id="o-9", happened_at=program.created_at, actor=marketing
    )
    for asked in (
        disputes.adjust_dispute(dispute_id=dispute.pk, amount=20_000, reason="lost", actor=marketing),
        programs.change_budget(program_id=program.pk, budget_limit=Decimal(200_000), reason="more", actor=marketing),
        points.adjust_points(balance_id=posted.balance_id, amount=20_000, reason="lost", actor=marketing),
    ):
        assert isinstance(asked, Asked)
        decide_request(
            request_id=asked.request.pk, approved=True, comments="", signature="", actor=people["finance_ops"]
        )
    return program.pk, posted.balance_id, dispute.pk


def _previewed(people: Mapping[str, Actor]) -> Any:
    from loyalty.services import campaigns

    again = Campaign.objects.get(name="Drafted")
    made = campaigns.create_campaign(
        program_id=again.program_id,
        name="Previewed",
        target_segment=again.target_segment,
        bonus_points=5,
        start_date=again.start_date,
        actor=people["ops_marketing"],
    )
    return campaigns.preview_campaign(campaign_id=made.pk, actor=people["ops_marketing"]).pk


def said(name: str, who: str) -> dict[str, Any]:
    """What a person would type, besides a reason and a name."""
    return {
        **shop_buttons.said(),
        "loyalty_program_new": {"budget_limit": "1000", "earn_rate": "1"},
        "loyalty_program_budget": {"budget_limit": "2000000"},
        "loyalty_program_earn-rate": {"earn_rate": "0.5"},
        "loyalty_balance_lock": {"points": "5"},
        "loyalty_balance_unlock": {"points": "5"},
        "loyalty_balance_adjust": {"amount": "5"},
        "loyalty_balance_dispute": {"ticket": "8", "origin_txn_id": "order-8", "happened_at": "2026-01-01T00:00"},
        "loyalty_dispute_new": {
            "program": str(Program.objects.get(name="Club").pk),
            "user_id": "alice",
            "ticket": "8",
            "origin_txn_id": "order-8",
            "happened_at": "2026-01-01T00:00",
        },
        "loyalty_dispute_adjust": {"amount": "5"},
        **{
            f"loyalty_fraudhit_{verdict}-several": {
                "hits": [str(pk) for pk in FraudHit.objects.filter(status="open").values_list("pk", flat=True)]
            }
            for verdict in ("confirm", "dismiss")
        },
        "loyalty_fraudrule_edit": {"review_hours": "12"},
        "loyalty_fraudrule_copy": {"code": f"of-{who}"},
        "loyalty_campaign_new": {
            "program": str(Program.objects.get(name="Club").pk),
            "bonus_points": "5",
            "start_date": "2199-01-01T00:00",
        },
        "loyalty_campaign_edit": {"bonus_points": "6"},
        "loyalty_campaign_test": {"members": Balance.objects.get(user_id="alice", program__name="Club").user_id},
    }.get(name, {})
