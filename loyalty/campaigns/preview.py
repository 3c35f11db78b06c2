"""What a campaign would cost if it were launched now: what people look at, agree to, and hold the launch against."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from loyalty.campaigns import audience
from loyalty.models import Campaign, Program
from loyalty.segments.words import told
from opsconsole.core.canonical import to_plain
from opsconsole.core.texts import english

# Per cent of the estimate by which a campaign may cost more, or differ, without anybody being asked again (runbook 1).
TOLERANCE: Final = 10


def columns_of(campaign: Campaign, *, at: datetime) -> dict[str, Any]:
    """The preview and its estimate as the campaign's row keeps them.

    The estimate counts what was given in test runs, as the campaign's totals do.
    """
    figures = audience.count(campaign, at=at)
    tested_members, tested_points = audience.given_in_tests(campaign)
    program = Program.objects.get(pk=campaign.program_id)
    left = program.budget_left
    preview = {
        "at": at,
        "segment": english(told(audience.segment_of(campaign))),
        "in_segment": figures.in_segment,
        "members": figures.members,
        "points": figures.points,
        "excluded": figures.excluded,
        "given_in_tests": {"members": tested_members, "points": tested_points},
        "budget": {
            "limit": program.budget_limit,
            "spent": program.budget_spent,
            "reserved": program.budget_reserved,
            "left": left,
            "left_after": left - figures.points,
        },
        "within_budget": figures.points <= left,
    }
    return {
        "preview": to_plain(preview),
        "estimated_users": figures.members + tested_members,
        "estimated_points": figures.points + tested_points,
    }


def exceeds(points: int, estimate: int) -> bool:
    """Whether so many points are more than the estimate by more than is tolerated."""
    return points * 100 > estimate * (100 + TOLERANCE)


def agrees(points: int, estimate: int) -> bool:
    """Whether so many points are the estimate, give or take what is tolerated."""
    return abs(points - estimate) * 100 <= estimate * TOLERANCE
