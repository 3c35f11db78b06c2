"""Deliveries: what was told to whom, what could not be, and the button that tries again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, Press, then
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.filters import Since
from opsconsole.core.admin.pages import Facts, Fragment, Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.notifications import access, digests, texts
from opsconsole.notifications.admin.shown import receiver_of
from opsconsole.notifications.models import Delivery
from opsconsole.notifications.services import deliveries
from opsconsole.notifications.states import NotificationState


class Retry(Action[Delivery]):
    """Send it again."""

    name = "retry"
    label = _("Send again")
    icon = "replay"
    tone = "primary"
    permission = access.RETRY

    def offered(self, _actor: Actor, row: Delivery) -> bool:
        """What was given up."""
        return row.status == NotificationState.DEAD

    def obstacle(self, _actor: Actor, row: Delivery) -> Text:
        """Only what was given up, and only to a channel that is on."""
        if row.status != NotificationState.DEAD:
            return now_("Only what was given up is sent again.")
        return now_("The channel is switched off.") if row.channel is not None and not row.channel.active else ""

    def question(self, row: Delivery) -> Text:
        """What is sent."""
        return now_("Send “%(topic)s” again?") % {"topic": row.notice.topic}

    def perform(self, press: Press[Delivery]) -> Answer:
        """Make it due."""
        return deliveries.retry_delivery.once(
            press.key,
            then(lambda _row: now_("It is due again."), display.row_url),
            delivery_id=press.row.pk,
            actor=press.actor,
        )


@admin.register(Delivery)
class DeliveryAdmin(ConsoleAdmin[Delivery]):
    """Deliveries, newest first."""

    list_display = ("topic", "receiver", "state", "attempts", "created", "error_shown")
    list_filter = ("status", "kind", Since.by("created_at"))
    ordering = ("-created_at", "-id")
    row_actions = (Retry(),)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Also those of one channel."""
        return lookup == "channel__id__exact" or super().lookup_allowed(lookup, value, request)

    def visible(self, actor: Actor) -> QuerySet[Delivery]:
        """The deliveries the actor may see."""
        return access.visible_deliveries(actor)

    @admin.display(description=_("event"))
    def topic(self, row: Delivery) -> str:
        """What happened."""
        return row.notice.topic

    @admin.display(description=_("to"))
    def receiver(self, row: Delivery) -> Any:
        """Whom."""
        return receiver_of(row)

    @admin.display(description=_("state"))
    def state(self, row: Delivery) -> SafeString:
        """How far it has come."""
        return display.state_of(row)

    @admin.display(description=_("at"))
    def created(self, row: Delivery) -> SafeString | str:
        """When it became due first."""
        return display.moment(row.created_at)

    @admin.display(description=_("error"))
    def error_shown(self, row: Delivery) -> str:
        """What went wrong last."""
        return row.error or display.NOTHING

    def heading(self, row: Delivery) -> str:
        """What happened."""
        return row.notice.topic

    def badge(self, row: Delivery) -> SafeString:
        """How far it has come."""
        return display.state_of(row)

    def sections(self, _request: HttpRequest, row: Delivery) -> Sequence[Section]:
        """To whom, what was said, what came of it."""
        message, said = texts.message_of(row.notice), digests.message_of(row.told_with or row)
        waits = row.status == NotificationState.DUE
        return [
            Facts(
                _("Delivery"),
                [
                    (_("to"), receiver_of(row)),
                    (_("by"), row.get_kind_display()),
                    (_("in the message of"), display.row_link(row.told_with) if row.told_with else display.NOTHING),
                    (_("attempts"), row.attempts),
                    (_("next attempt"), display.moment(row.next_attempt_at) if waits else display.NOTHING),
                    (_("given up at the latest"), display.moment(row.deadline_at)),
                    (_("error"), row.error or display.NOTHING),
                    (_("the receiver's answer"), self._answer(row)),
                    (_("seconds it took"), row.seconds if row.seconds is not None else display.NOTHING),
                    (_("ended"), display.moment(row.ended_at)),
                    (_("message id"), display.code(f"msg_{row.pk.hex}")),
                ],
            ),
            Fragment("console/sections/text.html", _("What is said"), {"text": texts.as_plain(said)}),
            Facts(
                _("Event"),
                [
                    (_("about"), display.link(message.url.removeprefix(settings.PUBLIC_URL), message.title)),
                    (_("severity"), message.severity_label),
                    (_("happened"), display.moment(row.notice.happened_at)),
                    (_("facts"), display.plain(row.notice.data)),
                ],
            ),
        ]

    @staticmethod
    def _answer(row: Delivery) -> str:
        return " ".join(str(part) for part in (row.answer_status, row.answer) if part) or display.NOTHING
