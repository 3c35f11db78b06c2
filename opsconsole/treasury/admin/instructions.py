"""Instructions: each submission of a payout in a plan."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Q, QuerySet
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
from opsconsole.treasury.admin.leading import may_see, shortened
from opsconsole.treasury.models import BankFile, Instruction
from opsconsole.treasury.states import OPEN_INSTRUCTIONS, InstructionState


@admin.register(Instruction)
class InstructionAdmin(ConsoleAdmin[Instruction]):
    """Submissions, the newest first."""

    list_display = ("reference", "state", "money_amount", "of_payout", "of_plan", "bank", "sent", "settled")
    nothing = _("No payment has gone to a bank yet: executing a payout batch sends them.")
    list_filter = (
        StatusWithin.of(InstructionState, indexed=OPEN_INSTRUCTIONS, parents=("plan__id__exact", "payout__id__exact")),
    )
    list_select_related = ("payout", "plan", "bank", "account", "step")
    ordering = ("-id",)
    search_fields = ("end_to_end_id",)
    search_help_text = _("An EndToEndId, or a payout's external id, in full")

    def visible(self, actor: Actor) -> QuerySet[Instruction]:
        """The instructions the actor may see."""
        rows = access.visible_instructions(actor)
        return rows.select_related("payout", "plan", "account", "step", "bank").defer("bank__secret")

    def find(self, rows: QuerySet[Instruction], words: str) -> QuerySet[Instruction]:
        """What an index finds."""
        return rows.filter(Q(end_to_end_id=words) | Q(payout__external_id=words))

    @admin.display(description=_("EndToEndId"))
    def reference(self, instruction: Instruction) -> SafeString:
        """What it is called at every bank."""
        return shortened(instruction.end_to_end_id)

    @admin.display(description=_("state"))
    def state(self, instruction: Instruction) -> SafeString:
        """Its state."""
        return display.state_of(instruction)

    @admin.display(description=_("amount"))
    def money_amount(self, instruction: Instruction) -> SafeString:
        """The money."""
        return display.money(instruction.amount, instruction.currency)

    @admin.display(description=_("payout"))
    def of_payout(self, instruction: Instruction) -> SafeString | str:
        """What it pays."""
        return display.row_link(instruction.payout)

    @admin.display(description=_("plan"))
    def of_plan(self, instruction: Instruction) -> SafeString | str:
        """By which plan."""
        return display.row_link(instruction.plan)

    @admin.display(description=_("sent"))
    def sent(self, instruction: Instruction) -> SafeString | str:
        """When it went out."""
        return display.moment(instruction.sent_at)

    @admin.display(description=_("settled"))
    def settled(self, instruction: Instruction) -> SafeString | str:
        """When it arrived."""
        return display.moment(instruction.settled_at)

    def badge(self, row: Instruction) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def sections(self, request: HttpRequest, row: Instruction) -> Sequence[Section]:
        """What was sent, through whom, and what the bank said."""
        return [
            Facts(
                _("Instruction"),
                [
                    (_("amount"), display.money(row.amount, row.currency)),
                    (_("payout"), display.row_link(row.payout)),
                    (_("to"), row.payout.beneficiary_name),
                    (_("EndToEndId"), display.code(row.end_to_end_id)),
                    (_("plan"), display.row_link(row.plan)),
                    (_("step"), display.row_link(row.step, str(row.step_seq)) if row.step else row.step_seq),
                    (_("place in the plan"), row.ordinal),
                    (_("bank"), display.row_link(row.bank)),
                    (_("from account"), display.row_link(row.account)),
                    (_("bank's reference"), display.code(row.bank_reference)),
                    (_("reason"), row.reason or display.NOTHING),
                    (_("sent"), display.moment(row.sent_at)),
                    (_("settled"), display.moment(row.settled_at)),
                    (_("asked again"), display.moment(row.next_poll_at)),
                ],
            ),
            *([lines_of(row.bank_lines.order_by("-id"))] if may_see(request, BankFile) else []),
        ]
