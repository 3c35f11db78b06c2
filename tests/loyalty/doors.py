"""What stands behind the doors of loyalty: a program with members, and a body that each door understands."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from loyalty.models import Program, Transaction
from loyalty.services import members, points, programs
from opsconsole.approvals.gate import Asked
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor
from tests.loyalty import campaign_doors, desk_doors, tier_doors

Row = tuple[str, str]


def furnish(people: Mapping[str, Actor]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The ids that stand in the addresses, and those of rows in a certain state by address."""
    marketing = people["ops_marketing"]
    program = programs.create_program(
        name="Club", budget_limit=Decimal(1_000_000), points_valid_months=12, actor=marketing
    )

    def enrol(user_id: str) -> Any:
        return points.earn_points(program_id=program.pk, user_id=user_id, points=900, actor=marketing).balance_id

    alice, frozen = enrol("alice"), enrol("frozen")
    members.freeze_members(balance_ids=[frozen], reason="fraud alert", lock_all=True, actor=marketing)
    defaults = {
        "program_id": program.pk,
        "balance_id": alice,
        "transaction_id": Transaction.objects.get(balance=alice).pk,
    }
    ids = {f"api/balances/<balance_id>/{door}": {"balance_id": frozen} for door in ("unfreeze", "unlock")}
    ids["api/programs/<program_id>/resume"] = {"program_id": _suspended(people).pk}
    of_desk, rules_of_desk = desk_doors.furnish(people, program, alice)
    of_campaigns, in_a_state = campaign_doors.furnish(people, program)
    of_tiers = tier_doors.furnish(people, program)
    return {**defaults, **of_desk, **of_campaigns, **of_tiers}, {**ids, **rules_of_desk, **in_a_state}


def _suspended(people: Mapping[str, Actor]) -> Program:
    """Another program, which two teams have agreed to stop."""
    marketing = people["ops_marketing"]
    program = programs.create_program(name="Old club", budget_limit=Decimal(1000), actor=marketing)
    asked = programs.suspend_program(program_id=program.pk, reason="fraud", actor=marketing)
    assert isinstance(asked, Asked)
    request = asked.request.pk
    decide_request(request_id=request, approved=True, comments="", signature="", actor=people["finance_ops"])
    done = programs.suspend_program(program_id=program.pk, reason="fraud", approval_id=request, actor=marketing)
    assert isinstance(done, Program)
    return done


def bodies() -> dict[Row, dict[str, Any]]:
    """A body for each door that takes one."""
    reason = {"reason": "because"}
    return {
        ("POST", "api/programs"): {"name": "Another", "budgetLimit": 1000},
        ("PUT", "api/programs/<program_id>"): {"budgetLimit": 2_000_000, **reason},
        ("POST", "api/programs/<program_id>/suspend"): reason,
        ("POST", "api/programs/<program_id>/resume"): reason,
        ("POST", "api/programs/<program_id>/earn"): {"userId": "alice", "points": 5},
        ("POST", "api/programs/<program_id>/redeem"): {"userId": "alice", "points": 5},
        ("POST", "api/balances/<balance_id>/adjust"): {"amount": 5, **reason},
        ("POST", "api/balances/<balance_id>/freeze"): reason,
        ("POST", "api/balances/<balance_id>/unfreeze"): reason,
        ("POST", "api/balances/<balance_id>/lock"): {"points": 5, **reason},
        ("POST", "api/balances/<balance_id>/unlock"): {"points": 5, **reason},
        ("POST", "api/balances/<balance_id>/flag"): {"flags": ["under_investigation"], **reason},
        ("POST", "api/transactions/<transaction_id>/reverse"): {"points": 5, **reason},
        **desk_doors.bodies(),
        **campaign_doors.bodies(),
        **tier_doors.bodies(),
    }
