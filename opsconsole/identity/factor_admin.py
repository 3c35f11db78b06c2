"""Second factors in the admin: who has one, and taking one away that is lost."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Press, ReasonForm, then
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Facts, Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.identity.models import SecondFactor
from opsconsole.identity.second_factor import reset_second_factor
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of


class ResetSecondFactor(Action[SecondFactor]):
    """Take it away."""

    name = "reset"
    label = _("Take it away")
    icon = "phonelink_erase"
    tone = "danger"
    permission = "identity.reset_secondfactor"
    form = ReasonForm

    def obstacle(self, actor: Actor, row: SecondFactor) -> Text:
        """Not one's own."""
        if actor.user is not None and row.user_id == actor.user.pk:
            return now_("Somebody else has to take your second factor away.")
        return ""

    def question(self, row: SecondFactor) -> Text:
        """What ends."""
        return now_(
            "Take the second factor of %(user)s away? What they have open here ends, and whoever knows their password"
            " can set up another. Be sure whom you talk to."
        ) % {"user": row.user.username}

    def typed(self, row: SecondFactor) -> str:
        """The person's name."""
        return row.user.username

    def perform(self, press: Press[SecondFactor]) -> Answer:
        """Take it away."""
        to = display.list_url(SecondFactor)
        return reset_second_factor.once(
            press.key,
            then(lambda _nothing: now_("The second factor is taken away."), lambda _nothing: to),
            username=press.row.user.username,
            reason=press.data["reason"],
            actor=press.actor,
        )


@admin.register(SecondFactor)
class SecondFactorAdmin(ConsoleAdmin[SecondFactor]):
    """Who has one."""

    list_display = ("person", "enrolled", "left")
    nothing = _("Nobody has a second factor. Each sets up their own, in the menu under their name.")
    ordering = ("user__username",)
    search_fields = ("user__username",)
    row_actions = (ResetSecondFactor(),)

    def visible(self, actor: Actor) -> QuerySet[SecondFactor]:
        """Everybody's, for those who may see them; the secret stays where it is."""
        actor.require("identity.view_secondfactor")
        left = Count("recovery_codes", filter=Q(recovery_codes__used_at=None))
        return SecondFactor.objects.select_related("user").defer("secret").annotate(codes_left=left)

    @admin.display(description=_("person"))
    def person(self, factor: SecondFactor) -> str:
        """Whose."""
        return factor.user.username

    @admin.display(description=_("set up"))
    def enrolled(self, factor: SecondFactor) -> SafeString | str:
        """When."""
        return display.moment(factor.enrolled_at)

    @admin.display(description=_("recovery codes left"))
    def left(self, factor: SecondFactor) -> int:
        """How many."""
        return int(factor.codes_left)  # type: ignore[attr-defined] # counted by `visible`

    def sections(self, request: HttpRequest, row: SecondFactor) -> Sequence[Section]:
        """What it is, and what was done with it."""
        entries = entries_of(row.user)
        return [
            Facts(
                _("Authenticator app"),
                [
                    (_("person"), display.row_link(row.user)),
                    (_("set up"), self.enrolled(row)),
                    (_("recovery codes left"), self.left(row)),
                ],
            ),
            timeline(request, entries[:SHOWN_ON_PAGES], more=all_entries_of(row.user._meta.db_table, row.user.pk)),
        ]
