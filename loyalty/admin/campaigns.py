"""Campaigns: what would be given to whom, who agreed, how far it has come, and what was taken back."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from django.contrib import admin
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.admin import campaign_checklists
from loyalty.admin.campaign_buttons import (
    EditCampaign,
    Execute,
    NewCampaign,
    Pause,
    Preview,
    ResumeCampaign,
    Schedule,
    TestRun,
)
from loyalty.admin.campaign_endings import Cancel, MarkFailed, Undo
from loyalty.admin.program_pictures import points
from loyalty.admin.words import in_points
from loyalty.campaigns import audience, progress
from loyalty.models import Campaign, Chunk, Skip, Transaction
from loyalty.segments.words import told
from loyalty.services.undoing import report_of
from loyalty.states import CampaignState, CampaignType, SkipReason
from opsconsole.approvals.admin.deeds import waiting
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.bars import Part, shares_of
from opsconsole.core.admin.base import ConsoleAdmin, View
from opsconsole.core.admin.pages import Column, Facts, Figures, Link, Notice, Section, Table
from opsconsole.core.admin.progress import progress_answer, progress_card
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of

LIVE = (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.SCHEDULED)
PROGRESS: Final = "console/loyalty/progress_inside.html"


@admin.register(Campaign)
class CampaignAdmin(ConsoleAdmin[Campaign]):
    """Campaigns, the newest first."""

    list_display = ("name", "of_program", "state", "starts", "estimate", "awarded")
    nothing = _("There was no campaign yet: draft one, preview it, try it out on two members, and schedule it.")
    list_filter = ("status",)
    list_select_related = ("program",)
    ordering = ("-id",)
    search_fields = ("name",)
    row_actions = (
        Schedule(),
        ResumeCampaign(),
        Pause(),
        Preview(),
        TestRun(),
        Execute(),
        EditCampaign(),
        Undo(),
        MarkFailed(),
        Cancel(),
    )

    def visible(self, actor: Actor) -> QuerySet[Campaign]:
        """The campaigns the actor may see."""
        return access.visible_campaigns(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """Draft one."""
        return [NewCampaign()]

    def more_urls(self) -> dict[str, View]:
        """The progress alone."""
        return {"progress": self.progress_view}

    def progress_view(self, _request: HttpRequest, row: Campaign) -> HttpResponse:
        """The progress alone; the header says whether to look again."""
        return progress_answer(PROGRESS, way_of(row), live=row.status in LIVE)

    @admin.display(description=_("program"))
    def of_program(self, campaign: Campaign) -> str:
        """In which program."""
        return campaign.program.name

    @admin.display(description=_("state"))
    def state(self, campaign: Campaign) -> SafeString:
        """Its state."""
        return display.state_of(campaign)

    @admin.display(description=_("starts"))
    def starts(self, campaign: Campaign) -> SafeString | str:
        """When."""
        return display.moment(campaign.start_date)

    @admin.display(description=_("estimate"))
    def estimate(self, campaign: Campaign) -> str:
        """What its preview says."""
        return display.NOTHING if campaign.estimated_points is None else display.number(campaign.estimated_points)

    @admin.display(description=_("points awarded"))
    def awarded(self, campaign: Campaign) -> str:
        """What it has given."""
        return display.number(campaign.total_points_awarded)

    def badge(self, row: Campaign) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def sections(self, request: HttpRequest, row: Campaign) -> Sequence[Section]:
        """What went wrong, how far it is, what was taken back, what it would do, what is left to look at."""
        return [
            *_failure(row),
            *waiting(row),
            *_progress(row),
            figures(row),
            *_undone(row),
            *_preview(row),
            campaign_checklists.section(request, row),
            *_skipped(row),
            *_sample(row),
        ]

    def side(self, _request: HttpRequest, row: Campaign) -> Sequence[Section]:
        """What it gives, to whom, when."""
        return [Facts(_("Campaign"), _facts(row))]

    def foot(self, request: HttpRequest, row: Campaign) -> Sequence[Section]:
        """What was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Campaign._meta.db_table, row.pk))]


def _facts(row: Campaign) -> list[tuple[Text, Any]]:
    facts: list[tuple[Text, Any]] = [
        (_("program"), display.row_link(row.program)),
        (_("description"), row.description or display.NOTHING),
        (_("for"), display.prose(str(told(audience.segment_of(row))))),
        (_("gives"), _gift(row)),
    ]
    if row.campaign_type == CampaignType.MULTIPLIER:
        facts += [
            (_("window from"), display.moment(row.window_start)),
            (_("window to"), display.moment(row.window_end)),
        ]
    return [
        *facts,
        (_("starts"), display.moment(row.start_date)),
        (_("ends"), display.moment(row.end_date)),
        (_("launched"), display.moment(row.launched_at)),
        (_("executed"), display.moment(row.executed_at)),
        (_("drafted by"), row.created_by or display.NOTHING),
    ]


def _gift(row: Campaign) -> str:
    if row.campaign_type == CampaignType.MULTIPLIER:
        return now_("%(percent)s %% of what was earned in the window") % {"percent": row.bonus_points}
    return now_("%(points)s each") % {"points": in_points(row.bonus_points)}


