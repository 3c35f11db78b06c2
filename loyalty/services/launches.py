"""Launches: asked for, agreed to by others, and carried out by a worker when the start has come."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final
from uuid import UUID

from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.campaigns import approval, audience, moves, preview
from loyalty.campaigns.definition import check, require_not_over
from loyalty.errors import (
    BudgetExhausted,
    CampaignHalted,
    CampaignNotDue,
    CampaignOver,
    CostGrew,
    NobodyToAward,
    ProgramSuspended,
)
from loyalty.models import Campaign
from loyalty.selectors import database_clock
from loyalty.states import CampaignState, ProgramState
from loyalty.workers import Outcome, Worker, count_execution
from opsconsole.approvals import gate
from opsconsole.approvals.gate import Asked
from opsconsole.approvals.states import RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.errors import NotFound
from opsconsole.core.faults import crashpoint
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState

# What no approval and no waiting helps against: the campaign has failed, before its first award.
HOPELESS: Final = frozenset({BudgetExhausted.code, NobodyToAward.code, CampaignOver.code})


class Launched(Enum):
    """What came of looking at a campaign that may be due."""

    NOW = "now"
    BEFORE = "before"  # it runs already
    BUSY = "busy"  # another worker has it
    NOTHING = "nothing"  # not scheduled, or not due


@operation
def schedule_campaign(
    *, campaign_id: UUID, start_date: datetime | None = None, reason: str = "", actor: Actor
) -> Asked:
    """Have a draft launched at its start, once others agree: they are asked for exactly what its preview says now.

    One that is scheduled already, by pasted SQL perhaps, is asked for if nobody has. Raises CampaignNotFound, Denied,
    WrongState, CampaignInvalid, CampaignOver, NobodyToAward, BudgetExhausted, and what asking for approval does.
    """
    campaign = access.campaign_for(actor, campaign_id, "loyalty.launch_campaign")
    _require(campaign, CampaignState.DRAFT, CampaignState.SCHEDULED)
    if start_date is not None:
        campaign.start_date = start_date
    check(campaign)
    asked = _ask(campaign, reason, actor)
    columns = {"start_date": campaign.start_date, "failure": "", "attempts": 0, "progress_at": None}
    if campaign.status == CampaignState.DRAFT:
        after = {
            "start_date": campaign.start_date,
            "estimated_users": campaign.estimated_users,
            "estimated_points": campaign.estimated_points,
            "approval": asked.request.pk,
        }
        moves.turn(
            campaign, CampaignState.SCHEDULED, "campaign.scheduled", actor, reason=reason, after=after, **columns
        )
    else:
        moves.write(campaign, **columns)
    return asked


@operation
def request_execution(*, campaign_id: UUID, approval_id: UUID | None = None, actor: Actor) -> Campaign | Asked:
    """Have a worker go on with a campaign that is due or under way now; Asked where others must agree first.

    Raises CampaignNotFound, Denied, CampaignNotDue, ProgramSuspended, CampaignHalted for a paused one, and WrongState
    for one that is still a draft or has ended.
    """
    campaign = access.campaign_for(actor, campaign_id, "loyalty.launch_campaign")
    if campaign.status == CampaignState.PAUSED:
        raise CampaignHalted(_("The campaign is paused: resume it."))
    _require(campaign, CampaignState.SCHEDULED, CampaignState.RUNNING)
    if campaign.program.status == ProgramState.SUSPENDED:
        raise ProgramSuspended(_("Program is suspended"))
    if campaign.status == CampaignState.SCHEDULED:
        if campaign.start_date > database_clock():
            raise CampaignNotDue(
                format_lazy(_("The campaign starts at {time}."), time=f"{campaign.start_date:%Y-%m-%d %H:%M %Z}"),
                start_date=campaign.start_date,
            )
        asked = _ask(campaign, "", actor)
        if approval_id is not None and approval_id != asked.request.pk:
            raise NotFound(_("This is no approval request for what you want to do here."), request=str(approval_id))
        if asked.request.state is not RequestState.APPROVED:
            return asked
    moves.wake(campaign)
    return campaign


@operation
def launch_campaign(*, campaign_id: UUID, actor: Actor) -> Launched:
    """Launch a scheduled campaign whose start has come: use its approval, freeze the audience, reserve the budget.

    All in one transaction, so what is refused leaves nothing. Raises ProgramSuspended, CampaignOver, NobodyToAward,
    CostGrew for an audience that costs more than was approved, BudgetExhausted, and what stands in the approval's way:
    NotAskedFor, QuorumIncomplete, RequestExpired, DigestMismatch.
    """
    if Campaign.objects.filter(pk=campaign_id, status=CampaignState.RUNNING).exists():
        return Launched.BEFORE
    if not moves.hold(campaign_id):
        return Launched.BUSY
    campaign, now = access.lock_campaign(campaign_id), database_clock()
    if campaign.status == CampaignState.RUNNING:
        return Launched.BEFORE
    if campaign.status != CampaignState.SCHEDULED or campaign.start_date > now:
        return Launched.NOTHING
    if campaign.program.status == ProgramState.SUSPENDED:
        raise ProgramSuspended(_("Program is suspended"))
    require_not_over(campaign, now)
    check(campaign)
    request = gate.carry_out(approval.deed_of(campaign), actor=actor)
    figures = audience.freeze(campaign, at=now)
    tested_members, tested_points = audience.given_in_tests(campaign)
    if figures.members == 0:
        raise NobodyToAward(_("Nobody would be awarded."), excluded=figures.excluded)
    estimate = campaign.estimated_points or 0
    if preview.exceeds(figures.points + tested_points, estimate):
        raise CostGrew(
            format_lazy(
                _("The audience costs over {percent} % more now than the {estimate} points that were approved."),
                percent=preview.TOLERANCE,
                estimate=estimate,
            ),
            cost=figures.points + tested_points,
            estimate=estimate,
        )
    after = {
        "audience": figures.members,
        "points": figures.points,
        "excluded": figures.excluded,
        "tested": tested_members,
        "approval": request.pk,
    }
    moves.turn(
        campaign,
        CampaignState.RUNNING,
        "campaign.launched",
        actor,
        after=after,
        audience_size=figures.members,
        launched_at=Now(),
        progress_at=Now(),
        attempts=0,
        failure="",
    )
    moves.reserve(campaign, figures.points)
    crashpoint("loyalty.campaign.in_launch")
    return Launched.NOW


@operation
def refuse_launch(*, campaign_id: UUID, code: str, why: str, actor: Actor) -> Campaign:
    """Say why a due campaign was not launched: it stays scheduled, or has failed where nothing will help.

    The same refusal again is counted and not told again.
    """
    campaign = access.lock_campaign(campaign_id)
    if campaign.status == CampaignState.SCHEDULED:
        if code in HOPELESS:
            moves.end(campaign, CampaignState.FAILED, "campaign.failed", actor, reason=why, failure=why)
        elif campaign.failure != why:
            moves.write(campaign, failure=why)
            moves.tell(campaign, "campaign.refused", actor, after={"failure": why, "code": code}, reason=why)
    count_execution(Worker.CAMPAIGN_EXECUTOR, Outcome.REFUSED)
    return campaign


def _ask(campaign: Campaign, reason: str, actor: Actor) -> Asked:
    """Ask for approval of what the campaign would do now, unless people are asked for just what it was previewed as."""
    now = database_clock()
    require_not_over(campaign, now)
    standing = None if campaign.status == CampaignState.DRAFT else gate.request_for(approval.deed_of(campaign))
    if standing is not None:
        return Asked(standing)
    found = preview.columns_of(campaign, at=now)
    if found["preview"]["members"] == 0:
        raise NobodyToAward(_("Nobody would be awarded."), excluded=found["preview"]["excluded"])
    if not found["preview"]["within_budget"]:
        raise BudgetExhausted(_("Program budget exhausted"), budget=found["preview"]["budget"])
    moves.write(campaign, start_date=campaign.start_date, **found)
    return approval.ask(campaign, reason=reason, actor=actor)


def _require(campaign: Campaign, *states: CampaignState) -> None:
    if campaign.status not in states:
        raise WrongState(
            format_lazy(_("The campaign is {state}."), state=campaign.state.label),
            status=campaign.status,
        )
