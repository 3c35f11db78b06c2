"""Undo: what a campaign has awarded is taken back chunk by chunk, as far as it is still there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.campaigns import chunks, moves
from loyalty.errors import NothingToDo
from loyalty.models import Campaign
from loyalty.reasons import said
from loyalty.services.awards import Turn
from loyalty.states import CampaignState
from loyalty.workers import Outcome, Worker, count_execution
from opsconsole.core.actors import Actor
from opsconsole.core.faults import crashpoint
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState
from opsconsole.journal.record import record
from opsconsole.journal.selectors import entries_of

ON_THE_LEDGER: Final = "the campaign was undone"


@dataclass(frozen=True, slots=True)
class Report:
    """What an undo came to: points and members that were awarded, taken back, and not to be had any more."""

    points_given: int
    points_taken_back: int
    points_spent: int
    members_awarded: int
    members_affected: int
    members_short: int
    finished: bool


@operation
def request_undo(*, campaign_id: UUID, reason: str, actor: Actor) -> Campaign:
    """Take everything back that an ended campaign has awarded and that is neither spent nor locked; a worker does it.

    Raises CampaignNotFound, Denied, WrongState for one that has not ended, NothingToDo.
    """
    campaign = access.campaign_for(actor, campaign_id, "loyalty.undo_campaign")
    why = said(reason)
    if not campaign.state.is_final:
        raise WrongState(
            format_lazy(
                _("The campaign is {state}; only one that has ended can be undone."), state=campaign.state.label
            ),
            status=campaign.status,
        )
    if campaign.undo_asked_at is not None or campaign.users_awarded == 0:
        raise NothingToDo(_("Everything is as it is asked for already."))
    moves.write(campaign, undo_asked_at=Now())
    after = {"users_awarded": campaign.users_awarded, "total_points_awarded": campaign.total_points_awarded}
    moves.tell(campaign, "campaign.undo_requested", actor, after=after, reason=why)
    moves.wake_to_undo(campaign)
    return campaign


@operation
def undo_chunk(*, campaign_id: UUID, actor: Actor) -> Turn:
    """Take the next chunk back; its row keeps what was found, so that it is done once."""
    if not moves.hold(campaign_id):
        return Turn.BUSY
    chunks.follow_closely()
    campaign = Campaign.objects.get(pk=campaign_id)
    if campaign.undo_asked_at is None or campaign.undone_at is not None:
        return Turn.HALTED
    chunk = chunks.to_take_back(campaign)
    if chunk is None:
        return Turn.THROUGH
    taken = chunks.close_chunk(chunk)
    after = {
        "chunk": chunk.no,
        "points_taken_back": taken.points,
        "members_affected": taken.members,
        "points_spent": taken.spent,
        "members_short": taken.short,
    }
    record(actor, "campaign.taken_back", campaign, after=after)
    chunks.take_back(chunk, ON_THE_LEDGER)
    crashpoint("loyalty.campaign.in_undo")
    return Turn.DONE


@operation
def finish_undo(*, campaign_id: UUID, actor: Actor) -> Campaign:
    """Say that an undo is through, and what it came to; what has broken it off before no longer matters."""
    campaign = access.lock_campaign(campaign_id)
    if campaign.undone_at is not None or campaign.undo_asked_at is None or chunks.to_take_back(campaign) is not None:
        return campaign
    moves.write(campaign, undone_at=Now(), failure=_why_it_failed(campaign))
    found = report_of(campaign)
    after: dict[str, Any] = {
        "points_given": found.points_given,
        "points_taken_back": found.points_taken_back,
        "points_spent": found.points_spent,
        "members_affected": found.members_affected,
        "members_short": found.members_short,
    }
    moves.tell(campaign, "campaign.undone", actor, after=after, **after)
    count_execution(Worker.CAMPAIGN_EXECUTOR, Outcome.SUCCEEDED)
    return campaign


def _why_it_failed(campaign: Campaign) -> str:
    """The reason for which the campaign has failed, which an undo that was broken off has written over; else none."""
    failed = entries_of(campaign).filter(verb="campaign.failed").first()
    return failed.content["reason"] if failed is not None and campaign.status == CampaignState.FAILED else ""


def report_of(campaign: Campaign) -> Report:
    """What the undo of the campaign has come to so far."""
    found = chunks.totals(campaign)
    return Report(
        points_given=found["points"],
        points_taken_back=found["points_undone"],
        points_spent=found["points_spent"],
        members_awarded=found["awarded"],
        members_affected=found["members_undone"],
        members_short=found["members_short"],
        finished=campaign.undone_at is not None,
    )
