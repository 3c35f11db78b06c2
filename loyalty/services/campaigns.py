"""Campaigns: drafted, edited, previewed; stopped, let go on, given up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.campaigns import moves, preview
from loyalty.campaigns.definition import COLUMNS, check, facts_of
from loyalty.errors import CampaignInvalid, NothingToDo
from loyalty.models import Campaign
from loyalty.reasons import said
from loyalty.selectors import database_clock
from loyalty.states import CampaignState, CampaignType
from loyalty.workers import Outcome, Worker, count_execution
from opsconsole.approvals import kernel
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState
from opsconsole.journal.record import record


@operation
def create_campaign(
    *,
    program_id: UUID,
    name: str,
    bonus_points: int,
    start_date: datetime,
    end_date: datetime | None = None,
    description: str = "",
    campaign_type: str = CampaignType.BONUS.value,
    target_segment: Mapping[str, Any] | None = None,
    window_start: datetime | None = None,
    window_end: datetime | None = None,
    actor: Actor,
) -> Campaign:
    """Draft a campaign; nothing comes of it before it is scheduled and agreed to.

    Raises ProgramNotFound, Denied, CampaignInvalid, SegmentInvalid.
    """
    program = access.program_to_use(actor, program_id, "loyalty.draft_campaign")
    campaign = Campaign(
        program=program,
        name=name.strip(),
        description=description.strip(),
        campaign_type=campaign_type,
        target_segment={} if target_segment is None else target_segment,
        bonus_points=bonus_points,
        window_start=window_start,
        window_end=window_end,
        start_date=start_date,
        end_date=end_date,
        created_by=actor.name,
    )
    check(campaign)
    campaign.save(force_insert=True)
    campaign = Campaign.objects.select_related("program").get(pk=campaign.pk)
    record(actor, "campaign.drafted", campaign, after={"program": program.name, **facts_of(campaign)})
    return campaign


@operation
def edit_campaign(
    *, campaign_id: UUID, changes: Mapping[str, Any], back_to_draft: bool = False, actor: Actor
) -> Campaign:
    """Change a draft, whose preview is then none any more; with `back_to_draft` a scheduled one is taken back first.

    Raises CampaignNotFound, Denied, WrongState, CampaignInvalid, SegmentInvalid.
    """
    campaign = access.campaign_for(actor, campaign_id, "loyalty.draft_campaign")
    if unknown := sorted(changes.keys() - set(COLUMNS)):
        raise CampaignInvalid(_("The campaign does not hold together."), errors=dict.fromkeys(unknown, [_("unknown")]))
    if back_to_draft and campaign.status == CampaignState.SCHEDULED:
        kernel.void(
            Campaign._meta.db_table, campaign.pk, reason="the campaign was taken back to be edited", actor=actor
        )
        moves.turn(campaign, CampaignState.DRAFT, "campaign.taken_back_to_draft", actor, failure="")
    if campaign.status != CampaignState.DRAFT:
        raise WrongState(
            format_lazy(_("The campaign is {state}; only a draft can be edited."), state=campaign.state.label),
            status=campaign.status,
        )
    before = facts_of(campaign)
    for name, value in changes.items():
        setattr(campaign, name, value.strip() if isinstance(value, str) else value)
    check(campaign)
    changed = {name: value for name, value in facts_of(campaign).items() if value != before[name]}
    if changed:
        moves.write(campaign, **changed, preview=None, estimated_users=None, estimated_points=None)
        was = {name: before[name] for name in changed}
        record(actor, "campaign.edited", campaign, before=was, after=changed)
    return campaign


@operation
def preview_campaign(*, campaign_id: UUID, actor: Actor) -> Campaign:
    """Work out what the campaign would give to how many members now; a draft keeps it, for others nothing is written.

    Raises CampaignNotFound, Denied, SegmentInvalid.
    """
    campaign = access.campaign_for(actor, campaign_id, "loyalty.draft_campaign")
    found = preview.columns_of(campaign, at=database_clock())
    if campaign.status == CampaignState.DRAFT:
        moves.write(campaign, **found)
        record(actor, "campaign.previewed", campaign, after=found)
    else:
        # What people were asked to agree to stays as they were shown it.
        for name, value in found.items():
            setattr(campaign, name, value)
    return campaign


@operation
def pause_campaign(*, campaign_id: UUID, reason: str, actor: Actor) -> Campaign:
    """Stop a running campaign: nothing is awarded from the commit on, and what was is kept."""
    campaign = access.campaign_for(actor, campaign_id, "loyalty.launch_campaign")
    return moves.turn(campaign, CampaignState.PAUSED, "campaign.paused", actor, reason=said(reason))


@operation
def resume_campaign(*, campaign_id: UUID, reason: str, actor: Actor) -> Campaign:
    """Let a paused campaign go on where it stopped."""
    campaign = access.campaign_for(actor, campaign_id, "loyalty.launch_campaign")
    if campaign.status == CampaignState.RUNNING:
        raise NothingToDo(_("Everything is as it is asked for already."))
    if campaign.status != CampaignState.PAUSED:
        raise WrongState(
            format_lazy(_("The campaign is {state}; it was not paused."), state=campaign.state.label),
            status=campaign.status,
        )
    moves.turn(
        campaign,
        CampaignState.RUNNING,
        "campaign.resumed",
        actor,
        reason=said(reason),
        progress_at=Now(),
        attempts=0,
        failure="",
    )
    moves.wake(campaign)
    return campaign


@operation
def cancel_campaign(*, campaign_id: UUID, reason: str, actor: Actor) -> Campaign:
    """Give a campaign up for good: what is reserved is free again; what was awarded stays until it is undone."""
    campaign = access.campaign_for(actor, campaign_id, "loyalty.launch_campaign")
    return moves.end(campaign, CampaignState.CANCELLED, "campaign.cancelled", actor, reason=said(reason))


@operation
def mark_campaign_failed(*, campaign_id: UUID, reason: str, actor: Actor) -> Campaign:
    """Have a campaign failed that cannot be mended (runbook 6): the reason is kept, what is reserved is free again.

    What was awarded stays until it is undone. Raises CampaignNotFound, Denied, and WrongState for a draft and for one
    that has ended.
    """
    campaign, why = access.campaign_for(actor, campaign_id, "loyalty.launch_campaign"), said(reason)
    moves.end(campaign, CampaignState.FAILED, "campaign.failed", actor, reason=why, failure=why)
    count_execution(Worker.CAMPAIGN_EXECUTOR, Outcome.FAILED)
    return campaign
