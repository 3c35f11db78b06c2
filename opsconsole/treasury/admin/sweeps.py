"""Sweeps: each transfer between two accounts of ours, and its way back."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.filters import StatusWithin
from opsconsole.core.admin.pages import Facts, Section
from opsconsole.treasury import access
from opsconsole.treasury.admin.bank_messages import lines_of
from opsconsole.treasury.admin.leading import shortened
from opsconsole.treasury.models import Sweep
from opsconsole.treasury.states import OPEN_SWEEPS, SweepState


@admin.register(Sweep)
class SweepAdmin(ConsoleAdmin[Sweep]):
    """Transfers, the newest first."""

    list_display = ("reference", "state", "money_amount", "source", "to", "way", "of_plan", "sent", "settled")
    nothing = _("No money was moved between accounts yet. A sweep is drafted as a plan.")
    list_filter = (StatusWithin.of(SweepState, indexed=OPEN_SWEEPS, parents=("plan__id__exact", "account__id__exact")),)
    list_select_related = ("account", "target", "plan", "bank", "step", "undoes")
    ordering = ("-id",)
    search_fields = ("end_to_end_id",)
    search_help_text = _("An EndToEndId in full")

    def visible(self, actor: Actor) -> QuerySet[Sweep]:
        """The sweeps the actor may see."""
        return access.visible_sweeps(actor).select_related("step", "undoes")

    def find(self, rows: QuerySet[Sweep], words: str) -> QuerySet[Sweep]:
        """What an index finds."""
        return rows.filter(end_to_end_id=words)

    @admin.display(description=_("EndToEndId"))
    def reference(self, sweep: Sweep) -> SafeString:
        """What it is called at every bank."""
        return shortened(sweep.end_to_end_id)

    @admin.display(description=_("state"))
    def state(self, sweep: Sweep) -> SafeString:
        """Its state."""
        return display.state_of(sweep)

    @admin.display(description=_("amount"))
    def money_amount(self, sweep: Sweep) -> SafeString:
        """The money."""
        return display.money(sweep.amount, sweep.currency)

    @admin.display(description=_("from"))
    def source(self, sweep: Sweep) -> SafeString | str:
        """The account it leaves."""
        return display.row_link(sweep.account)

    @admin.display(description=_("to"))
    def to(self, sweep: Sweep) -> SafeString | str:
        """The account it goes to."""
        return display.row_link(sweep.target)

    @admin.display(description=_("way"))
    def way(self, sweep: Sweep) -> str:
        """There, or back."""
        return str(_("back") if sweep.undoes_id else _("there"))

    @admin.display(description=_("plan"))
    def of_plan(self, sweep: Sweep) -> SafeString | str:
        """By which plan."""
        return display.row_link(sweep.plan)

    @admin.display(description=_("sent"))
    def sent(self, sweep: Sweep) -> SafeString | str:
        """When it went out."""
        return display.moment(sweep.sent_at)

    @admin.display(description=_("settled"))
    def settled(self, sweep: Sweep) -> SafeString | str:
        """When it arrived."""
        return display.moment(sweep.settled_at)

    def badge(self, row: Sweep) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def sections(self, _request: HttpRequest, row: Sweep) -> Sequence[Section]:
        """What was sent, through whom, and what the bank said."""
        undone_by = row.undone_by.order_by("-id").first()
        return [
            Facts(
                _("Sweep"),
                [
                    (_("amount"), display.money(row.amount, row.currency)),
                    (_("from"), display.row_link(row.account)),
                    (_("to"), display.row_link(row.target)),
                    (_("way"), self.way(row)),
                    (_("undoes"), display.row_link(row.undoes)),
                    (_("undone by"), display.row_link(undone_by)),
                    (_("EndToEndId"), display.code(row.end_to_end_id)),
                    (_("plan"), display.row_link(row.plan)),
                    (_("step"), display.row_link(row.step, str(row.step_seq)) if row.step else row.step_seq),
                    (_("through"), display.row_link(row.bank)),
                    (_("bank's reference"), display.code(row.bank_reference)),
                    (_("reason"), row.reason or display.NOTHING),
                    (_("sent"), display.moment(row.sent_at)),
                    (_("settled"), display.moment(row.settled_at)),
                    (_("asked again"), display.moment(row.next_poll_at)),
                ],
            ),
            lines_of(row.bank_lines.select_related("file").order_by("-id")),
        ]
