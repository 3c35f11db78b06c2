"""The checklists of runbook 1, computed: a day before the launch, at the launch, an hour after it.

What a machine cannot know, such as whether somebody has reviewed what the campaign should bring in, stays with people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final
from uuid import UUID

from django.db import connection
from django.utils.formats import number_format
from django.utils.functional import lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty.campaigns import approval, audience, preview
from loyalty.campaigns.definition import check
from loyalty.errors import CampaignInvalid, SegmentInvalid
from loyalty.models import Campaign, Chunk, Program
from loyalty.segments.words import told
from loyalty.selectors import database_clock
from loyalty.states import CampaignState, ProgramState
from opsconsole.core.texts import Text

SAMPLE: Final = 5


@dataclass(frozen=True, slots=True)
class Item:
    """One point of a checklist: whether it holds (None: it cannot be said yet), and by what it is known."""

    key: str
    label: Text
    holds: bool | None
    detail: Text = ""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A member who was awarded: what the ledger gave them, and what they have now."""

    user_id: str
    awarded: int
    points_balance: int
    updated_at: datetime
    transaction_id: UUID | None


@dataclass(frozen=True, slots=True)
class Checklist:
    """A checklist and when it is gone through."""

    key: str
    title: Text
    items: Sequence[Item]

    @property
    def holds(self) -> bool | None:
        """Whether all of it holds; None while something cannot be said yet and nothing is wrong."""
        found = {item.holds for item in self.items}
        return False if False in found else None if None in found else True


def checklists(campaign: Campaign) -> list[Checklist]:
    """The three of them for this campaign, as things stand."""
    program = Program.objects.get(pk=campaign.program_id)
    return [
        Checklist("before", _("A day before the launch"), list(_before(campaign, program))),
        Checklist("launch", _("At the launch"), list(_launch(campaign, program))),
        Checklist("after", _("An hour after the launch"), list(_after(campaign, program))),
    ]


def sample(campaign: Campaign, *, size: int = SAMPLE) -> list[Sampled]:
    """Some members of the awarded audience, spread over it, with their rows of the ledger.

    Which ones depends on nothing but the campaign, so that whoever looks again sees the same.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select b.user_id, a.points, b.points_balance, b.updated_at, t.id
            from (select distinct 1 + (c.audience_size - 1) * n / greatest(%(size)s - 1, 1) as ordinal
                  from loyalty_campaigns c, generate_series(0, %(size)s - 1) n where c.id = %(campaign)s) s
              join loyalty_campaign_audience a on a.campaign_id = %(campaign)s and a.ordinal = s.ordinal
              join loyalty_campaign_chunks k
                on k.campaign_id = a.campaign_id and a.ordinal between k.first_ordinal and k.last_ordinal
              join loyalty_balances b on b.id = a.balance_id
              left join loyalty_transactions t on t.balance_id = a.balance_id and t.created_at = k.created_at
                and t.campaign_id = a.campaign_id and t.event_type = 'bonus' and t.amount = a.points
            where not exists (select from loyalty_campaign_skips p
                              where p.campaign_id = a.campaign_id and p.balance_id = a.balance_id)
            order by a.ordinal
            """,
            {"size": size, "campaign": campaign.pk},
        )
        return [Sampled(*row) for row in cursor.fetchall()]


_number = lazy(partial(number_format, use_l10n=True, force_grouping=True), str)  # as whoever reads it writes numbers


def _points(value: Decimal) -> Text:
    """Points, which are whole but for a budget that somebody typed with decimals."""
    return _number(int(value) if value == int(value) else value)


def _members(count: int) -> Text:
    return format_lazy(_("members: {count}"), count=_number(count))


def _before(campaign: Campaign, program: Program) -> Iterator[Item]:
    wrong = _what_is_wrong(campaign)
    yield Item("segment", _("The segment holds together and was tried in a preview"), *_segment_tried(campaign, wrong))
    yield _within_budget(campaign, program)
    yield Item(
        "audience",
        _("Somebody is in the audience"),
        None if campaign.estimated_users is None else campaign.estimated_users > 0,
        "" if campaign.estimated_users is None else _members(campaign.estimated_users),
    )
    yield Item(
        "dates",
        _("Start, end and window are in order, and the end lies ahead"),
        wrong.isdisjoint({"start_date", "end_date", "window_start", "window_end"}) and not _is_over(campaign),
        format_lazy(
            _("{start}, without an end") if campaign.end_date is None else _("{start} to {end}"),
            start=f"{campaign.start_date:%Y-%m-%d %H:%M %Z}",
            end="" if campaign.end_date is None else f"{campaign.end_date:%Y-%m-%d %H:%M %Z}",
        ),
    )
    yield Item(
        "description",
        _("It has a name and a description"),
        bool(campaign.name.strip()) and bool(campaign.description.strip()),
        campaign.name,
    )
    members, points = audience.given_in_tests(campaign)
    yield Item(
        "test",
        _("A test run has awarded one or two members"),
        members > 0 or (None if campaign.launched_at is None else False),
        format_lazy(_("members: {count}, points: {points}"), count=_number(members), points=_number(points)),
    )
    yield _approved(campaign)


