"""The rows that the buttons of vouchers, rewards, tiers and rules stand on, and what is typed into their forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from loyalty.models import Rule, Tier, Voucher
from loyalty.services import programs, rewards, rules, tiers
from loyalty.services.tiers import TierFacts
from opsconsole.approvals.gate import Asked
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor


def rows(known: Mapping[str, Any], people: Mapping[str, Actor]) -> dict[str, Any]:
    """A row for each button of a row, in a state in which it can be pressed."""
    batch, marketing = known["batch_id"], people["ops_marketing"]
    off = rules.create_rule(
        program_id=known["program_id"], name="Off", kind="cap", cap_points=5, period_days=1, reason="x", actor=marketing
    )
    assert isinstance(off, Rule)
    rules.change_rule(rule_id=off.pk, changes={"active": False}, reason="x", actor=marketing)
    retired = rewards.create_reward(program_id=known["program_id"], name="Retired", points=5, actor=marketing)
    rewards.change_reward(reward_id=retired.pk, changes={"active": False}, reason="x", actor=marketing)
    return {
        **{f"loyalty_voucherbatch_{name}": batch for name in ("export", "withdraw")},
        "loyalty_voucher_withdraw": Voucher.objects.filter(batch=batch, status="issued")[0].pk,
        **{f"loyalty_reward_{name}": known["reward_id"] for name in ("edit", "retire")},
        "loyalty_reward_offer-again": retired.pk,
        **{f"loyalty_redemption_{name}": known["redemption_id"] for name in ("fulfil", "take-back")},
        **{f"loyalty_rule_{name}": known["rule_id"] for name in ("edit", "switch-off")},
        "loyalty_rule_switch-on": off.pk,
        "loyalty_rule_carry-out": _doubled_rule(people),
        "loyalty_tier_edit": known["tier_id"],
        "loyalty_tier_carry-out": _doubled_tier(people),
    }


def said() -> dict[str, dict[str, Any]]:
    """What a person would type, besides a reason and a name."""
    code = {"code": Voucher.objects.filter(status="issued")[0].code}
    return {
        "loyalty_rule_new-multiplier": {"multiplier": "2"},
        "loyalty_rule_new-cap": {"cap_points": "5", "period_days": "1"},
        "loyalty_tier_new": {"rank": "9", "threshold": "90000"},
        "loyalty_voucherbatch_new": {"points": "5", "count": "2"},
        "loyalty_voucherbatch_look-up": code,
        "loyalty_voucher_look-up": code,
        "loyalty_reward_new": {"points": "5"},
    }


def _doubled_tier(people: Mapping[str, Actor]) -> Any:
    """A tier that marketing wants to multiply, to which finance has agreed."""
    marketing = people["ops_marketing"]
    program = programs.create_program(name="Tiers agreed", budget_limit=Decimal(1000), actor=marketing)
    tier = tiers.define_tier(program_id=program.pk, facts=TierFacts("Silver", 1, 500), actor=marketing)
    assert isinstance(tier, Tier)
    double = {"multiplier": Decimal(2)}
    _agreed(lambda: tiers.change_tier(tier_id=tier.pk, changes=double, reason="x", actor=marketing), people)
    return tier.pk


def _doubled_rule(people: Mapping[str, Actor]) -> Any:
    """A multiplier that marketing wants doubled, to which finance has agreed; it took both of them to be made."""
    marketing = people["ops_marketing"]
    program = programs.create_program(name="Rules agreed", budget_limit=Decimal(1000), actor=marketing)
    order: dict[str, Any] = {
        "program_id": program.pk, "name": "Half more", "kind": "multiplier", "multiplier": Decimal("1.5"),
        "reason": "x", "actor": marketing,
    }  # fmt: skip
    rule = rules.create_rule(**order, approval_id=_agreed(lambda: rules.create_rule(**order), people))
    assert isinstance(rule, Rule)
    triple = {"multiplier": Decimal(3)}
    _agreed(lambda: rules.change_rule(rule_id=rule.pk, changes=triple, reason="x", actor=marketing), people)
    return rule.pk


def _agreed(ask: Callable[[], object], people: Mapping[str, Actor]) -> Any:
    asked = ask()
    assert isinstance(asked, Asked)
    decide_request(request_id=asked.request.pk, approved=True, comments="", signature="", actor=people["finance_ops"])
    return asked.request.pk
