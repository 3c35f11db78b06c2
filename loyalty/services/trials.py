"""Test runs: one or two named members are awarded before the launch, which then passes them over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Min
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.campaigns import approval, audience, chunks, moves
from loyalty.campaigns.chunks import Span
from loyalty.campaigns.definition import check, require_not_over
from loyalty.errors import CampaignInvalid, MemberNotFound, NotTestable
from loyalty.models import AudienceMember, Balance, Campaign, Chunk
from loyalty.selectors import database_clock
from loyalty.states import CampaignState
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.states import WrongState

MOST_MEMBERS: Final = 2  # of one campaign, all its test runs together
ALONE: Final = 10_000  # points that a member gets in test runs in a day: as many as one person adjusts alone
WITHIN: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Tested:
    """A member who was awarded in a test run."""

    user_id: str
    balance_id: UUID
    points: int


@operation
def award_test(*, campaign_id: UUID, user_ids: Sequence[str], actor: Actor) -> list[Tested]:
    """Award named members of the segment for real, as the launch would; the launch then passes them over.

    Nobody else has agreed by then, so it is for two members of a campaign at most, and for ALONE points of a member in
    a day, unless the launch is approved. Raises CampaignNotFound, Denied, WrongState, CampaignOver, CampaignInvalid,
    SegmentInvalid, MemberNotFound, NotTestable, and what the ledger refuses.
    """
    campaign = access.campaign_to_use(actor, campaign_id, "loyalty.launch_campaign")
    _require_before_launch(campaign)  # whoever waits for one that runs keeps its workers from their next chunk
    moves.hold(campaign_id, wait=True)
    campaign.refresh_from_db()
    _require_before_launch(campaign)
    now = database_clock()
    require_not_over(campaign, now)
    check(campaign)
    members = _members(campaign, user_ids, actor)
    tested = _worth(campaign, members, now)
    lowest = Chunk.objects.filter(campaign=campaign, no__lt=1).aggregate(no=Min("no"), first=Min("first_ordinal"))
    last = (1 if lowest["first"] is None else lowest["first"]) - 1
    span = Span((1 if lowest["no"] is None else lowest["no"]) - 1, last - len(tested) + 1, last)
    AudienceMember.objects.bulk_create(
        AudienceMember(campaign=campaign, ordinal=span.first + place, balance_id=one.balance_id, points=one.points)
        for place, one in enumerate(tested)
    )
    chunks.open_chunk(campaign, span, [])
    after = {"members": {one.user_id: one.points for one in tested}, "status": campaign.status}
    moves.tell(campaign, "campaign.tested", actor, after=after, members=len(tested))
    chunks.award(campaign, span, [])
    return tested


def _require_before_launch(campaign: Campaign) -> None:
    if campaign.status not in (CampaignState.DRAFT, CampaignState.SCHEDULED):
        raise WrongState(
            format_lazy(_("The campaign is {state}; a test run comes before the launch."), state=campaign.state.label),
            status=campaign.status,
        )


def _members(campaign: Campaign, user_ids: Sequence[str], actor: Actor) -> list[Balance]:
    """The named members, locked: what each of them was given today stays what it is."""
    named = list(dict.fromkeys(user_ids))
    before, _points = audience.given_in_tests(campaign)
    if not 0 < len(named) <= MOST_MEMBERS - before:
        raise CampaignInvalid(
            format_lazy(
                _("A campaign is tested on 1 to {most} members; {before} were awarded."),
                most=MOST_MEMBERS,
                before=before,
            ),
            errors={"user_ids": [_("too few, or too many")]},
        )
    known = dict(Balance.objects.filter(program=campaign.program_id, user_id__in=named).values_list("user_id", "pk"))
    for user_id in named:
        if user_id not in known:
            raise MemberNotFound(format_lazy(_("There is no member {member} in this program."), member=user_id))
    return access.members_for(actor, list(known.values()), "loyalty.launch_campaign")


def _worth(campaign: Campaign, members: Sequence[Balance], at: datetime) -> list[Tested]:
    worth = audience.worth(campaign, [member.pk for member in members], at=at)
    agreed = approval.is_approved(campaign)
    tested = []
    for member in members:
        points, excluded = worth.get(member.pk, (0, None))
        if member.pk not in worth:
            raise NotTestable(format_lazy(_("{member} is not in the segment."), member=member.user_id))
        if excluded is not None:
            raise NotTestable(
                format_lazy(_("{member} would get nothing: {why}."), member=member.user_id, why=excluded.label)
            )
        if not agreed and points + _given_lately(member, at) > ALONE:
            raise NotTestable(
                format_lazy(
                    _("Before others agree to the launch, {member} gets at most {most} points a day in test runs."),
                    member=member.user_id,
                    most=ALONE,
                )
            )
        tested.append(Tested(member.user_id, member.pk, points))
    return tested


def _given_lately(member: Balance, at: datetime) -> int:
    """What the member was given in test runs of any campaign within a day."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select coalesce(sum(t.amount), 0) from loyalty_transactions t"
            " join loyalty_campaign_audience a on a.campaign_id = t.campaign_id and a.ordinal < 1"
            " and a.balance_id = t.balance_id"
            " where t.balance_id = %s and t.event_type = 'bonus' and t.created_at > %s",
            [member.pk, at - WITHIN],
        )
        return int(cursor.fetchone()[0])
