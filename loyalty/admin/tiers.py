"""Tiers: what each takes and gives, how many members have it, who went up and down, and when that was worked out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import localize
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from loyalty import access
from loyalty.admin import bars
from loyalty.admin.earn_rate import CarryOutAbout, asked_about, asked_table
from loyalty.admin.in_program import OfProgram
from loyalty.admin.tier_buttons import ChangeTier, Evaluate, NewTier
from loyalty.due import programs_asked_for
from loyalty.members_by_tier import Crowd, crowds
from loyalty.models import Balance, Program, Tier, TierSnapshot
from loyalty.services.tiers import ASKED, EVALUATED
from loyalty.standing import GRACE, version_of
from loyalty.states import TierMove
from opsconsole.approvals.admin.deeds import requests_table
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.bars import Part
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.filters import Since
from opsconsole.core.admin.pages import Column, Facts, Link, Section, Table
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import NEWEST_FIRST, entries_of

PROGRAMS_SHOWN: Final = 20
MOVES_SHOWN: Final = 10
EVALUATIONS_SHOWN: Final = 5


@admin.register(Tier)
class TierAdmin(ConsoleAdmin[Tier]):
    """Tiers, program by program, the best first; above them how many members have each."""

    list_display = ("name", "of_program", "rank", "takes", "window", "gives")
    nothing = _("There are no tiers yet: define one, and have members evaluated.")
    list_filter = (OfProgram,)
    list_select_related = ("program",)
    ordering = ("program__name", "-rank")
    search_fields = ("name",)
    row_actions = (CarryOutAbout[Tier]("tier"), ChangeTier())

    def visible(self, actor: Actor) -> QuerySet[Tier]:
        """The tiers the actor may see."""
        return access.visible_tiers(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """Have everybody evaluated, or define one."""
        return [Evaluate(), NewTier()]

    def head(self, request: HttpRequest) -> Sequence[Section]:
        """How many members have each, program by program, and when that was worked out."""
        actor = actor_of(request)
        programs = access.visible_programs(actor).filter(tiers__isnull=False).distinct().order_by("name")
        programs = programs.prefetch_related("tiers")
        narrowed = request.GET.get(OfProgram.parameter_name)
        found = [one for one in programs[:PROGRAMS_SHOWN] if narrowed in (None, "", str(one.pk))]
        known = crowds([one.pk for one in found])
        told = [evaluations(found)] if found else []
        return [*asked_table(actor), *(ladder(one, known[one.pk]) for one in found), *told]

    @admin.display(description=_("program"))
    def of_program(self, tier: Tier) -> str:
        """In which program."""
        return tier.program.name

    @admin.display(description=_("from, in points"))
    def takes(self, tier: Tier) -> str:
        """What must be earned."""
        return display.number(tier.threshold)

    @admin.display(description=_("earned within"))
    def window(self, tier: Tier) -> str:
        """In how many months."""
        return window_of(tier)

    @admin.display(description=_("earns"))
    def gives(self, tier: Tier) -> str:
        """What its members earn."""
        return times(tier)

    def sections(self, _request: HttpRequest, row: Tier) -> Sequence[Section]:
        """What is asked for, how many have it beside the others, and who moved last."""
        return [
            *requests_table(asked_about("tier", row)),
            ladder(row.program, crowds([row.program_id])[row.program_id]),
            moves(row),
        ]

    def side(self, _request: HttpRequest, row: Tier) -> Sequence[Section]:
        """What it takes, what it gives, and when it was worked out."""
        below = Balance.objects.filter(program=row.program_id, tier=row, tier_below_since__isnull=False).count()
        return [
            Facts(
                _("Tier"),
                [
                    (_("program"), display.row_link(row.program)),
                    (_("rank"), display.number(row.rank)),
                    (_("from, in points"), display.number(row.threshold)),
                    (_("earned within"), window_of(row)),
                    (_("earns"), times(row)),
                    (_("grace"), now_("%(days)s days below, then down") % {"days": GRACE.days}),
                    (_("members in grace"), display.number(below)),
                    (_("defined"), display.moment(row.created_at)),
                    (_("id"), display.copyable(str(row.pk))),
                ],
            ),
            evaluations_of(row.program),
        ]

    def foot(self, request: HttpRequest, row: Tier) -> Sequence[Section]:
        """What was done to its program, where the journal has it."""
        entries = entries_of(row.program).filter(verb__startswith="tier")[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Program._meta.db_table, row.program_id))]


def window_of(tier: Tier) -> str:
    """In how many months."""
    return ngettext("%(months)s month", "%(months)s months", tier.window_months) % {"months": tier.window_months}


def times(tier: Tier) -> str:
    """What its members earn."""
    return f"x {localize(tier.multiplier.normalize())}"


def ladder(program: Program, crowd: Crowd) -> Table:
    """The tiers of a program, the best first, with how many members have each."""
    rungs = sorted(program.tiers.all(), key=lambda tier: -tier.rank)
    rows = [
        [
            display.row_link(tier),
            display.number(tier.threshold),
            times(tier),
            display.number(count := crowd.by_tier.get(tier.pk, 0)),
            bars.strip([Part("running", _("members"), count)], crowd.members),
        ]
        for tier in rungs
    ]
    without = crowd.members - sum(crowd.by_tier.values())
    if without:
        bar = bars.strip([Part("skipped", _("members"), without)], crowd.members)
        rows.append([now_("no tier"), display.NOTHING, "x 1", display.number(without), bar])
    return Table(
        now_("Members of %(program)s by tier") % {"program": program.name},
        [
            _("tier"),
            Column(_("from, in points"), right=True),
            Column(_("earns"), right=True),
            Column(_("members"), right=True),
            _("share"),
        ],
        rows,
        empty=_("It has no tiers."),
        more=Link(display.list_url(TierSnapshot, program__id__exact=program.pk), _("Who went up and down")),
    )


def evaluations(programs: Sequence[Program]) -> Table:
    """The last evaluation of each program, and whether one is asked for."""
    asked = set(programs_asked_for(ASKED, EVALUATED))
    done_last = entries_of(*programs).filter(verb=EVALUATED).order_by("subject_id", *NEWEST_FIRST)
    lasts = {entry.subject_id: entry for entry in done_last.distinct("subject_id")}
    rows = []
    for program in programs:
        last = lasts.get(str(program.pk))
        done = last.content["after"] if last else {}
        waits = display.label(_("a worker is asked"), "info") if program.pk in asked else display.NOTHING
        rows.append([display.row_link(program), display.moment(last.at if last else None), waits, *_counted(done)])
    return Table(
        _("Last evaluation"),
        [_("program"), _("when"), _("waits"), *COUNTED],
        rows,
        note=_("Every program is evaluated once a day by itself."),
    )


def evaluations_of(program: Program) -> Table:
    """The last evaluations of one program."""
    found = entries_of(program).filter(verb=EVALUATED)[:EVALUATIONS_SHOWN]
    return Table(
        _("Last evaluations"),
        [_("when"), *COUNTED],
        [[display.row_link(one, display.moment(one.at)), *_counted(one.content["after"])] for one in found],
        empty=_("Nobody has been evaluated yet."),
    )


COUNTED: Final = (Column(_("up"), right=True), Column(_("down"), right=True), Column(_("in grace"), right=True))


def _counted(done: dict[str, Any]) -> list[str]:
    return [display.number(done[name]) if name in done else display.NOTHING for name in
            ("upgraded", "downgraded", "in_grace")]  # fmt: skip


def moves(row: Tier) -> Table:
    """Who came to this tier last, or left it."""
    about = TierSnapshot.objects.filter(program=row.program_id).select_related("balance", "was", "now")
    found = list((about.filter(now=row) | about.filter(was=row)).order_by("-created_at", "-id")[:MOVES_SHOWN])
    return Table(
        _("Who came and left last"),
        [_("when"), _("member"), _("from"), _("to"), Column(_("points in the window"), right=True)],
        [
            [
                display.row_link(one, display.moment(one.created_at)),
                display.row_link(one.balance),
                one.was.name if one.was else display.NOTHING,
                one.now.name if one.now else display.NOTHING,
                display.number(one.points_in_window),
            ]
            for one in found
        ],
        empty=_("Nobody yet."),
    )


@admin.register(TierSnapshot)
class TierSnapshotAdmin(ConsoleAdmin[TierSnapshot]):
    """Changes of tier, the newest first."""

    list_display = ("moved_at", "of_member", "way", "was_tier", "now_tier", "earned", "of_program")
    nothing = _("Nobody has changed their tier yet: have members evaluated.")
    list_filter = (OfProgram, "move", Since.by("created_at"))
    ordering = ("-id",)
    search_help_text = _("A member's id, in full")

    def visible(self, actor: Actor) -> QuerySet[TierSnapshot]:
        """The changes the actor may see."""
        return access.visible_snapshots(actor)

    def get_search_fields(self, _request: HttpRequest) -> tuple[str, ...]:
        """So that there is a field to search in."""
        return ("balance__user_id",)

    def find(self, rows: QuerySet[TierSnapshot], words: str) -> QuerySet[TierSnapshot]:
        """Those of a member, by an index."""
        return rows.filter(balance__in=Balance.objects.filter(user_id=words).values("pk"))

    @admin.display(description=_("time"))
    def moved_at(self, one: TierSnapshot) -> SafeString | str:
        """When."""
        return display.moment(one.created_at)

    @admin.display(description=_("member"))
    def of_member(self, one: TierSnapshot) -> str:
        """Who."""
        return one.balance.user_id

    @admin.display(description=_("way"))
    def way(self, one: TierSnapshot) -> SafeString:
        """Up or down."""
        return way_of(one)

    @admin.display(description=_("from"))
    def was_tier(self, one: TierSnapshot) -> str:
        """The tier before."""
        return one.was.name if one.was else display.NOTHING

    @admin.display(description=_("to"))
    def now_tier(self, one: TierSnapshot) -> str:
        """The tier since."""
        return one.now.name if one.now else display.NOTHING

    @admin.display(description=_("points in the window"))
    def earned(self, one: TierSnapshot) -> str:
        """What decided."""
        return display.number(one.points_in_window)

    @admin.display(description=_("program"))
    def of_program(self, one: TierSnapshot) -> str:
        """In which program."""
        return one.program.name

    def badge(self, row: TierSnapshot) -> SafeString:
        """Up or down."""
        return way_of(row)

    def sections(self, _request: HttpRequest, row: TierSnapshot) -> Sequence[Section]:
        """All that is known of it."""
        current = version_of(list(Tier.objects.filter(program=row.program_id)))
        rule = _("the tiers as they are now") if row.rule_version == current else _("the tiers as they were then")
        facts: list[tuple[Text, Any]] = [
            (_("member"), display.row_link(row.balance)),
            (_("program"), display.row_link(row.program)),
            (_("from"), display.row_link(row.was)),
            (_("to"), display.row_link(row.now)),
            (_("points in the window"), display.number(row.points_in_window)),
            (_("time"), display.moment(row.created_at)),
            (_("decided by"), rule),
            (_("digest of the tiers"), display.short(row.rule_version)),
            (_("id"), display.copyable(str(row.pk))),
        ]
        return [Facts(_("Change of tier"), facts)]


def way_of(one: TierSnapshot) -> SafeString:
    """Up or down, in its colour."""
    return display.label(one.get_move_display(), "good" if one.move == TierMove.UPGRADE else "warn")
