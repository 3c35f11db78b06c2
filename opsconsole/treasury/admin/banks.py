"""Banks: how each is spoken to, its accounts, and the routes that lead through it."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.changes.admin.requesting import RequestChange, open_changes
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Button
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.pages import Column, Facts, Section, Table
from opsconsole.core.errors import Denied
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.treasury import access
from opsconsole.treasury.admin import bank_sections
from opsconsole.treasury.admin.leading import may_see
from opsconsole.treasury.models import Account, Bank, Route
from opsconsole.treasury.states import GatewayKind


@admin.register(Bank)
class BankAdmin(ConsoleAdmin[Bank]):
    """Banks, in the order in which they come where several could pay."""

    list_display = ("name", "code", "bic", "state", "way", "priority", "money_fee")
    list_filter = ("status", "gateway")
    ordering = ("priority", "code")
    row_actions = (RequestChange("gateway", icon="settings_ethernet"),)

    def list_actions(self) -> Sequence[Action[None]]:
        """Ask for another one."""
        return [RequestChange("bank", icon="add")]

    def visible(self, actor: Actor) -> QuerySet[Bank]:
        """The banks the actor may see; their secrets stay where they are."""
        return access.visible_banks(actor).defer("secret")

    @admin.display(description=_("state"))
    def state(self, bank: Bank) -> SafeString:
        """Its state."""
        return display.state_of(bank)

    @admin.display(description=_("spoken to by"))
    def way(self, bank: Bank) -> str:
        """How it is spoken to."""
        return str(GatewayKind(bank.gateway).label)

    @admin.display(description=_("fee per payment"))
    def money_fee(self, bank: Bank) -> str:
        """What it takes."""
        return display.amount(bank.fee_per_payment)

    def badge(self, row: Bank) -> SafeString:
        """Its state."""
        return display.state_of(row)

    def buttons(self, request: HttpRequest, row: Bank) -> list[Button]:
        """Its own, and the plans that can be drafted from here."""
        return [*super().buttons(request, row), *bank_sections.drafts_from(request, row, self._accounts(request, row))]

    def sections(self, request: HttpRequest, row: Bank) -> Sequence[Section]:
        """What is on its way, what went through it, its accounts, its routes."""
        accounts = self._accounts(request, row)
        linked, known = may_see(request, Route), {account.pk for account in accounts}
        return [
            *bank_sections.closures(request, row),
            *open_changes(row),
            bank_sections.figures(row, accounts),
            bank_sections.on_its_way(row),
            bank_sections.payments_chart(accounts),
            accounts_table(accounts),
            Table(
                _("Routes through it"),
                [_("corridor"), _("account")],
                [
                    [
                        display.row_link(route) if linked else route.corridor,
                        display.row_link(route.account) if route.account_id in known else route.account.name,
                    ]
                    for route in Route.objects.filter(bank=row)
                    .select_related("account")
                    .order_by("currency", "country")
                ],
                empty=_("No route leads through this bank."),
            ),
        ]

    def side(self, _request: HttpRequest, row: Bank) -> Sequence[Section]:
        """How it is spoken to, and how it answers."""
        has_secret = Bank.objects.filter(pk=row.pk).exclude(secret="").exists()
        return [
            Facts(
                _("Bank"),
                [
                    (_("code"), row.code),
                    (_("BIC"), display.code(row.bic)),
                    (_("spoken to by"), self.way(row)),
                    (_("address"), display.code(row.base_url)),
                    (_("key id"), display.code(row.key_id)),
                    (_("secret"), _("set") if has_secret else _("not set")),
                    (_("answers status probes"), display.yes_no(row.probing)),
                    (_("fee per payment"), display.amount(row.fee_per_payment)),
                    (_("priority"), row.priority),
                ],
            ),
            bank_sections.answers(row),
        ]

    def foot(self, request: HttpRequest, row: Bank) -> Sequence[Section]:
        """What went wrong, what closed it, what was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [
            *bank_sections.refusals(request, row),
            *bank_sections.closing_history(request, row),
            timeline(request, entries, more=all_entries_of(Bank._meta.db_table, row.pk)),
        ]

    def _accounts(self, request: HttpRequest, bank: Bank) -> list[Account]:
        try:
            visible = access.visible_accounts(actor_of(request))
        except Denied:
            return []
        return list(visible.filter(bank=bank).order_by("currency", "kind"))


def _account_and_iban(account: Account) -> SafeString | str:
    name = display.row_link(account)
    return format_html("{}<br>{}", name, display.code(account.iban)) if account.iban else name


def accounts_table(accounts: Sequence[Account]) -> Table:
    """Accounts with their balances."""
    return Table(
        _("Accounts"),
        [_("account"), _("kind"), _("state"), Column(_("balance"), right=True)],
        [
            [
                _account_and_iban(account),
                account.get_kind_display(),
                display.state_of(account),
                display.money(account.ledger_balance, account.currency),
            ]
            for account in accounts
        ],
        empty=_("None that you may see."),
    )
