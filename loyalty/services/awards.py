"""Awards: the chunks of a launched campaign, one transaction each, to the last member or until something stops it."""

from __future__ import annotations

from enum import Enum
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.campaigns import chunks, moves
from loyalty.errors import CampaignOver, LaunchForged
from loyalty.models import Campaign
from loyalty.selectors import database_clock
from loyalty.states import CampaignState, ProgramState
from loyalty.workers import Outcome, Worker, count_execution
from opsconsole.core.actors import Actor
from opsconsole.core.faults import crashpoint
from opsconsole.core.operations import operation
from opsconsole.journal.record import record


class Turn(Enum):
    """What came of trying to do a chunk."""

    DONE = "done"  # go on with the next one
    THROUGH = "through"  # there is none left
    HALTED = "halted"  # paused, ended, or its program is suspended
    BUSY = "busy"  # others have the campaign, or all that is left of it


@operation
def award_chunk(*, campaign_id: UUID, actor: Actor) -> Turn:
    """Award the next chunk of a running campaign that nobody has in hand; its row makes sure that it is done once.

    Raises MemberFrozen where somebody was frozen in this very moment (try again), CampaignHalted and ProgramSuspended
    where the campaign or the program was stopped in it, CampaignOver past the end date, LaunchForged for a campaign
    that was set to running by hand.
    """
    if not moves.hold(campaign_id, together=True):
        return Turn.BUSY
    chunks.follow_closely()
    campaign = Campaign.objects.select_related("program").get(pk=campaign_id)
    if campaign.status != CampaignState.RUNNING or campaign.program.status != ProgramState.ACTIVE:
        return Turn.HALTED
    if campaign.launched_at is None:
        raise LaunchForged(_("It was set to running by hand: only a launch freezes an audience and reserves a budget."))
    span = chunks.claim(campaign)
    if span is None:
        return Turn.THROUGH if chunks.is_through(campaign) else Turn.BUSY
    if campaign.end_date is not None and campaign.end_date <= database_clock():
        raise CampaignOver(_("The end date has passed before everybody was awarded."), end_date=campaign.end_date)
    skipped = chunks.skip_frozen(campaign, span)
    chunk = chunks.open_chunk(campaign, span, skipped)
    after = {
        "chunk": span.no,
        "ordinals": [span.first, span.last],
        "awarded": chunk.awarded,
        "points": chunk.points,
        "skipped": chunk.skipped,
    }
    record(actor, "campaign.awarded", campaign, after=after)
    chunks.award(campaign, span, skipped)
    crashpoint("loyalty.campaign.in_chunk")
    return Turn.DONE


@operation
def finish_campaign(*, campaign_id: UUID, actor: Actor) -> Campaign:
    """Complete a running campaign that has awarded everybody; what is left of its reservation is free again."""
    campaign = access.lock_campaign(campaign_id)
    if campaign.status != CampaignState.RUNNING or not chunks.is_through(campaign):
        return campaign
    # From then on its awards were made: who asks for the members updated since finds each of them (runbook 1).
    since = campaign.launched_at
    moves.end(campaign, CampaignState.COMPLETED, "campaign.completed", actor, executed_at=since, failure="")
    count_execution(Worker.CAMPAIGN_EXECUTOR, Outcome.SUCCEEDED)
    crashpoint("loyalty.campaign.in_finish")
    return campaign


@operation
def fail_campaign(*, campaign_id: UUID, why: str, actor: Actor) -> Campaign:
    """End a campaign that cannot go on; what was awarded stays, and what is left of its reservation is free again."""
    campaign = access.lock_campaign(campaign_id)
    if campaign.state.is_final:
        return campaign
    moves.end(campaign, CampaignState.FAILED, "campaign.failed", actor, reason=why, failure=why)
    count_execution(Worker.CAMPAIGN_EXECUTOR, Outcome.FAILED)
    return campaign


@operation
def note_fault(*, campaign_id: UUID, why: str, actor: Actor) -> Campaign:
    """Keep what broke an execution or an undo off; the campaign is where it was, and is tried again."""
    campaign = access.lock_campaign(campaign_id)
    undoing = campaign.undo_asked_at is not None and campaign.undone_at is None
    if (undoing or not campaign.state.is_final) and campaign.failure != why:
        moves.write(campaign, failure=why)
        moves.tell(campaign, "campaign.faulted", actor, after={"failure": why}, reason=why)
    count_execution(Worker.CAMPAIGN_EXECUTOR, Outcome.FAILED)
    return campaign
