"""Members: their points and where those come from, what is locked or frozen, and what was done to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.admin import member_life
from loyalty.admin.dispute_buttons import DisputeOfMember
from loyalty.admin.member_buttons import Adjust, CarryOutOnMember, FlagMember, Freeze, Lock, Unfreeze, Unlock
from loyalty.models import Balance
from opsconsole.approvals.admin.deeds import waiting
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Facts, Figures, Section
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of


class Standing(OneOf):
    """Who is frozen, or flagged."""

    title = _("standing")
    parameter_name = "standing"

    def options(self, _request: HttpRequest) -> Options:
        """Two, each with an index of its own."""
        return [("frozen", _("frozen")), ("flagged", _("flagged"))]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The members that fit."""
        return rows.filter(is_frozen=True) if value == "frozen" else rows.exclude(fraud_flags=[])


class OfProgram(OneOf):
    """The members of one program."""

    title = _("program")
    parameter_name = "program__id__exact"

    def options(self, request: HttpRequest) -> Options:
        """The programs that the viewer may see."""
        return [(str(pk), name) for pk, name in access.visible_programs(actor_of(request)).values_list("pk", "name")]

    def narrow(self, request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The members that fit; none for what is no program."""
        known = {option for option, _name in self.options(request)}
        return rows.filter(program=value) if value in known else rows.none()


@admin.register(Balance)
class BalanceAdmin(ConsoleAdmin[Balance]):
    """Members, the newest first."""

    list_display = ("member", "of_program", "points", "locked_points", "of_tier", "state", "flags")
    nothing = _("No member yet: whoever earns points for the first time becomes one.")
    list_filter = (OfProgram, Standing)
    list_select_related = ("program", "tier")
    ordering = ("-id",)
    search_help_text = _("A member's id, in full")
    row_actions = (
        CarryOutOnMember(),
        Freeze(),
        Unfreeze(),
        Lock(),
        Unlock(),
        FlagMember(),
        Adjust(),
        DisputeOfMember(),
    )

    def visible(self, actor: Actor) -> QuerySet[Balance]:
        """The members the actor may see."""
        return access.visible_members(actor)

    def get_search_fields(self, _request: HttpRequest) -> tuple[str, ...]:
        """So that there is a field to search in."""
        return ("user_id",)

    def find(self, rows: QuerySet[Balance], words: str) -> QuerySet[Balance]:
        """By the id in full, which has an index."""
        return rows.filter(user_id=words)

    @admin.display(description=_("program"))
    def of_program(self, member: Balance) -> str:
        """In which program."""
        return member.program.name

    @admin.display(description=_("points"))
    def points(self, member: Balance) -> str:
        """How many."""
        return display.number(member.points_balance)

    @admin.display(description=_("locked"))
    def locked_points(self, member: Balance) -> str:
        """How many of them cannot be redeemed."""
        return display.number(member.locked) if member.locked else display.NOTHING

    @admin.display(description=_("tier"))
    def of_tier(self, member: Balance) -> str:
        """The standing."""
        return member.tier.name if member.tier else display.NOTHING

    @admin.display(description=_("state"))
    def state(self, member: Balance) -> SafeString:
        """Whether they are frozen, or somebody should look before believing in them."""
        if member.is_frozen:
            return display.label(_("frozen"), "bad")
        return display.label(_("flagged"), "warn") if member.fraud_flags else display.label(_("open"), "good")

    @admin.display(description=_("member"))
    def member(self, member: Balance) -> str:
        """Who."""
        return member.user_id

    @admin.display(description=_("flags"))
    def flags(self, member: Balance) -> str:
        """What was flagged."""
        return ", ".join(map(str, member.fraud_flags)) or display.NOTHING

    def badge(self, row: Balance) -> SafeString:
        """Whether they are frozen."""
        return self.state(row)

    def sections(self, request: HttpRequest, row: Balance) -> Sequence[Section]:
        """The points, how they came to be that many, and all that happened."""
        return [*waiting(row), figures(row), *member_life.balance_chart(row), member_life.timeline(request, row)]

    def side(self, _request: HttpRequest, row: Balance) -> Sequence[Section]:
        """Who they are here."""
        return [
            Facts(
                _("Member"),
                [
                    (_("member"), display.copyable(row.user_id)),
                    (_("program"), display.row_link(row.program)),
                    (_("tier"), self.of_tier(row)),
                    (_("flags"), self.flags(row)),
                    (_("member since"), display.moment(row.joined_at)),
                    (_("last changed"), display.moment(row.updated_at)),
                ],
            ),
        ]

    def foot(self, request: HttpRequest, row: Balance) -> Sequence[Section]:
        """What was done to them."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Balance._meta.db_table, row.pk))]


def figures(member: Balance) -> Figures:
    """The points in numbers."""
    return Figures(
        _("Points"),
        [
            (_("balance"), display.number(member.points_balance), ""),
            (_("locked"), display.number(member.locked), ""),
            (_("can be redeemed"), display.number(0 if member.is_frozen else member.available), ""),
        ],
    )
