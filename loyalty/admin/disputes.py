"""Disputes: what a member says, what the ledger knows of it, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty import access_fraud
from loyalty.admin.dispute_buttons import (
    AdjustDispute,
    CarryOutOnDispute,
    NewDispute,
    RefuseDispute,
    requests_about,
)
from loyalty.admin.evidence import answer_notice, movements_table, trail_table
from loyalty.admin.in_program import OfProgram
from loyalty.disputes import evidence
from loyalty.models import Balance, Dispute, Transaction
from loyalty.states import DisputeState
from opsconsole.approvals.admin.deeds import requests_table
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.base import ConsoleAdmin, Tab
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Facts, Figures, Notice, Section
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of

TONES = {DisputeState.OPEN: "warn", DisputeState.ADJUSTED: "good", DisputeState.REFUSED: "plain"}


class DisputeStanding(OneOf):
    """How a dispute stands."""

    title = _("state")
    parameter_name = "standing"

    def options(self, _request: HttpRequest) -> Options:
        """The states, and those that wait too long."""
        open_, *ended = DisputeState.choices
        return [open_, ("overdue", _("overdue")), *ended]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The disputes that fit."""
        return rows.filter(overdue()) if value == "overdue" else rows.filter(status=value)


def overdue() -> Q:
    """Open, and due."""
    return Q(status=DisputeState.OPEN, due_at__lt=timezone.now())


@admin.register(Dispute)
class DisputeAdmin(ConsoleAdmin[Dispute]):
    """Disputes, the open ones first, the soonest due before the others."""

    list_display = ("ticket", "of_member", "of_program", "purchase", "state", "due")
    nothing = _("No dispute: nobody has said that points are missing.")
    list_filter = (DisputeStanding, OfProgram)
    list_select_related = ("program", "balance")
    search_help_text = _("A ticket, a purchase or a member's id, in full")
    row_actions = (CarryOutOnDispute(), AdjustDispute(), RefuseDispute())

    def visible(self, actor: Actor) -> QuerySet[Dispute]:
        """The disputes the actor may see."""
        return access_fraud.visible_disputes(actor)

    def get_ordering(self, _request: HttpRequest) -> Sequence[Any]:  # type: ignore[override] # expressions order as well
        """What waits comes first."""
        waits = Case(When(status=DisputeState.OPEN, then=Value(0)), default=Value(1), output_field=IntegerField())
        return [waits.asc(), Case(When(status=DisputeState.OPEN, then="due_at")).asc(), "-id"]

    def list_actions(self) -> Sequence[Action[None]]:
        """Open one."""
        return [NewDispute()]

    def tabs(self, request: HttpRequest) -> Sequence[Tab]:
        """What waits, what waits too long, and all of them."""
        chosen = request.GET.get("standing", "")
        return [
            Tab(_("To be answered"), "?standing=open", chosen == "open"),
            Tab(_("Overdue"), "?standing=overdue", chosen == "overdue"),
            Tab(_("Everything"), "?", not request.GET),
        ]

    def get_search_fields(self, _request: HttpRequest) -> tuple[str, ...]:
        """So that there is a field to search in."""
        return ("ticket",)

    def find(self, rows: QuerySet[Dispute], words: str) -> QuerySet[Dispute]:
        """By the ticket, the purchase or the member."""
        return rows.filter(Q(ticket=words) | Q(origin_txn_id=words) | Q(balance__user_id=words))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Those of one member, which its page leads to."""
        return lookup == "balance__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description=_("member"))
    def of_member(self, row: Dispute) -> SafeString | str:
        """Whose."""
        return display.whole(row.balance.user_id)

    @admin.display(description=_("program"))
    def of_program(self, row: Dispute) -> str:
        """In which program."""
        return row.program.name

    @admin.display(description=_("purchase"))
    def purchase(self, row: Dispute) -> SafeString | str:
        """Which."""
        return display.code(row.origin_txn_id)

    @admin.display(description=_("state"))
    def state(self, row: Dispute) -> SafeString:
        """Its state."""
        return display.label(row.state.label, TONES[DisputeState(row.status)])

    @admin.display(description=_("answer due"))
    def due(self, row: Dispute) -> SafeString | str:
        """By when, while it is open."""
        return display.moment(row.due_at) if row.status == DisputeState.OPEN else display.NOTHING

    def heading(self, row: Dispute) -> Text:
        """Whose, and the ticket."""
        return now_("Ticket %(ticket)s of %(member)s") % {"ticket": row.ticket, "member": row.balance.user_id}

    def badge(self, row: Dispute) -> SafeString:
        """Its state."""
        return self.state(row)

    def sections(self, _request: HttpRequest, row: Dispute) -> Sequence[Section]:
        """How it ended or what the ledger says, and what that is seen by."""
        found = evidence.find(row.balance, row.origin_txn_id, row.happened_at)
        return [
            *_late(row),
            *requests_table(requests_about(row)),
            _ended(row) or answer_notice(found),
            points_of(row.balance),
            movements_table(found),
            trail_table(row, found),
        ]

    def side(self, _request: HttpRequest, row: Dispute) -> Sequence[Section]:
        """The claim."""
        return [
            Facts(
                _("Claim"),
                [
                    (_("member"), display.row_link_of(Balance, row.balance_id, row.balance.user_id)),
                    (_("program"), display.row_link(row.program)),
                    (_("ticket"), display.copyable(row.ticket)),
                    (_("purchase"), display.copyable(row.origin_txn_id)),
                    (_("made, the member says"), display.moment(row.happened_at)),
                    (_("the member says"), display.prose(row.claim)),
                    (_("opened"), display.moment(row.created_at)),
                    (_("opened by"), row.opened_by or display.NOTHING),
                    (_("answer due"), display.moment(row.due_at)),
                ],
            )
        ]

    def foot(self, request: HttpRequest, row: Dispute) -> Sequence[Section]:
        """What was done about it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [timeline(request, entries, more=all_entries_of(Dispute._meta.db_table, row.pk))]


def points_of(member: Balance) -> Figures:
    """What the member has."""
    return Figures(
        _("The member's points"),
        [
            (_("balance"), display.number(member.points_balance), ""),
            (_("locked"), display.number(member.locked), ""),
            (_("frozen"), display.yes_no(member.is_frozen), ""),
        ],
    )


def _late(row: Dispute) -> list[Section]:
    if row.status != DisputeState.OPEN or row.due_at >= timezone.now():
        return []
    told = now_("An answer was due %(ago)s.") % {"ago": display.relative(row.due_at)}
    return [Notice(told, "bad", _("Overdue"))]


def _ended(row: Dispute) -> Section | None:
    if row.status == DisputeState.OPEN:
        return None
    paid = None
    if row.transaction_id is not None:
        paid = Transaction.objects.filter(pk=row.transaction_id).first()
    return Facts(
        _("How it ended"),
        [
            (_("answer"), row.state.label),
            (_("points"), display.row_link(paid, display.signed(paid.amount)) if paid else display.NOTHING),
            (_("reason"), display.prose(row.verdict)),
            (_("by"), row.decided_by or display.NOTHING),
            (_("when"), display.moment(row.decided_at)),
        ],
    )
