"""The ledger's transfers, each with legs that sum to zero."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Column, Facts, Section, Table
from opsconsole.treasury import access
from opsconsole.treasury.models import Leg, Transfer


def moved(legs: Iterable[Leg]) -> SafeString | str:
    """What changed hands: the sum of what came in, by currency."""
    sums: dict[str, Decimal] = {}
    for leg in legs:
        if leg.amount > 0:
            sums[leg.currency] = sums.get(leg.currency, Decimal(0)) + leg.amount
    return display.sums(sums)


@admin.register(Transfer)
class TransferAdmin(ConsoleAdmin[Transfer]):
    """Transfers, the newest first."""

    list_display = ("reference", "kind", "money_moved", "of_plan", "booked")
    list_select_related = ("plan",)
    ordering = ("-id",)
    search_fields = ("reference",)
    search_help_text = _("A reference, in full")

    def visible(self, actor: Actor) -> QuerySet[Transfer]:
        """The transfers the actor may see."""
        return access.visible_transfers(actor).select_related("plan", "step").prefetch_related("legs")

    def find(self, rows: QuerySet[Transfer], words: str) -> QuerySet[Transfer]:
        """What an index finds."""
        return rows.filter(reference=words)

    @admin.display(description=_("amount"))
    def money_moved(self, transfer: Transfer) -> SafeString | str:
        """What changed hands."""
        return moved(transfer.legs.all())

    @admin.display(description=_("plan"))
    def of_plan(self, transfer: Transfer) -> SafeString | str:
        """By which plan."""
        return display.row_link(transfer.plan)

    @admin.display(description=_("booked"))
    def booked(self, transfer: Transfer) -> SafeString | str:
        """When."""
        return display.moment(transfer.booked_at)

    def sections(self, _request: HttpRequest, row: Transfer) -> Sequence[Section]:
        """Its legs, and where it comes from."""
        return [
            Table(
                _("Legs"),
                [_("account"), _("bank"), Column(_("amount"), right=True)],
                [
                    [
                        display.row_link(leg.account),
                        leg.account.bank.name,
                        display.money(leg.amount, leg.currency),
                    ]
                    for leg in row.legs.select_related("account__bank")
                    .defer("account__bank__secret")
                    .order_by("amount")
                ],
            ),
            Facts(
                _("Transfer"),
                [
                    (_("why"), row.get_kind_display()),
                    (_("reference"), display.code(row.reference)),
                    (_("description"), row.description or display.NOTHING),
                    (_("plan"), display.row_link(row.plan)),
                    (_("step"), display.row_link(row.step, str(row.step.seq)) if row.step else display.NOTHING),
                    (_("booked"), display.moment(row.booked_at)),
                ],
            ),
        ]
