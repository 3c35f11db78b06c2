"""Policies: who must agree to what. Changing one is itself an approved action, so here they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.admin.panel import roles_as_text, slots_as_text
from opsconsole.approvals.models import Policy
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Column, Facts, Section, Table


def offer(action: Action[Policy]) -> None:
    """Have a button of another app on the page of a policy."""
    PolicyAdmin.row_actions.append(action)


@admin.register(Policy)
class PolicyAdmin(ConsoleAdmin[Policy]):
    """Policies by action, each with its versions."""

    list_display = ("action", "version", "in_force", "who", "signed", "executors_shown", "time")
    list_filter = ("active",)
    ordering = ("-active", "action", "-version")
    row_actions: ClassVar[list[Action[Policy]]] = []  # see `offer`

    def visible(self, actor: Actor) -> QuerySet[Policy]:
        """All, for those who may see any."""
        actor.require("approvals.view_policy")
        return Policy.objects.all()

    @admin.display(description=_("state"))
    def in_force(self, policy: Policy) -> SafeString:
        """Whether it is the one that counts."""
        return display.label(_("in force"), "good") if policy.active else display.label(_("replaced"))

    @admin.display(description=_("who must agree"))
    def who(self, policy: Policy) -> str:
        """The slots."""
        return slots_as_text(policy.slots)

    @admin.display(description=_("signed"))
    def signed(self, policy: Policy) -> str:
        """Whether each approval must be signed."""
        return display.yes_no(policy.signature_required)

    @admin.display(description=_("who may execute"))
    def executors_shown(self, policy: Policy) -> str:
        """The roles."""
        return roles_as_text(policy.executors)

    @admin.display(description=_("time to live"))
    def time(self, policy: Policy) -> str:
        """How long a request waits."""
        return _hours(policy)

    def badge(self, row: Policy) -> SafeString:
        """Whether it is in force."""
        return self.in_force(row)

    def sections(self, _request: HttpRequest, row: Policy) -> Sequence[Section]:
        """Its slots and thresholds."""
        return [
            Facts(
                _("Policy"),
                [
                    (_("action"), row.action),
                    (_("version"), row.version),
                    (_("who may execute"), roles_as_text(row.executors)),
                    (_("each approval signed"), display.yes_no(row.signature_required)),
                    (_("requester may approve"), display.yes_no(row.requester_may_approve)),
                    (_("time to live"), _hours(row)),
                    (_("since"), display.moment(row.created_at)),
                ],
            ),
            Table(
                _("Who must agree"),
                [Column(_("people"), right=True), _("of the roles")],
                [[slot["count"], roles_as_text(slot["roles"])] for slot in row.slots],
                note=_("All of these, each a different person, and never the one who asked."),
            ),
            Table(
                _("Above a threshold"),
                [_("of"), Column(_("above"), right=True), _("at least"), _("each approval signed")],
                [
                    [
                        display.word(threshold["of"]),
                        display.amount(threshold["over"]),
                        slots_as_text(threshold.get("slots", [])) or display.NOTHING,
                        display.yes_no(bool(threshold.get("signature_required"))),
                    ]
                    for threshold in row.thresholds
                ],
                empty=_("There is none."),
            ),
        ]


def _hours(policy: Policy) -> str:
    return _("%(hours)s hours") % {"hours": f"{policy.ttl.total_seconds() / 3600:g}"}
