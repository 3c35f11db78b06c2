"""Channels: what goes where, and the buttons of whoever manages them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.changes.admin.requesting import open_changes
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.pages import Facts, Link, Notice, Section, Table
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.notifications import access
from opsconsole.notifications.admin.channel_buttons import (
    ADD_CHANNEL,
    EditChannel,
    EditSecret,
    Remove,
    RetryDead,
    SendTest,
    SwitchOff,
    SwitchOn,
)
from opsconsole.notifications.admin.shown import delivery_row, delivery_table, patterns_of
from opsconsole.notifications.models import Channel, Delivery, Lane, Subscription
from opsconsole.notifications.selectors import mail_is_set_up
from opsconsole.notifications.states import ChannelKind, NotificationState

LAST = 10


def state_of(channel: Channel) -> SafeString:
    """On or off."""
    return display.state_label("active", _("on")) if channel.active else display.label(_("off"))


def _counted(rows: QuerySet[Any]) -> Coalesce:
    """How many there are, asked by itself: joined, deliveries would be counted once for each subscription."""
    return Coalesce(Subquery(rows.order_by().values("channel").annotate(many=Count("pk")).values("many")), 0)


@admin.register(Channel)
class ChannelAdmin(ConsoleAdmin[Channel]):
    """Channels by name."""

    list_display = ("name", "kind", "state", "target_shown", "subscribed", "given_up")
    list_filter = ("kind", "active")
    ordering = ("name",)
    row_actions = (SendTest(), EditChannel(), EditSecret(), RetryDead(), SwitchOff(), SwitchOn(), Remove())

    def visible(self, actor: Actor) -> QuerySet[Channel]:
        """The channels the actor may see."""
        return access.visible_channels(actor)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        """With how many subscriptions they have, and how much was given up."""
        return (
            super()
            .get_queryset(request)
            .annotate(
                subscriptions_made=_counted(Subscription.objects.filter(channel=OuterRef("pk"))),
                dead=_counted(Delivery.objects.filter(channel=OuterRef("pk"), status=NotificationState.DEAD)),
            )
        )

    def list_actions(self) -> Sequence[Action[None]]:
        """One for each kind."""
        return ADD_CHANNEL

    @admin.display(description=_("state"))
    def state(self, channel: Channel) -> SafeString:
        """On or off."""
        return state_of(channel)

    @admin.display(description=_("target"))
    def target_shown(self, channel: Channel) -> str:
        """Without what must stay secret."""
        return channel.shown_target

    @admin.display(description=_("subscriptions"))
    def subscribed(self, channel: Channel) -> str:
        """How many send through it."""
        return display.number(channel.subscriptions_made)  # type: ignore[attr-defined] # annotated

    @admin.display(description=_("given up"))
    def given_up(self, channel: Channel) -> SafeString | str:
        """How many could not be delivered."""
        dead: int = channel.dead  # type: ignore[attr-defined] # annotated
        return display.label(display.number(dead), "bad") if dead else display.NOTHING

    def badge(self, row: Channel) -> SafeString:
        """On or off."""
        return state_of(row)

    def sections(self, request: HttpRequest, row: Channel) -> Sequence[Section]:
        """Where it leads, what goes there, what came of it."""
        last = Delivery.objects.filter(channel=row).select_related("notice", "channel", "user")
        return [
            *open_changes(row),
            *self._trouble(row),
            Facts(
                _("Channel"),
                [
                    (_("kind"), row.get_kind_display()),
                    (_("target"), row.shown_target),
                    (_("SHA-256 of the target"), display.short(row.target_sha256)),
                    (_("signed"), self._signed(row)),
                    (_("since"), display.moment(row.created_at)),
                ],
            ),
            Table(
                _("What goes there"),
                [_("for the role"), _("events"), _("from")],
                [
                    [display.row_link(one, one.role), patterns_of(one), one.get_minimum_display()]
                    for one in row.subscriptions.order_by("role", "pk")
                ],
                empty=_("Nothing: no subscription names this channel."),
            ),
            delivery_table(
                _("Last deliveries"),
                [delivery_row(one) for one in last.order_by("-created_at", "-pk")[:LAST]],
                more=Link(display.list_url(Delivery, channel__id__exact=row.pk), _("All deliveries")),
            ),
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of(Channel._meta.db_table, row.pk)),
        ]

    @staticmethod
    def _trouble(row: Channel) -> list[Section]:
        found: list[Section] = []
        if row.kind == ChannelKind.EMAIL and not mail_is_set_up():
            found.append(Notice(_("EMAIL_URL is not set, so nobody is told by e-mail."), "warn"))
        lane = Lane.objects.filter(pk=row.lane).first()
        if lane is not None and lane.open_until is not None and lane.open_until > timezone.now():
            said = _("The receiver is in trouble and left alone until %(time)s UTC: %(error)s") % {
                "time": f"{lane.open_until:%H:%M:%S}",
                "error": lane.error,
            }
            found.append(Notice(said, "warn"))
        return found

    @staticmethod
    def _signed(row: Channel) -> object:
        if row.kind != ChannelKind.WEBHOOK:
            return _("no")
        if row.old_secret and row.old_secret_until and row.old_secret_until > timezone.now():
            return _("by the new secret, and until %(time)s UTC by the old one as well") % {
                "time": f"{row.old_secret_until:%Y-%m-%d %H:%M}"
            }
        return _("yes, after Standard Webhooks")
