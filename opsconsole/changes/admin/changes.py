"""Changes: before and after, who has agreed, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.admin.content import register_content
from opsconsole.approvals.admin.panel import approvals_panel, decisions_table
from opsconsole.changes import access, moves
from opsconsole.changes.admin.comparing import advice_on, before_and_after
from opsconsole.changes.admin.decisions import ApplyChange, ApproveChange, CancelChange, CollectChange, RejectChange
from opsconsole.changes.admin.rows import state_of, subject_of
from opsconsole.changes.kinds.base import registered
from opsconsole.changes.models import Change
from opsconsole.changes.selectors import request_of
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Facts, Notice, Section
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of


def _content(content: Mapping[str, Any]) -> Sequence[Section]:
    return [
        *[Notice(text, "warn") for text in content["warnings"]],
        *advice_on(content["kind"]),
        before_and_after(content["before"], content["after"]),
        Facts(
            _("Asked for"),
            [
                (_("of"), content["subject"]["name"]),
                (_("kind"), _label(content["kind"])),
                (_("reason"), content["reason"]),
                (_("asked by"), content["requested_by"]),
            ],
        ),
    ]


register_content(moves.SUBJECT, _content)


class OfKind(OneOf):
    """One kind of change."""

    title = _("kind")
    parameter_name = "kind"

    def options(self, _request: HttpRequest) -> Options:
        """Every kind there is."""
        return [(kind.name, str(kind.label)) for kind in registered()]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Change], value: str) -> QuerySet[Change]:
        """Those of the kind."""
        return rows.filter(kind=value)


@admin.register(Change)
class ChangeAdmin(ConsoleAdmin[Change]):
    """Changes, newest first."""

    list_display = ("title", "kind_shown", "state", "asked_by", "asked", "over")
    nothing = _(
        "Nothing has been asked for. Changes begin on the page of the bank, account,"
        " payout, user or policy that they are about."
    )
    list_filter = ("status", OfKind)
    ordering = ("-created_at", "-id")
    row_actions = (ApproveChange(), ApplyChange(), CollectChange(), RejectChange(), CancelChange())

    def visible(self, actor: Actor) -> QuerySet[Change]:
        """The changes the actor may see; what is secret in them stays where it is."""
        return access.visible_changes(actor)

    @admin.display(description=_("kind"))
    def kind_shown(self, change: Change) -> str:
        """In words."""
        return _label(change.kind)

    @admin.display(description=_("state"))
    def state(self, change: Change) -> SafeString:
        """Its state."""
        return state_of(change)

    @admin.display(description=_("asked by"))
    def asked_by(self, change: Change) -> str:
        """Who asked."""
        return change.requested_by.username

    @admin.display(description=_("asked"))
    def asked(self, change: Change) -> SafeString | str:
        """When."""
        return display.moment(change.created_at)

    @admin.display(description=_("ended"))
    def over(self, change: Change) -> SafeString | str:
        """When."""
        return display.moment(change.ended_at)

    def badge(self, row: Change) -> SafeString:
        """Its state."""
        return state_of(row)

    def sections(self, request: HttpRequest, row: Change) -> Sequence[Section]:
        """What it would change, and why."""
        asked = request_of(row)
        return [
            *([Notice(row.failure, "bad", row.state.label)] if row.failure else []),
            *[Notice(text, "warn") for text in row.warnings],
            *(advice_on(row.kind) if moves.is_open(row) else []),
            before_and_after(row.before, row.after),
            Facts(
                _("Asked for"),
                [
                    (_("of"), subject_of(row)),
                    (_("kind"), _label(row.kind)),
                    (_("reason"), row.reason),
                    (_("asked by"), row.requested_by.username),
                    (_("asked"), display.moment(row.created_at)),
                    (_("ended"), display.moment(row.ended_at)),
                ],
            ),
            *([decisions_table(asked)] if asked else []),
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of(Change._meta.db_table, row.pk)),
        ]

    def side(self, request: HttpRequest, row: Change) -> Sequence[Section]:
        """Who has agreed, who is still needed."""
        asked = request_of(row)
        return [approvals_panel(asked, actor_of(request), linked=True)] if asked else []


def _label(kind: str) -> str:
    return next((str(one.label) for one in registered() if one.name == kind), kind)
