"""Accounts: their balance, and what last moved on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.changes.admin.requesting import RequestChange, open_changes
from opsconsole.core.actors import Actor
from opsconsole.core.admin import charts, display
from opsconsole.core.admin.actions import Action, Button
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Column, Facts, Figures, Link, Section, Table
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.treasury import access, movements
from opsconsole.treasury.admin.bank_messages import balances_of
from opsconsole.treasury.admin.freezes import freezes_on
from opsconsole.treasury.admin.leading import draft_button
from opsconsole.treasury.models import Account
from opsconsole.treasury.promises import promised_from
from opsconsole.treasury.states import AccountKind, FreezeKind

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

    row_actions = (RequestChange("iban", icon="edit"),)

    def list_actions(self) -> Sequence[Action[None]]:
        """Ask for another one."""
        return [RequestChange("account", icon="add")]

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

    def buttons(self, request: HttpRequest, row: Account) -> list[Button]:
        """Its own, and the plans that can be drafted from here."""
        buttons = super().buttons(request, row)
        if row.kind != AccountKind.SETTLEMENT:
            return buttons
        named = {"name": row.name}
        buttons += draft_button(
            request,
            "freeze",
            now_("Freeze %(name)s") % named,
            _("Nothing is paid to or from it until the plan is rolled back."),
            subject=FreezeKind.ACCOUNT.value,
            account=row.pk,
        )
        return buttons + draft_button(
            request,
            "sweep",
            now_("Sweep %(name)s") % named,
            _("Move what it holds to another account."),
            currency=row.currency,
            source_accounts=row.iban,
        )

    def sections(self, _request: HttpRequest, row: Account) -> Sequence[Section]:
        """Its balance: now, day by day, and as the bank states it."""
        return [
            *freezes_on(account=row),
            *open_changes(row),
            figures(row),
            balance_chart(row),
            *([balances_of(row)] if row.kind == AccountKind.SETTLEMENT else []),
        ]

    def foot(self, request: HttpRequest, row: Account) -> Sequence[Section]:
        """Its movements, and what was done to it."""
        entries = entries_of(row)[:SHOWN_ON_PAGES]
        return [
            movements_table(row, before=request.GET.get("before", "")),
            timeline(request, entries, more=all_entries_of(Account._meta.db_table, row.pk)),
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


def figures(account: Account) -> Figures:
    """What is on it, what of that is promised, what is free; and what the bank stated last."""
    told = [(_("balance by the ledger"), display.money(account.ledger_balance, account.currency), "")]
    if account.kind == AccountKind.SETTLEMENT:
        promised = promised_from(account.pk)
        told += [
            (_("promised by plans"), display.money(promised, account.currency), ""),
            (_("free"), display.money(account.ledger_balance - promised, account.currency), ""),
        ]
        stated = account.stated.order_by("-as_of", "-id").first()
        if stated is not None:
            told += [
                (_("stated by the bank"), display.money(stated.stated, account.currency), ""),
                (_("difference then"), display.money(stated.difference, account.currency), ""),
            ]
    return Figures(_("Now"), told)


def balance_chart(account: Account) -> Section:
    """What was on it at the end of each of the last days."""
    days = movements.by_day([account.pk], today=datetime.now(tz=UTC).date())
    closing = movements.closing_balances(days, account.ledger_balance)
    return charts.chart(
        now_("Balance, last %(days)s days") % {"days": len(days)},
        [one.day for one in days],
        [
            charts.Series(
                now_("balance at the end of the day, %(currency)s") % {"currency": account.currency},
                charts.BLUE,
                [float(balance) for balance in closing],
                [display.amount(balance) for balance in closing],
            )
        ],
        kind="line",
        unit=account.currency,
        summary=now_("In UTC; today as it stands now."),
    )


def movements_table(account: Account, *, before: str) -> Table:
    """A page of its movements, the newest first; `before` is the id of the leg that the page before ended with."""
    legs = account.legs.select_related("transfer").order_by("-id")
    older = display.UUID_FORM.fullmatch(before) is not None
    if older:
        legs = legs.filter(pk__lt=before)
    page = list(legs[: LEGS_SHOWN + 1])
    more = None
    if len(page) > LEGS_SHOWN:
        page.pop()
        more = Link(f"{display.row_url(account)}?before={page[-1].pk}", _("Older movements"))
    return Table(
        _("Older movements") if older else _("Last movements"),
        [_("time"), Column(_("amount"), right=True), _("why"), _("transfer")],
        [
            [
                display.moment(leg.transfer.booked_at),
                display.money(leg.amount, leg.currency),
                leg.transfer.get_kind_display(),
                display.row_link(leg.transfer),
            ]
            for leg in page
        ],
        empty=_("Nothing has moved."),
        note=display.link(display.row_url(account), _("Back to the newest")) if older else "",
        more=more,
    )