def _launch(campaign: Campaign, program: Program) -> Iterator[Item]:
    yield Item("program", _("The program is active"), program.status == ProgramState.ACTIVE.value, program.state.label)
    yield _approved(campaign)
    yield Item(
        "due",
        _("It is scheduled, and its start has come"),
        None
        if campaign.status == CampaignState.DRAFT
        else campaign.launched_at is not None or campaign.start_date <= database_clock(),
        campaign.state.label,
    )
    yield Item(
        "frozen",
        _("The audience is frozen and the budget reserved"),
        None if campaign.launched_at is None and not campaign.state.is_final else campaign.launched_at is not None,
        "" if campaign.audience_size is None else _members(campaign.audience_size),
    )
    yield Item("failure", _("Nothing has gone wrong"), campaign.failure == "", campaign.failure)


def _after(campaign: Campaign, program: Program) -> Iterator[Item]:
    ended, waits = campaign.state.is_final, None
    yield Item(
        "completed",
        _("Its state is completed"),
        campaign.status == CampaignState.COMPLETED if ended else waits,
        campaign.state.label,
    )
    yield Item(
        "users_awarded",
        _("Members were awarded"),
        campaign.users_awarded > 0 if ended else waits,
        _members(campaign.users_awarded),
    )
    yield Item(
        "total",
        format_lazy(_("The total is what was estimated, give or take {percent} %"), percent=preview.TOLERANCE),
        preview.agrees(campaign.total_points_awarded, campaign.estimated_points or 0) if ended else waits,
        format_lazy(
            _("{total} points, {estimate} estimated"),
            total=_number(campaign.total_points_awarded),
            estimate=_number(campaign.estimated_points or 0),
        ),
    )
    yield Item(
        "executed_at",
        _("It is known when it was done"),
        campaign.executed_at is not None if ended else waits,
        "" if campaign.executed_at is None else f"{campaign.executed_at:%Y-%m-%d %H:%M %Z}",
    )
    yield Item(
        "ledger",
        _("Its chunks and its totals agree"),
        _chunks_agree(campaign) if ended else waits,
    )
    used = (program.budget_spent + program.budget_reserved) * 100 / program.budget_limit
    detail = format_lazy(_("{used} % used"), used=_number(round(used, 2)))
    yield Item("budget", _("The budget is not used up"), program.budget_left > 0, detail)
    found = sample(campaign)
    yield Item(
        "sample",
        format_lazy(_("{count} members of the audience have their points in the ledger"), count=SAMPLE),
        bool(found) and all(one.transaction_id is not None for one in found) if ended else waits,
        ", ".join(one.user_id for one in found),
    )


def _what_is_wrong(campaign: Campaign) -> set[str]:
    try:
        check(campaign)
    except (CampaignInvalid, SegmentInvalid) as error:
        return set(error.fields["errors"])
    return set()


def _segment_tried(campaign: Campaign, wrong: set[str]) -> tuple[bool | None, Text]:
    if "target_segment" in wrong:
        return False, _("The segment does not hold together.")
    if campaign.preview is None:
        return None, _("not previewed since it was last edited")
    return True, told(audience.segment_of(campaign))


def _within_budget(campaign: Campaign, program: Program) -> Item:
    label, estimate = _("The estimated cost is within the budget"), campaign.estimated_points
    if estimate is None:
        return Item("budget", label, None, _("not previewed since it was last edited"))
    open_points = max(estimate - campaign.total_points_awarded - campaign.points_reserved, 0)
    holds = open_points <= program.budget_left if not campaign.state.is_final else True
    return Item(
        "budget",
        label,
        holds,
        format_lazy(_("{cost} points, {left} left"), cost=_number(estimate), left=_points(program.budget_left)),
    )


def _approved(campaign: Campaign) -> Item:
    label, request = _("Others have agreed to the launch"), approval.request_of(campaign)
    holds: bool | None = approval.is_approved(campaign)
    if not holds and campaign.status in (CampaignState.DRAFT, CampaignState.SCHEDULED):
        holds = None
    if request is None:
        return Item("approval", label, holds, _("nobody was asked"))
    return Item("approval", label, holds, format_lazy(_("the request is {state}"), state=request.state.label))


def _is_over(campaign: Campaign) -> bool:
    if campaign.end_date is None or campaign.state.is_final:
        return False
    return campaign.end_date <= database_clock()


def _chunks_agree(campaign: Campaign) -> bool:
    rows = list(Chunk.objects.filter(campaign=campaign).values_list("awarded", "points"))
    awarded, points = sum(row[0] for row in rows), sum(row[1] for row in rows)
    return (awarded, points) == (campaign.users_awarded, campaign.total_points_awarded)
