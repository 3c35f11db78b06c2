"""What stands behind the doors of tiers, and a body that each of them understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loyalty.models import Program, Tier
from loyalty.services import tiers
from loyalty.services.tiers import TierFacts
from opsconsole.core.actors import Actor

Row = tuple[str, str]


def furnish(people: Mapping[str, Actor], program: Program) -> dict[str, Any]:
    """The ids that stand in the addresses."""
    facts, marketing = TierFacts("Silver", 1, 500), people["ops_marketing"]
    silver = tiers.define_tier(program_id=program.pk, facts=facts, actor=marketing)
    assert isinstance(silver, Tier)
    tiers.evaluate_tiers(program_id=program.pk, actor=marketing)  # and there are changes of tier to be seen
    return {"tier_id": silver.pk}


def bodies() -> dict[Row, dict[str, Any]]:
    """A body for each door that takes one."""
    program = {"programId": str(Program.objects.get(name="Club").pk)}
    return {
        ("POST", "api/tiers"): {"name": "Gold", "rank": 2, "threshold": 5_000, **program},
        ("PATCH", "api/tiers/<tier_id>"): {"threshold": 600, "reason": "because"},
        ("POST", "api/workers/tier-evaluation"): program,
    }
