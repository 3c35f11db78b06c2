"""Whom a campaign is for and what each of them gets: one statement, for its preview, its test run and its launch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from loyalty.models import AudienceMember, Campaign, Tier
from loyalty.segments.compile import compile_segment
from loyalty.segments.parse import parse_segment
from loyalty.segments.tree import Segment
from loyalty.states import CampaignType, SkipReason
from opsconsole.core.database import bulk_memory

# What of a member's earns in the window has not been taken back since. An earn is reversed after it was made, so the
# ledger is read from the window's beginning on.
_EARNED: Final = """
  earned as materialized (
    select e.balance_id, sum(e.amount + coalesce(r.back, 0)) as points
    from members m join loyalty_transactions e on e.balance_id = m.id
      left join (select t.reverses_id, sum(t.amount) as back from loyalty_transactions t
                 where t.reverses_id is not null and t.created_at >= %s group by t.reverses_id) r
        on r.reverses_id = e.id
    where e.event_type = 'earn' and e.created_at >= %s and e.created_at < %s
    group by e.balance_id
  ),"""
_PERCENT: Final = "greatest(floor(coalesce(w.points, 0) * %s / 100), 0)::bigint"


_FIGURES: Final = "select f.excluded, count(*), coalesce(sum(f.points), 0)::bigint from found f group by f.excluded"


@dataclass(frozen=True, slots=True)
class Candidates:
    """A statement whose rows are `balance_id, user_id, points, excluded` (a SkipReason or null), and its parameters."""

    text: str
    params: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """How many members get how many points in all, and how many of the segment get none, by reason."""

    members: int
    points: int
    excluded: dict[str, int]

    @property
    def in_segment(self) -> int:
        """Everybody in the segment."""
        return self.members + sum(self.excluded.values())


def segment_of(campaign: Campaign) -> Segment:
    """The campaign's segment; raises SegmentInvalid, also for a tier that the program does not have."""
    return _parsed(campaign, _tiers(campaign))


def _tiers(campaign: Campaign) -> list[Tier]:
    return list(Tier.objects.filter(program=campaign.program_id))


def _parsed(campaign: Campaign, tiers: Sequence[Tier]) -> Segment:
    return parse_segment(campaign.target_segment, tiers={tier.name for tier in tiers})


def candidates(campaign: Campaign, *, at: datetime, among: Sequence[UUID] | None = None) -> Candidates:
    """Everybody in the campaign's segment, with what they get or why they get nothing; `among`: of these balances only.

    Who was awarded in a test run gets nothing more. Raises SegmentInvalid.
    """
    tiers = _tiers(campaign)
    segment = compile_segment(_parsed(campaign, tiers), at=at, tiers=tiers)
    members = segment.select(campaign.program_id, columns="b.id, b.user_id, b.is_frozen", among=among)
    window: tuple[Any, ...] = ()
    earned, points, join = "", ("%s::bigint", campaign.bonus_points), ""
    if campaign.campaign_type == CampaignType.MULTIPLIER:
        window = (campaign.window_start, campaign.window_start, campaign.window_end)
        earned, points, join = _EARNED, (_PERCENT, campaign.bonus_points), "left join earned w on w.balance_id = m.id"
    text = f"""
      with members as ({members.text}), {earned}
      tested as (
        select a.balance_id from loyalty_campaign_audience a where a.campaign_id = %s and a.ordinal < 1
      ),
      worth as (select m.id, m.user_id, m.is_frozen, {points[0]} as points from members m {join})
      select w.id as balance_id, w.user_id, w.points,
        case when w.id in (select balance_id from tested) then '{SkipReason.TESTED.value}'
             when w.is_frozen then '{SkipReason.FROZEN.value}'
             when w.points = 0 then '{SkipReason.NO_POINTS.value}' end as excluded
      from worth w"""
    return Candidates(text, (*members.params, *window, campaign.pk, points[1]))


def count(campaign: Campaign, *, at: datetime) -> Figures:
    """The figures of the campaign if it were launched now; changes nothing."""
    found = candidates(campaign, at=at)
    with connection.cursor() as cursor:
        cursor.execute(f"with found as ({found.text}) {_FIGURES}", found.params)
        return _figures(cursor.fetchall())


def freeze(campaign: Campaign, *, at: datetime) -> Figures:
    """Write down who is awarded what, with ordinals from 1 in the order of balances, and who is not and why.

    One statement, so one snapshot: whoever joins, is frozen or spends meanwhile changes nothing. Ordinals follow the
    balances' ids, the order in which the ledger locks them. It only adds rows of this campaign, whose row is locked.
    """
    found = candidates(campaign, at=at)
    with bulk_memory(), connection.cursor() as cursor:
        cursor.execute(
            f"""
            with found as materialized (select c.balance_id, c.points, c.excluded from ({found.text}) c),
            left_out as (
              insert into loyalty_campaign_skips (campaign_id, balance_id, reason)
              select %s, f.balance_id, f.excluded from found f where f.excluded is not null
            ),
            placed as (
              insert into loyalty_campaign_audience (campaign_id, ordinal, balance_id, points)
              select %s, row_number() over (order by f.balance_id), f.balance_id, f.points
              from found f where f.excluded is null
            )
            {_FIGURES}
            """,
            [*found.params, campaign.pk, campaign.pk],
        )
        return _figures(cursor.fetchall())


def worth(campaign: Campaign, balances: Sequence[UUID], *, at: datetime) -> dict[UUID, tuple[int, SkipReason | None]]:
    """What each of these members would get, or why nothing; those who are not in the segment are missing."""
    found = candidates(campaign, at=at, among=balances)
    with connection.cursor() as cursor:
        cursor.execute(f"select c.balance_id, c.points, c.excluded from ({found.text}) c", found.params)
        return {
            balance: (points, SkipReason(why) if why is not None else None)
            for balance, points, why in cursor.fetchall()
        }


def _figures(rows: Sequence[tuple[str | None, int, int]]) -> Figures:
    excluded = {reason.value: 0 for reason in SkipReason}
    members = worth_in_all = 0
    for why, number, points in rows:
        if why is None:
            members, worth_in_all = number, points
        else:
            excluded[why] = number
    return Figures(members, worth_in_all, excluded)


def given_in_tests(campaign: Campaign) -> tuple[int, int]:
    """How many members were awarded in test runs, and how many points."""
    points = AudienceMember.objects.filter(campaign=campaign, ordinal__lt=1).values_list("points", flat=True)
    return len(points), sum(points)
