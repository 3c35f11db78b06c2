"""Approval requests: what people are asked to agree to."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import access, selectors, subjects
from opsconsole.approvals.admin.content import content_of
from opsconsole.approvals.admin.inbox import agreed_text, gist_of, with_approvals
from opsconsole.approvals.admin.panel import (
    approvals_panel,
    decisions_table,
    slots_as_text,
    state_of,
    why_not_approve,
)
from opsconsole.approvals.admin.verdicts import Approve, Comment, Reject, Revoke, ended
from opsconsole.approvals.models import Request
from opsconsole.approvals.states import LIVE, OPEN
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import ActionForm
from opsconsole.core.admin.base import ConsoleAdmin, Tab, actor_of
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Facts, Fragment, Section
from opsconsole.core.texts import Text
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


class Ended(OneOf):
    """Those that people can still do something about, or those that are over."""

    title = _("ended")
    parameter_name = "ended"

    def options(self, _request: HttpRequest) -> Options:
        """Over or not."""
        return [("no", _("open")), ("yes", _("ended"))]

    def narrow(self, _request: HttpRequest, rows: QuerySet[Request], value: str) -> QuerySet[Request]:
        """By whether the state is one of those that wait."""
        return rows.filter(status__in=OPEN) if value == "no" else rows.exclude(status__in=LIVE)


def decide_here(actor: Actor, request: Request) -> list[Section]:
    """The forms by which the viewer decides; nothing for somebody who cannot now."""
    if not actor.may(Approve.permission) or (ended(request) or why_not_approve(request, actor)):
        return []
    approve, reject = Approve(), Reject()
    context = {
        "forms": [
            {
                "action": action,
                "form": _named(action.make_form(actor, request), action.name),
                "url": reverse(f"admin:approvals_request_{action.name}", args=[request.pk]),
            }
            for action in (approve, reject)
        ],
        "question": approve.question(request),
    }
    return [Fragment("console/sections/decide.html", _("Your decision"), context)]


def _named(form: ActionForm, name: str) -> ActionForm:
    """The form with ids of its own: two stand on one page."""
    form.auto_id = f"id_{name}_%s"
    return form


@admin.register(Request)
class RequestAdmin(ConsoleAdmin[Request]):
    """Requests, newest first."""

    list_display = ("title", "gist", "state", "agreed", "asked_by", "left")
    nothing = _("Nothing has been asked for: staging a plan asks for approvals, and so does asking for a change.")
    list_filter = (ForMe, Ended, "status")
    ordering = ("-created_at", "-id")
    row_actions = (Approve(), Reject(), Revoke(), Comment())

    def visible(self, actor: Actor) -> QuerySet[Request]:
        """The requests the actor may see."""
        return access.visible_requests(actor)

    @admin.display(description=_("state"))
    def state(self, request: Request) -> SafeString:
        """Its state."""
        return state_of(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Request]:
        """With the approvals that stand, as the list counts them."""
        return with_approvals(super().get_queryset(request))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Newest first; what waits for the viewer by its end."""
        return ("expires_at", "id") if request.GET.get("mine") else ("-created_at", "-id")

    def tabs(self, request: HttpRequest) -> Sequence[Tab]:
        """What waits for me, what waits for anybody, and what is over."""
        mine, ended = request.GET.get("mine"), request.GET.get("ended")
        return [
            Tab(_("Waiting for me"), "?mine=1", bool(mine)),
            Tab(_("All open"), "?ended=no", ended == "no"),
            Tab(_("Ended"), "?ended=yes", ended == "yes"),
            Tab(_("Everything"), "?", not request.GET),
        ]

    @admin.display(description=_("how much"))
    def gist(self, request: Request) -> Text:
        """How much it is about."""
        return gist_of(request) or display.NOTHING

    @admin.display(description=_("agreed"))
    def agreed(self, request: Request) -> str:
        """How many have agreed, and who is still needed."""
        return agreed_text(request)

    @admin.display(description=_("asked by"))
    def asked_by(self, request: Request) -> str:
        """Who asked."""
        return request.requested_by.username

    @admin.display(description=_("time left"))
    def left(self, request: Request) -> SafeString | str:
        """How long it waits still; for one that is over, when that was."""
        return display.moment(request.expires_at if request.status in LIVE else request.ended_at)

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
                    (_("how much"), gist_of(row) or display.NOTHING),
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
        """Who has agreed, who is still needed; and the viewer's own decision, below what is decided on a phone."""
        actor = actor_of(request)
        return [approvals_panel(row, actor, linked=False), *decide_here(actor, row)]
