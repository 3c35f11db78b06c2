"""A launch as a deed that others agree to: what it consists of, who was asked, and what they said."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from loyalty.campaigns import moves
from loyalty.campaigns.audience import segment_of
from loyalty.models import Campaign
from loyalty.segments.words import told
from loyalty.states import CampaignState, CampaignType
from opsconsole.approvals import gate, kernel
from opsconsole.approvals.gate import Asked, Deed
from opsconsole.approvals.models import Request
from opsconsole.approvals.states import RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.texts import english


def deed_of(campaign: Campaign, *, reason: str = "") -> Deed:
    """The launch of the campaign as it is defined and was previewed: this, and nothing else, is approved.

    When it starts is shown and not bound: runbook 1 sets the start when all is agreed to. The request lives for as
    long after the planned start as its policy gives.
    """
    preview: dict[str, Any] = campaign.preview or {}
    facts: dict[str, Any] = {
        "campaign": campaign.name,
        "description": campaign.description,
        "program": campaign.program.name,
        "program_id": campaign.program_id,
        "campaign_type": campaign.campaign_type,
        "target_segment": campaign.target_segment,
        "bonus_points": campaign.bonus_points,
        "estimated_users": campaign.estimated_users,
        "estimated_points": campaign.estimated_points,
        "excluded": preview.get("excluded", {}),
    }
    if campaign.campaign_type == CampaignType.MULTIPLIER:
        facts |= {"window_start": campaign.window_start, "window_end": campaign.window_end}
    points, users = campaign.estimated_points or 0, campaign.estimated_users or 0
    return Deed(
        action=moves.LAUNCH,
        row=campaign,
        title=f"Launch {campaign.name}: {points:,} points for {users:,} members of {campaign.program.name}",
        facts=facts,
        reason=reason,
        measures={"points": Decimal(points)},
        shown={
            "start_date": campaign.start_date,
            "end_date": campaign.end_date,
            "segment": english(told(segment_of(campaign))),
            "budget": preview.get("budget", {}),
        },
        due_at=campaign.start_date,
    )


def ask(campaign: Campaign, *, reason: str, actor: Actor) -> Asked:
    """Ask for approval of the launch in the caller's operation; nobody is asked twice for exactly this.

    A request for what the campaign was before it was changed behind the services' back ends here.
    """
    standing = gate.request_for(deed_of(campaign))
    if standing is not None:
        return Asked(standing)
    kernel.void(Campaign._meta.db_table, campaign.pk, reason="the campaign has changed", actor=actor)
    asked = gate.pass_or_ask(deed_of(campaign, reason=reason), approval_id=None, actor=actor)
    assert isinstance(asked, Asked)
    return asked


def request_of(campaign: Campaign) -> Request | None:
    """The last request for the launch, used or ended ones included."""
    asked = Request.objects.filter(
        subject_kind=Campaign._meta.db_table, subject_id=str(campaign.pk), action=moves.LAUNCH
    )
    return asked.order_by("-created_at", "-id").first()


def is_approved(campaign: Campaign) -> bool:
    """Whether others have agreed to the launch of the campaign as it is; for one that was launched, that they had."""
    if campaign.launched_at is not None:
        request = request_of(campaign)
        return request is not None and request.state is RequestState.CONSUMED
    if campaign.status not in (CampaignState.DRAFT, CampaignState.SCHEDULED):
        return False
    standing = gate.request_for(deed_of(campaign))
    if standing is None or standing.state is not RequestState.APPROVED:
        return False
    return kernel.tally(standing).quorum.complete  # somebody who has agreed may have left since
