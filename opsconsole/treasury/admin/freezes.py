"""Freezes: what is frozen and why, by which plan, and what was lifted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Facts, Notice, Section
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.treasury import access, selectors
from opsconsole.treasury.models import Account, Freeze, Payout
from opsconsole.treasury.states import FreezeKind


class StandingFilter(admin.SimpleListFilter):
    """Those that stand, or those that were lifted."""

    title = _("standing")
    parameter_name = "live"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, Any]]:
        """Two."""
        return [("1", _("frozen")), ("0", _("lifted"))]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Freeze]) -> QuerySet[Freeze]:
        """Narrowed."""
        return queryset if self.value() is None else queryset.filter(lifted_at__isnull=self.value() == "1")


def standing_label(freeze: Freeze) -> SafeString:
    """Frozen or lifted, in its colour."""
    return display.label(_("frozen"), "bad") if freeze.is_live else display.label(_("lifted"))


def subject_link(freeze: Freeze) -> SafeString | str:
    """What is frozen: a link to the account, or to the payouts of the others."""
    match freeze.kind:
        case FreezeKind.ACCOUNT:
            return display.row_link(freeze.account, freeze.account.iban if freeze.account else "")
        case FreezeKind.BENEFICIARY:
            return display.link(display.list_url(Payout, q=freeze.subject), freeze.subject)
        case _:
            return display.code(freeze.subject)


def freezes_on(*, account: Account | None = None, payout: Payout | None = None) -> list[Section]:
    """A notice for each freeze that stands on an account, or keeps a payout from being paid."""
    live = selectors.live_freezes(account=account, payout=payout)
    return [
        Notice(
            format_html(
                now_("{}, by the plan {} on {}: {}"),
                freeze.get_kind_display(),
                display.row_link(freeze.plan),
                display.moment(freeze.set_at),
                freeze.reason,
            ),
            "bad",
            now_("Frozen: nothing is paid"),
        )
        for freeze in live
    ]


@admin.register(Freeze)
class FreezeAdmin(ConsoleAdmin[Freeze]):
    """Freezes, the newest first. A plan sets one, and rolling that plan back lifts it."""

    list_display = ("of", "kind", "standing", "why", "of_plan", "set_by", "since")
    nothing = _("Nothing is frozen. A freeze is drafted as a plan.")
    list_filter = (StandingFilter, "kind")
    list_select_related = ("account", "plan")
    ordering = ("-id",)
    search_fields = ("subject", "account__iban", "account__name", "reason")
    search_help_text = _("Words of the reason, an IBAN, or a merchant's id")

    def visible(self, actor: Actor) -> QuerySet[Freeze]:
        """The freezes the actor may see."""
        return access.visible_freezes(actor)

    @admin.display(description=_("frozen"))
    def of(self, freeze: Freeze) -> str:
        """What."""
        return freeze.account.iban or freeze.account.name if freeze.account else freeze.subject

    @admin.display(description=_("state"))
    def standing(self, freeze: Freeze) -> SafeString:
        """Whether it stands."""
        return standing_label(freeze)

    @admin.display(description=_("reason"))
    def why(self, freeze: Freeze) -> str:
        """Why."""
        return freeze.reason

    @admin.display(description=_("plan"))
    def of_plan(self, freeze: Freeze) -> SafeString | str:
        """The plan that set it."""
        return display.row_link(freeze.plan)

    @admin.display(description=_("since"))
    def since(self, freeze: Freeze) -> SafeString | str:
        """When."""
        return display.moment(freeze.set_at)

    def heading(self, row: Freeze) -> str:
        """What is frozen."""
        return self.of(row)

    def badge(self, row: Freeze) -> SafeString:
        """Whether it stands."""
        return standing_label(row)

    def sections(self, request: HttpRequest, row: Freeze) -> Sequence[Section]:
        """What, why, by which plan, and how it ends."""
        lifting = []
        if row.is_live:
            lifting = [
                Notice(
                    format_html(now_("It is lifted by rolling the plan {} back."), display.row_link(row.plan)),
                    "info",
                    now_("Until when"),
                )
            ]
        return [
            *lifting,
            Facts(
                _("Freeze"),
                [
                    (_("frozen"), subject_link(row)),
                    (_("kind"), row.get_kind_display()),
                    (_("reason"), row.reason),
                    (_("plan"), display.row_link(row.plan)),
                    (_("set by"), row.set_by),
                    (_("set at"), display.moment(row.set_at)),
                    (_("lifted by"), row.lifted_by or display.NOTHING),
                    (_("lifted at"), display.moment(row.lifted_at)),
                ],
            ),
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of(Freeze._meta.db_table, row.pk)),
        ]
