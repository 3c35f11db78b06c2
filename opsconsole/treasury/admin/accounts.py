"""Accounts: their balance, and what last moved on them."""

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
from opsconsole.core.admin.pages import Column, Facts, Figures, Section, Table
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.treasury import access
from opsconsole.treasury.models import Account

LEGS_SHOWN = 25


@admin.register(Account)
class AccountAdmin(ConsoleAdmin[Account]):
    """Accounts by bank."""

    list_display = ("name", "of_bank", "iban_shown", "kind", "state", "money_balance")
    list_filter = ("kind", "status", "currency")
    list_select_related = ("bank",)
    ordering = ("bank__code", "currency", "kind", "id")
    search_fields = ("name", "iban")
    search_help_text = _("Words of the name, or of the IBAN")

    def visible(self, actor: Actor) -> QuerySet[Account]:
        """The accounts the actor may see."""
        return access.visible_accounts(actor).select_related("bank").defer("bank__secret")

    @admin.display(description=_("bank"))
    def of_bank(self, account: Account) -> SafeString | str:
        """Its bank."""
        return display.row_link(account.bank)

    @admin.display(description=_("IBAN"))
    def iban_shown(self, account: Account) -> str:
        """Where there is one."""
        return account.iban or display.NOTHING

    @admin.display(description=_("state"))
    def state(self, account: Account) -> SafeString:
        """Its state."""
        return display.state_of(account)

    @admin.display(description=_("balance"))
    def money_balance(self, account: Account) -> SafeString:
        """What the ledger says is on it."""
        return display.money(account.ledger_balance, account.currency)

    def badge(self, row: Account) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def sections(self, _request: HttpRequest, row: Account) -> Sequence[Section]:
        """Its balance."""
        balance = display.money(row.ledger_balance, row.currency)
        return [Figures(_("Account"), [(_("balance by the ledger"), balance, "")])]

    def foot(self, request: HttpRequest, row: Account) -> Sequence[Section]:
        """Its last movements, and what was done to it."""
        legs = row.legs.select_related("transfer").order_by("-id")[:LEGS_SHOWN]
        return [
            Table(
                _("Last movements"),
                [_("time"), Column(_("amount"), right=True), _("why"), _("transfer")],
                [
                    [
                        display.moment(leg.transfer.booked_at),
                        display.money(leg.amount, leg.currency),
                        leg.transfer.get_kind_display(),
                        display.row_link(leg.transfer),
                    ]
                    for leg in legs
                ],
                empty=_("Nothing has moved."),
            ),
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of(Account._meta.db_table, row.pk)),
        ]

    def side(self, _request: HttpRequest, row: Account) -> Sequence[Section]:
        """Where it is kept."""
        return [
            Facts(
                _("Facts"),
                [
                    (_("bank"), display.row_link(row.bank)),
                    (_("IBAN"), display.code(row.iban or "")),
                    (_("currency"), row.currency),
                    (_("kind"), row.get_kind_display()),
                    (_("opened"), display.moment(row.created_at)),
                ],
            )
        ]