def _failure(row: Campaign) -> list[Section]:
    if not row.failure:
        return []
    if row.status == CampaignState.FAILED:
        return [Notice(row.failure, "bad", _("It failed"))]
    return [Notice(row.failure, "warn", _("Not launched") if row.launched_at is None else _("Broken off"))]


def way_of(row: Campaign) -> dict[str, Any]:
    """How far it has come, as the bar shows it."""
    way = progress.progress_of(row)
    # What the chunks passed over: those left out at the launch never were in the audience that the bar shows.
    skipped = Chunk.objects.filter(campaign=row, no__gte=1).aggregate(all=Sum("skipped"))["all"] or 0
    total = way.members or 1
    parts = [
        Part("succeeded", _("awarded"), way.members_done - skipped),
        Part("skipped", _("passed over"), skipped),
    ]
    held = {
        "paused": _("It is paused: somebody has to resume it."),
        "program_suspended": _("Its program is suspended: it goes on when that is resumed."),
    }
    return {
        "state": display.state_of(row),
        "way": way,
        "percent": way.members_done * 100 // total,
        "shares": shares_of(parts, total),
        "why": held.get(way.held_back_by, ""),
    }


def _progress(row: Campaign) -> list[Section]:
    if row.audience_size is None:
        return []
    live_url = reverse("admin:loyalty_campaign_progress", args=[row.pk]) if row.status in LIVE else ""
    return [progress_card(_("Progress"), PROGRESS, way_of(row), live_url=live_url)]


def figures(row: Campaign) -> Figures:
    """The estimate beside what came of it."""
    return Figures(
        _("Figures"),
        [
            (_("members, estimated"), _number(row.estimated_users), ""),
            (_("points, estimated"), _number(row.estimated_points), ""),
            (_("members awarded"), display.number(row.users_awarded), ""),
            (_("points awarded"), display.number(row.total_points_awarded), ""),
            (_("still reserved"), display.number(row.points_reserved), ""),
        ],
    )


def _number(value: int | None) -> str:
    return display.NOTHING if value is None else display.number(value)


def _preview(row: Campaign) -> list[Section]:
    if row.preview is None:
        if row.status != CampaignState.DRAFT:
            return []
        return [Notice(_("Nobody knows yet whom it reaches and what it costs: preview it."), "info", _("No preview"))]
    preview = row.preview
    budget = preview.get("budget", {})
    excluded = preview.get("excluded", {})
    lines: list[tuple[Text, Any]] = [
        (_("members in the segment"), _number(preview.get("in_segment"))),
        (_("would be awarded"), _number(preview.get("members"))),
        *((SkipReason(reason).label, display.number(count)) for reason, count in sorted(excluded.items())),
        (_("cost, in points"), _number(preview.get("points"))),
        (_("left of the budget"), points(Decimal(budget.get("left", "0")))),
        (_("left afterwards"), points(Decimal(budget.get("left_after", "0")))),
    ]
    over = [] if preview.get("within_budget", True) else [
        Notice(_("The budget does not allow this: it would be refused before the first award."), "bad", _("Too much"))
    ]  # fmt: skip
    return [*over, Facts(_("Preview"), lines)]


def _undone(row: Campaign) -> list[Section]:
    if row.undo_asked_at is None:
        return []
    report = report_of(row)
    return [
        Facts(
            _("Taken back") if report.finished else _("Being taken back"),
            [
                (_("points given"), display.number(report.points_given)),
                (_("points taken back"), display.number(report.points_taken_back)),
                (_("points spent already"), display.number(report.points_spent)),
                (_("members affected"), display.number(report.members_affected)),
                (_("members who had spent some"), display.number(report.members_short)),
                (_("asked for"), display.moment(row.undo_asked_at)),
                (_("finished"), display.moment(row.undone_at)),
            ],
        )
    ]


def _skipped(row: Campaign) -> list[Section]:
    counted = Skip.objects.filter(campaign=row).values_list("reason").annotate(n=Count("*")).order_by("reason")
    lines = [[SkipReason(reason).label, display.number(count)] for reason, count in counted]
    if not lines:
        return []
    return [Table(_("Passed over"), [_("why"), Column(_("members"), right=True)], lines)]


def _sample(row: Campaign) -> list[Section]:
    """Five members whom it awarded, to look at (runbook 1)."""
    if not row.users_awarded:
        return []
    found = Transaction.objects.filter(campaign_id=row.pk, event_type="bonus").select_related("balance")[:5]
    return [
        Table(
            _("Some of those awarded"),
            [_("member"), Column(_("points"), right=True), Column(_("balance now"), right=True), _("when")],
            [
                [
                    display.row_link(one.balance),
                    display.signed(one.amount),
                    display.number(one.balance.points_balance),
                    display.moment(one.created_at),
                ]
                for one in found
            ],
            more=Link(display.list_url(Transaction, campaign_id=row.pk), _("All of them")),
        )
    ]
