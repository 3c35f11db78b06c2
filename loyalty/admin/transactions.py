"""The ledger: every movement of points, and the button that takes one back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from loyalty import access
from loyalty.ledger import MOST_POINTS
from loyalty.models import Balance, Campaign, Transaction
from loyalty.services import points
from loyalty.states import EventType
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Press, ReasonForm, then
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.filters import Since
from opsconsole.core.admin.pages import Column, Facts, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text


class ReverseForm(ReasonForm):
    """How much, and why."""

    points = forms.IntegerField(
        label=_("Points"), help_text=_("Empty: all of them."), min_value=1, max_value=MOST_POINTS, required=False
    )
    field_order = ("points", "reason")


class Reverse(Action[Transaction]):
    """Take it back."""

    name = "reverse"
    label = _("Take back")
    icon = "undo"
    tone = "danger"
    permission = "loyalty.reverse_points"
    form = ReverseForm

    def allowed(self, actor: Actor, row: Transaction) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.balance.program)

    def offered(self, _actor: Actor, row: Transaction) -> bool:
        """What is no reversal itself, has not expired, and is not taken back already."""
        return row.event_type not in (EventType.REVERSE, EventType.EXPIRE) and left_of(row) > 0

    def initial(self, row: Transaction) -> dict[str, Any]:
        """What is left, of one that was taken back in part: all of it would be refused."""
        left = left_of(row)
        return {} if left == abs(row.amount) else {"points": left}

    def question(self, row: Transaction) -> Text:
        """What is taken back."""
        told = ngettext(
            "Take %(points)s point of %(member)s back? A transaction the other way is written.",
            "Take %(points)s points of %(member)s back? A transaction the other way is written.",
            abs(row.amount),
        )
        return told % {"points": display.signed(row.amount), "member": row.balance.user_id}

    def perform(self, press: Press[Transaction]) -> Answer:
        """Take it back."""
        return points.reverse_transaction.once(
            press.key,
            then(lambda _made: now_("It is taken back."), display.row_url),
            transaction_id=press.row.pk,
            points=press.data["points"],
            reason=press.data["reason"],
            actor=press.actor,
        )


@admin.register(Transaction)
class TransactionAdmin(ConsoleAdmin[Transaction]):
    """Movements of points, the newest first."""

    list_display = ("moved_at", "what", "moved", "of_member", "of_program", "origin")
    nothing = _("No points have moved yet.")
    list_filter = ("event_type", Since.by("created_at"))
    list_select_related = ("balance", "balance__program")
    ordering = ("-id",)
    search_help_text = _("The id of the purchase, in full")
    row_actions = (Reverse(),)

    def visible(self, actor: Actor) -> QuerySet[Transaction]:
        """The ledger, as far as the actor may see it."""
        return access.visible_transactions(actor)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transaction]:
        """With whose they are."""
        return super().get_queryset(request).select_related("balance", "balance__program")

    def get_search_fields(self, _request: HttpRequest) -> tuple[str, ...]:
        """So that there is a field to search in."""
        return ("origin_txn_id",)

    def find(self, rows: QuerySet[Transaction], words: str) -> QuerySet[Transaction]:
        """By the purchase, which has an index."""
        return rows.filter(origin_txn_id=words)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Those of one member, which its page leads to."""
        return lookup in ("balance__id__exact", "campaign_id") or super().lookup_allowed(lookup, value, request)

    @admin.display(description=_("time"))
    def moved_at(self, one: Transaction) -> SafeString | str:
        """When."""
        return display.moment(one.created_at)

    @admin.display(description=_("what"))
    def what(self, one: Transaction) -> str:
        """Why points moved."""
        return one.get_event_type_display()

    @admin.display(description=_("points"))
    def moved(self, one: Transaction) -> str:
        """How many, and which way."""
        return display.signed(one.amount)

    @admin.display(description=_("member"))
    def of_member(self, one: Transaction) -> SafeString | str:
        """Whose."""
        return one.balance.user_id

    @admin.display(description=_("program"))
    def of_program(self, one: Transaction) -> str:
        """In which program."""
        return one.balance.program.name

    @admin.display(description=_("purchase"))
    def origin(self, one: Transaction) -> SafeString | str:
        """The purchase it is for, by the id it has where it was made."""
        return display.whole(one.origin_txn_id or display.NOTHING)

    def heading(self, row: Transaction) -> Text:
        """What moved, whose."""
        told = ngettext("%(points)s point of %(member)s", "%(points)s points of %(member)s", abs(row.amount))
        return told % {"points": display.signed(row.amount), "member": row.balance.user_id}

    def badge(self, row: Transaction) -> SafeString:
        """Why."""
        return display.label(row.get_event_type_display(), "good" if row.amount > 0 else "warn")

    def sections(self, _request: HttpRequest, row: Transaction) -> Sequence[Section]:
        """All that is known of it, and what was taken back of it."""
        return [Facts(_("Transaction"), _facts(row)), reversals_of(row)]


def _facts(row: Transaction) -> list[tuple[Text, Any]]:
    campaign = Campaign.objects.filter(pk=row.campaign_id).first() if row.campaign_id else None
    original = Transaction.objects.filter(pk=row.reverses_id).first() if row.reverses_id else None
    named = display.row_link(campaign) if campaign and admin.site.is_registered(Campaign) else display.NOTHING
    return [
        (_("member"), display.row_link_of(Balance, row.balance_id, row.balance.user_id)),
        (_("program"), display.row_link(row.balance.program)),
        (_("time"), display.moment(row.created_at)),
        (_("spent"), display.amount(row.purchase) if row.purchase is not None else display.NOTHING),
        (_("origin"), display.code(row.origin_txn_id or "")),
        (_("idempotency key"), display.code(row.idempotency_key or "")),
        (_("address"), display.code(row.ip_address or "")),
        (_("campaign"), named),
        (_("takes back"), movement_link(original) if original else display.NOTHING),
        (_("reason"), row.reason or display.NOTHING),
        (_("actor"), row.actor or display.NOTHING),
        (_("id"), display.copyable(str(row.pk))),
    ]


def movement_link(one: Transaction) -> SafeString | str:
    """A link to a movement, by what it was and how many points."""
    return display.row_link(one, f"{one.get_event_type_display()} {display.signed(one.amount)}")


def left_of(row: Transaction) -> int:
    """How many of its points are not taken back yet."""
    back: int = Transaction.objects.filter(reverses_id=row.pk).aggregate(points=Sum("amount"))["points"] or 0
    return abs(row.amount) - abs(back)


def reversals_of(row: Transaction) -> Table:
    """What was taken back of it."""
    return Table(
        _("Taken back"),
        [_("time"), Column(_("points"), right=True), _("reason")],
        [
            [
                display.row_link(one, display.moment(one.created_at)),
                display.signed(one.amount),
                one.reason or display.NOTHING,
            ]
            for one in Transaction.objects.filter(reverses_id=row.pk).order_by("created_at")
        ],
        empty=_("Nothing."),
    )
