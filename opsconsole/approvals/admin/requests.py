"""Approval requests: what people are asked to agree to."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import access, selectors, subjects
from opsconsole.approvals.admin.content import content_of
from opsconsole.approvals.admin.panel import approvals_panel, decisions_table, slots_as_text, state_of
from opsconsole.approvals.admin.verdicts import Approve, Comment, Reject, Revoke
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Facts, Section
from opsconsole.journal.admin.timeline import subject_link


class ForMe(OneOf):
    """Those the viewer may still approve."""

    title = _("for me")
    parameter_name = "mine"

    def options(self, _request: HttpRequest) -> Options:
        """One choice besides all."""
        return [("1", _("waiting for my approval"))]

    def narrow(self, request: HttpRequest, rows: QuerySet[Request], _value: str) -> QuerySet[Request]:
        """Those that wait for the viewer."""
        return selectors.decidable_by(rows, actor_of(request))


@admin.register(Request)
class RequestAdmin(ConsoleAdmin[Request]):
    """Requests, newest first."""

    list_display = ("title", "action", "state", "people_needed", "asked_by", "asked", "until")
    list_filter = (ForMe, "status")
    ordering = ("-created_at", "-id")
    row_actions = (Approve(), Reject(), Revoke(), Comment())

    def visible(self, actor: Actor) -> QuerySet[Request]:
        """The requests the actor may see."""
        return access.visible_requests(actor)

    @admin.display(description=_("state"))
    def state(self, request: Request) -> SafeString:
        """Its state."""
        return state_of(request)

    @admin.display(description=_("takes"))
    def people_needed(self, request: Request) -> str:
        """Who must agree."""
        return slots_as_text(request.policy["slots"])

    @admin.display(description=_("asked by"))
    def asked_by(self, request: Request) -> str:
        """Who asked."""
        return request.requested_by.username

    @admin.display(description=_("asked"))
    def asked(self, request: Request) -> SafeString | str:
        """When."""
        return display.moment(request.created_at)

    @admin.display(description=_("until"))
    def until(self, request: Request) -> SafeString | str:
        """When it expires."""
        return display.moment(request.expires_at)

    def badge(self, row: Request) -> SafeString:
        """Its state."""
        return state_of(row)

    def sections(self, request: HttpRequest, row: Request) -> Sequence[Section]:
        """What is approved, and what was said."""
        kind = subjects.journal_kind(row.subject_kind)
        return [
            Facts(
                _("Request"),
                [
                    (_("about"), subject_link(request, kind, row.subject_id)),
                    (_("action"), row.action),
                    (_("asked by"), row.requested_by.username),
                    (_("asked"), display.moment(row.created_at)),
                    (_("expires"), display.moment(row.expires_at)),
                    (_("first decided"), display.moment(row.decided_at)),
                    (_("ended"), display.moment(row.ended_at)),
                    (_("takes"), slots_as_text(row.policy["slots"])),
                ],
            ),
            decisions_table(row),
            *content_of(row),
        ]

    def side(self, request: HttpRequest, row: Request) -> Sequence[Section]:
        """Who has agreed, who is still needed."""
        return [approvals_panel(row, actor_of(request), linked=False)]
