"""How many members have each tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Count

from loyalty.models import Balance


@dataclass(slots=True)
class Crowd:
    """The members of a program, and how many of them have each tier; the rest have none."""

    members: int = 0
    by_tier: dict[UUID, int] = field(default_factory=dict)


def crowds(program_ids: Sequence[UUID]) -> dict[UUID, Crowd]:
    """The members of these programs, counted in one pass; erased ones are none."""
    found = {program_id: Crowd() for program_id in program_ids}
    counted = Balance.objects.filter(program__in=program_ids, erased_at=None).order_by().values_list("program", "tier")
    for program_id, tier_id, count in counted.annotate(n=Count("*")):
        crowd = found[program_id]
        crowd.members += count
        if tier_id is not None:
            crowd.by_tier[tier_id] = count
    return found
