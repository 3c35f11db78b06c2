"""What stands behind the doors of campaigns: one in each state that a door wants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from loyalty.jobs import campaigns as jobs
from loyalty.models import Campaign, Program
from loyalty.services import campaigns, launches
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import SYSTEM, Actor

Row = tuple[str, str]
TESTER = SYSTEM("test")
ALICE = {"==": [{"var": "user_id"}, "alice"]}
DUE = "Due"


def furnish(people: Mapping[str, Actor], program: Program) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ids that stand in the addresses, and those of campaigns in a certain state by address."""
    marketing, finance = people["ops_marketing"], people["finance_ops"]

    def draft(name: str) -> Campaign:
        return campaigns.create_campaign(
            program_id=program.pk,
            name=name,
            target_segment=ALICE,
            bonus_points=5,
            start_date=timezone.now() - timedelta(minutes=1),
            actor=marketing,
        )

    def agreed(name: str) -> Campaign:
        campaign = draft(name)
        asked = launches.schedule_campaign(campaign_id=campaign.pk, actor=marketing)
        decide_request(request_id=asked.request.pk, approved=True, comments="", signature="", actor=finance)
        return campaign

    def running(name: str) -> Campaign:
        campaign = agreed(name)
        launches.launch_campaign(campaign_id=campaign.pk, actor=TESTER)
        return campaign

    drafted, runs, stands, done = draft("Drafted"), running("Runs"), running("Stands"), agreed("Done")
    agreed(DUE)
    campaigns.pause_campaign(campaign_id=stands.pk, reason="wait", actor=finance)
    jobs.execute_campaign(str(done.pk))
    address = "api/campaigns/<campaign_id>"
    ids = {f"{address}/pause": runs, f"{address}/resume": stands, f"{address}/fail": runs, f"{address}/undo": done}
    return {"campaign_id": drafted.pk}, {door: {"campaign_id": campaign.pk} for door, campaign in ids.items()}


def bodies() -> dict[Row, dict[str, Any]]:
    """A body for each door that takes one."""
    reason, due = {"reason": "because"}, Campaign.objects.get(name=DUE)
    address = "api/campaigns/<campaign_id>"
    return {
        ("POST", "api/campaigns"): {
            "programId": str(due.program_id),
            "name": "Another",
            "bonusPoints": 5,
            "startDate": "2199-01-01T00:00:00Z",
        },
        ("PATCH", address): {"bonusPoints": 6},
        ("POST", f"{address}/test"): {"userIds": ["alice"]},
        ("POST", f"{address}/schedule"): {},
        **{("POST", f"{address}/{door}"): reason for door in ("pause", "resume", "cancel", "fail", "undo")},
        ("POST", "api/workers/campaign-execution"): {"campaignId": str(due.pk)},
    }
