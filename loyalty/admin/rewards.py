"""Rewards, how many of each are left, and who took them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.contrib import admin
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.admin import bars
from loyalty.admin.in_program import OfProgram
from loyalty.admin.reward_buttons import ChangeReward, Fulfil, NewReward, OfferAgain, Retire, TakeBack
from loyalty.admin.transactions import movement_link
from loyalty.models import Balance, Redemption, Reward, Transaction
from loyalty.states import RedemptionState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.bars import Part
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Column, Facts, Figures, Link, Notice, Section, Table
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of

SHOWN: Final = 10
OF_REWARD: Final = "reward__id__exact"
TONES: Final = {RedemptionState.CLAIMED: "warn", RedemptionState.FULFILLED: "good", RedemptionState.REVERSED: "plain"}


class Given(OneOf):
    """Rewards that are given, or are not."""

    title = _("state")
    parameter_name = "given"

    def options(self, _request: HttpRequest) -> Options:
        """Two."""
        return [("yes", _("on offer")), ("no", _("retired"))]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The rows that fit."""
        return rows.filter(active=value == "yes")


@admin.register(Reward)
class RewardAdmin(ConsoleAdmin[Reward]):
    """Rewards, the newest first."""

    list_display = ("name", "of_program", "state", "price", "left", "each")
    nothing = _("There are no rewards yet: offer one, with its price in points.")
    list_filter = (OfProgram, Given)
    list_select_related = ("program",)
    ordering = ("-id",)
    search_fields = ("name",)
    row_actions = (ChangeReward(), Retire(), OfferAgain())

    def visible(self, actor: Actor) -> QuerySet[Reward]:
        """The rewards the actor may see."""
        return access.visible_rewards(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """Offer one."""
        return [NewReward()]

    @admin.display(description=_("program"))
    def of_program(self, reward: Reward) -> str:
        """In which program."""
        return reward.program.name

    @admin.display(description=_("state"))
    def state(self, reward: Reward) -> SafeString:
        """Whether it is given."""
        return reward_state(reward)

    @admin.display(description=_("price, in points"))
    def price(self, reward: Reward) -> str:
        """What it costs."""
        return display.number(reward.points)

    @admin.display(description=_("in stock"))
    def left(self, reward: Reward) -> Text:
        """How many there are."""
        return stock_of(reward)

    @admin.display(description=_("for each member"))
    def each(self, reward: Reward) -> Text:
        """How many one may have."""
        return limit_of(reward)

    def badge(self, row: Reward) -> SafeString:
        """Whether it is given."""
        return reward_state(row)

    def sections(self, _request: HttpRequest, row: Reward) -> Sequence[Section]:
        """What is left, what came of it, and who took it last."""
        return [*_notices(row), *_figures(row), redemptions_table(row)]

    def side(self, _request: HttpRequest, row: Reward) -> Sequence[Section]:
        """What it is."""
        return [
            Facts(
                _("Reward"),
                [
                    (_("program"), display.row_link(row.program)),
                    (_("price, in points"), display.number(row.points)),
                    (_("in stock"), stock_of(row)),
                    (_("for each member"), limit_of(row)),
                    (_("offered"), display.moment(row.created_at)),
                    (_("last changed"), display.moment(row.updated_at)),
                    (_("id"), display.copyable(str(row.pk))),
                ],
            )
        ]

    def foot(self, request: HttpRequest, row: Reward) -> Sequence[Section]:
        """What was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Reward._meta.db_table, row.pk))]


def reward_state(reward: Reward) -> SafeString:
    """Whether a reward is given, in its colour."""
    if not reward.active:
        return display.label(_("retired"), "plain")
    return display.label(_("none left"), "bad") if reward.stock == 0 else display.label(_("on offer"), "good")


def stock_of(reward: Reward) -> Text:
    """How many are left."""
    return _("as many as are asked for") if reward.stock is None else display.number(reward.stock)


def limit_of(reward: Reward) -> Text:
    """How many a member may have."""
    return _("no limit") if reward.per_member is None else display.number(reward.per_member)


def _notices(row: Reward) -> list[Section]:
    if row.active and row.stock == 0:
        return [Notice(_("None are left: whoever asks for it is refused. Raise the stock, or retire it."), "warn")]
    return []


def _figures(row: Reward) -> list[Section]:
    """How many were taken, and how much of the stock that is."""
    by_state: dict[str, tuple[int, int]] = {
        status: (count, total)
        for status, count, total in Redemption.objects.filter(reward=row)
        .order_by()
        .values_list("status")
        .annotate(n=Count("*"), total=Sum("points"))
    }
    waits, points = by_state.get(RedemptionState.CLAIMED, (0, 0))
    over, more = by_state.get(RedemptionState.FULFILLED, (0, 0))
    back, _again = by_state.get(RedemptionState.REVERSED, (0, 0))
    claimed: dict[str, Any] = {OF_REWARD: row.pk, "status__exact": RedemptionState.CLAIMED.value}
    narrowed = display.list_url(Redemption, **claimed)
    sections: list[Section] = [
        Figures(
            _("Redemptions"),
            [
                (_("to be handed over"), display.number(waits), narrowed),
                (_("handed over"), display.number(over), ""),
                (_("taken back"), display.number(back), ""),
                (_("points taken"), display.number(points + more), ""),
            ],
        )
    ]
    if row.stock is not None and (whole := row.stock + waits + over):
        parts = [
            Part("succeeded", _("handed over"), over),
            Part("running", _("to be handed over"), waits),
            Part("skipped", _("in stock"), row.stock),
        ]
        sections.append(bars.section(_("Stock"), parts, whole))
    return sections


def redemptions_table(row: Reward) -> Table:
    """Who took it last."""
    found = Redemption.objects.filter(reward=row).select_related("balance").order_by("-id")[: SHOWN + 1]
    rows = list(found)
    more = (
        Link(display.list_url(Redemption, **{OF_REWARD: row.pk}), _("All redemptions")) if len(rows) > SHOWN else None
    )
    return Table(
        _("Last redemptions"),
        [_("when"), _("member"), Column(_("points"), right=True), _("state")],
        [
            [
                display.row_link(one, display.moment(one.created_at)),
                display.row_link(one.balance),
                display.number(one.points),
                redemption_state(one),
            ]
            for one in rows[:SHOWN]
        ],
        empty=_("Nobody has taken it yet."),
        more=more,
    )


@admin.register(Redemption)
class RedemptionAdmin(ConsoleAdmin[Redemption]):
    """Redemptions, the newest first."""

    list_display = ("taken_at", "of_member", "of_reward", "cost", "state", "of_program")
    nothing = _("Nobody has taken a reward yet.")
    list_filter = ("status", OfProgram.by("balance__program"))
    ordering = ("-id",)
    search_help_text = _("A member's id, in full")
    row_actions = (Fulfil(), TakeBack())

    def visible(self, actor: Actor) -> QuerySet[Redemption]:
        """The redemptions the actor may see."""
        return access.visible_redemptions(actor)

    def get_search_fields(self, _request: HttpRequest) -> tuple[str, ...]:
        """So that there is a field to search in."""
        return ("balance__user_id",)

    def find(self, rows: QuerySet[Redemption], words: str) -> QuerySet[Redemption]:
        """Those of a member, by an index."""
        return rows.filter(balance__in=Balance.objects.filter(user_id=words).values("pk"))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Those of one reward, which its page leads to."""
        return lookup == OF_REWARD or super().lookup_allowed(lookup, value, request)

    @admin.display(description=_("time"))
    def taken_at(self, one: Redemption) -> SafeString | str:
        """When."""
        return display.moment(one.created_at)

    @admin.display(description=_("member"))
    def of_member(self, one: Redemption) -> str:
        """By whom."""
        return one.balance.user_id

    @admin.display(description=_("reward"))
    def of_reward(self, one: Redemption) -> str:
        """What."""
        return one.reward.name if one.reward else display.NOTHING

    @admin.display(description=_("points"))
    def cost(self, one: Redemption) -> str:
        """For how much."""
        return display.number(one.points)

    @admin.display(description=_("state"))
    def state(self, one: Redemption) -> SafeString:
        """Whether the member has it."""
        return redemption_state(one)

    @admin.display(description=_("program"))
    def of_program(self, one: Redemption) -> str:
        """In which program."""
        return one.balance.program.name

    def heading(self, row: Redemption) -> Text:
        """What was taken, by whom."""
        return now_("%(reward)s for %(member)s") % {
            "reward": row.reward.name if row.reward else now_("Reward"),
            "member": row.balance.user_id,
        }

    def badge(self, row: Redemption) -> SafeString:
        """Whether the member has it."""
        return redemption_state(row)

    def sections(self, _request: HttpRequest, row: Redemption) -> Sequence[Section]:
        """All that is known of it, and what came back."""
        return [Facts(_("Redemption"), _redemption_facts(row))]

    def foot(self, request: HttpRequest, row: Redemption) -> Sequence[Section]:
        """What was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Redemption._meta.db_table, row.pk))]


def redemption_state(one: Redemption) -> SafeString:
    """Whether the member has it, in its colour."""
    return display.label(one.state.label, TONES.get(RedemptionState(one.status), "plain"))


def _redemption_facts(row: Redemption) -> list[tuple[Text, Any]]:
    paid = Transaction.objects.filter(pk=row.transaction_id).first()
    back = Transaction.objects.filter(reverses_id=row.transaction_id).order_by("created_at")
    return [
        (_("member"), display.row_link(row.balance)),
        (_("reward"), display.row_link(row.reward)),
        (_("program"), display.row_link(row.balance.program)),
        (_("points"), display.number(row.points)),
        (_("paid by"), movement_link(paid) if paid else display.NOTHING),
        *((_("taken back by"), movement_link(one)) for one in back),
        (_("time"), display.moment(row.created_at)),
        (_("last changed"), display.moment(row.updated_at)),
        (_("id"), display.copyable(str(row.pk))),
    ]
