"""What stands behind the doors of tiers, and a body that each of them understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loyalty.models import Program
from loyalty.services import tiers
from loyalty.services.tiers import TierFacts
from opsconsole.core.actors import Actor

Row = tuple[str, str]


def furnish(people: Mapping[str, Actor], program: Program) -> dict[str, Any]:
    """The ids that stand in the addresses."""
    facts = TierFacts("Silver", 1, 500)
    return {"tier_id": tiers.define_tier(program_id=program.pk, facts=facts, actor=people["ops_marketing"]).pk}


def bodies() -> dict[Row, dict[str, Any]]:
    """A body for each door that takes one."""
    program = {"programId": str(Program.objects.get(name="Club").pk)}
    return {
        ("POST", "api/tiers"): {"name": "Gold", "rank": 2, "threshold": 5_000, **program},
        ("PATCH", "api/tiers/<tier_id>"): {"threshold": 600, "reason": "because"},
        ("POST", "api/workers/tier-evaluation"): program,
    }
