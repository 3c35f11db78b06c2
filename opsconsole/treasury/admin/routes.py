"""Routes: which account pays which corridor, and the form that leads one elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, then
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Facts, Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.treasury import access
from opsconsole.treasury.models import Route
from opsconsole.treasury.services import routes
from opsconsole.treasury.states import AccountKind, AccountState


class RouteForm(ReasonForm):
    """The account that shall pay, and why."""

    account = forms.ChoiceField(label=_("Through the account"))
    field_order = ("account", "reason")


class ChangeRoute(Action[Route]):
    """Lead it through another account."""

    name = "redirect"
    label = _("Lead elsewhere")
    icon = "alt_route"
    tone = "danger"
    permission = "treasury.change_route"
    form = RouteForm

    def question(self, row: Route) -> Text:
        """What takes the new way."""
        return now_(
            "Lead %(corridor)s through another account? New plans take the new way; what is staged keeps the old one."
        ) % {"corridor": row.corridor}

    def make_form(self, actor: Actor, row: Route, data: Any = None, files: Any = None) -> ActionForm:
        """With the accounts that could pay this corridor."""
        form = super().make_form(actor, row, data, files)
        accounts = access.visible_accounts(actor).filter(
            kind=AccountKind.SETTLEMENT, currency=row.currency, status=AccountState.ACTIVE
        )
        choices = cast(forms.ChoiceField, form.fields["account"])
        choices.choices = [
            (str(account.pk), f"{account.bank.name}: {account.name} ({account.iban})")
            for account in accounts.select_related("bank").defer("bank__secret").order_by("bank__code", "iban")
        ]
        return form

    def initial(self, row: Route) -> dict[str, Any]:
        """The account that pays now."""
        return {"account": str(row.account_id)}

    def perform(self, press: Press[Route]) -> Answer:
        """Lead it there."""
        return routes.change_route.once(
            press.key,
            then(
                lambda route: (
                    now_("%(corridor)s goes through %(account)s.")
                    % {"corridor": route.corridor, "account": route.account.name}
                ),
                display.row_url,
            ),
            route_id=press.row.pk,
            account_id=press.data["account"],
            reason=press.data["reason"],
            actor=press.actor,
        )


@admin.register(Route)
class RouteAdmin(ConsoleAdmin[Route]):
    """Routes by corridor."""

    list_display = ("corridor_shown", "of_bank", "state", "of_account")
    list_filter = ("currency",)
    list_select_related = ("bank", "account")
    ordering = ("currency", "country", "id")
    row_actions = (ChangeRoute(),)

    def visible(self, actor: Actor) -> QuerySet[Route]:
        """The routes the actor may see."""
        return access.visible_routes(actor).defer("bank__secret")

    @admin.display(description=_("corridor"))
    def corridor_shown(self, route: Route) -> str:
        """Currency and country."""
        return route.corridor

    @admin.display(description=_("bank"))
    def of_bank(self, route: Route) -> SafeString | str:
        """The bank it leads through."""
        return display.row_link(route.bank)

    @admin.display(description=_("bank is"))
    def state(self, route: Route) -> SafeString:
        """Whether that bank takes anything."""
        return display.state_of(route.bank)

    @admin.display(description=_("account"))
    def of_account(self, route: Route) -> SafeString | str:
        """The account that pays."""
        return display.row_link(route.account)

    def sections(self, request: HttpRequest, row: Route) -> Sequence[Section]:
        """Where it leads."""
        return [
            Facts(
                _("Route"),
                [
                    (_("currency"), row.currency),
                    (_("country"), row.country or _("any that no other route names")),
                    (_("bank"), display.row_link(row.bank)),
                    (_("account"), display.row_link(row.account)),
                    (_("IBAN"), display.code(row.account.iban or "")),
                ],
            ),
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of(Route._meta.db_table, row.pk)),
        ]
