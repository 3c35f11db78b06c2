"""Sweeping campaigns: each that waits is looked at again, so that nothing lost in Redis or a crash stays lost."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import Max
from django.db.models.functions import Now

from loyalty import access
from loyalty.campaigns import moves, progress
from loyalty.models import Campaign, Chunk
from loyalty.states import CampaignState
from loyalty.workers import Outcome, Worker, count_execution
from opsconsole.approvals import kernel
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation

TRIES: Final = 3


@operation
def hand_out_due_campaigns(*, actor: Actor) -> list[UUID]:
    """The campaigns to wake a worker for: those whose start has come, and those that nobody goes on with."""
    return progress.claim_due()


@operation
def hand_out_undos(*, actor: Actor) -> list[UUID]:
    """The campaigns whose undo nobody goes on with."""
    return progress.claim_undos()


@operation
def retry_or_fail(*, campaign_id: UUID, actor: Actor) -> Campaign:
    """Have a stuck campaign tried again; after TRIES times it has failed, and its reservation is free again.

    Nothing happens if it has moved on meanwhile.
    """
    campaign = access.lock_campaign(campaign_id)
    if not progress.is_stuck(campaign):
        return campaign
    last = Chunk.objects.filter(campaign=campaign, no__gte=1).aggregate(at=Max("created_at"))["at"]
    # What it was tried for before counts only if it did not get on then.
    got_on = campaign.progress_at is not None and last is not None and last >= campaign.progress_at
    tried = 0 if got_on else campaign.attempts
    if tried < TRIES:
        moves.write(campaign, attempts=tried + 1, progress_at=Now())
        moves.tell(campaign, "campaign.retried", actor, after={"attempt": tried + 1}, reason=campaign.failure)
        moves.wake(campaign)
        return campaign
    why = f"Tried {TRIES} times without getting on. {campaign.failure}".strip()
    moves.end(campaign, CampaignState.FAILED, "campaign.failed", actor, reason=why, failure=why)
    count_execution(Worker.CAMPAIGN_EXECUTOR, Outcome.FAILED)
    return campaign


@operation
def settle_left_over(*, campaign_id: UUID, actor: Actor) -> int:
    """Free what a campaign has reserved that was ended by hand, and ask nobody any more; how many points that were."""
    campaign = access.lock_campaign(campaign_id)
    if not campaign.state.is_final:
        return 0
    kernel.void(Campaign._meta.db_table, campaign.pk, reason=f"the campaign is {campaign.status}", actor=actor)
    if not campaign.points_reserved:
        return 0
    moves.tell(
        campaign,
        "campaign.released",
        actor,
        after={"points_released": campaign.points_reserved},
        reason="the campaign was ended outside the console",
    )
    return moves.release(campaign)
