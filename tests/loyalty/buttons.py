"""The rows that the buttons of loyalty stand on, and what a person would type into their forms."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from loyalty.models import Balance, Campaign, Program
from loyalty.services import points, programs
from opsconsole.approvals.gate import Asked
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor


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
        **{f"loyalty_balance_{name}": known["balance_id"] for name in ("freeze", "lock", "flag", "adjust")},
        **{f"loyalty_balance_{name}": frozen for name in ("unfreeze", "unlock")},
        "loyalty_balance_carry-out": to_do[1],
        "loyalty_transaction_reverse": known["transaction_id"],
        **{f"loyalty_campaign_{name}": drafted for name in ("edit", "preview", "test", "cancel")},
        "loyalty_campaign_schedule": _previewed(people),
        **{f"loyalty_campaign_{name}": runs for name in ("pause", "execute")},
        "loyalty_campaign_resume": ids[f"{campaign}/resume"]["campaign_id"],
        "loyalty_campaign_undo": ids[f"{campaign}/undo"]["campaign_id"],
    }


def _agreed_to(people: Mapping[str, Actor]) -> tuple[Any, Any]:
    """A program and a member for whom marketing has asked something, and finance has agreed."""
    marketing = people["ops_marketing"]
    program = programs.create_program(name="Agreed", budget_limit=Decimal(100_000), actor=marketing)
    posted = points.earn_points(program_id=program.pk, user_id="agreed", points=9, actor=marketing)
    for asked in (
        programs.change_budget(program_id=program.pk, budget_limit=Decimal(200_000), reason="more", actor=marketing),
        points.adjust_points(balance_id=posted.balance_id, amount=20_000, reason="lost", actor=marketing),
    ):
        assert isinstance(asked, Asked)
        decide_request(
            request_id=asked.request.pk, approved=True, comments="", signature="", actor=people["finance_ops"]
        )
    return program.pk, posted.balance_id


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
        "loyalty_program_new": {"budget_limit": "1000", "earn_rate": "1"},
        "loyalty_program_budget": {"budget_limit": "2000000"},
        "loyalty_program_earn-rate": {"earn_rate": "0.5"},
        "loyalty_balance_lock": {"points": "5"},
        "loyalty_balance_unlock": {"points": "5"},
        "loyalty_balance_adjust": {"amount": "5"},
        "loyalty_campaign_new": {
            "program": str(Program.objects.get(name="Club").pk),
            "bonus_points": "5",
            "start_date": "2999-01-01T00:00",
        },
        "loyalty_campaign_edit": {"bonus_points": "6"},
        "loyalty_campaign_test": {"members": Balance.objects.get(user_id="alice", program__name="Club").user_id},
    }.get(name, {})
