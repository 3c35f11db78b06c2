"""Workers that say they are alive, and events on their way to whoever listens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.filters import Since
from opsconsole.core.admin.pages import Column, Facts, Section, Table
from opsconsole.core.models import DeliveryState, OutboxEvent, WorkerHeartbeat
from opsconsole.core.texts import Text

SILENT_AFTER: Final = timedelta(seconds=30)


def health_of(heartbeat: WorkerHeartbeat) -> SafeString:
    """Whether the process has said lately that it is alive."""
    if timezone.now() - heartbeat.beat_at > SILENT_AFTER:
        return display.state_label("silent", _("silent"))
    return display.state_label("alive", _("alive"))


@admin.register(WorkerHeartbeat)
class HeartbeatAdmin(ConsoleAdmin[WorkerHeartbeat]):
    """Workers and schedulers."""

    list_display = ("name", "kind", "queues", "health", "last_beat", "started")
    list_filter = ("kind",)
    ordering = ("-beat_at",)

    def visible(self, actor: Actor) -> QuerySet[WorkerHeartbeat]:
        """All, for those who may see any."""
        actor.require("core.view_workerheartbeat")
        return WorkerHeartbeat.objects.all()

    @admin.display(description=_("state"))
    def health(self, heartbeat: WorkerHeartbeat) -> SafeString:
        """Alive or silent."""
        return health_of(heartbeat)

    @admin.display(description=_("last heard"))
    def last_beat(self, heartbeat: WorkerHeartbeat) -> SafeString | str:
        """When it last said so."""
        return display.moment(heartbeat.beat_at)

    @admin.display(description=_("started"))
    def started(self, heartbeat: WorkerHeartbeat) -> SafeString | str:
        """Since when it runs."""
        return display.moment(heartbeat.started_at)

    def badge(self, row: WorkerHeartbeat) -> SafeString:
        """Alive or silent."""
        return health_of(row)

    def sections(self, _request: HttpRequest, row: WorkerHeartbeat) -> Sequence[Section]:
        """What it said."""
        return [
            Facts(
                _("Process"),
                [
                    (_("kind"), row.kind),
                    (_("queues"), row.queues or display.NOTHING),
                    (_("started"), display.moment(row.started_at)),
                    (_("last heard"), display.moment(row.beat_at)),
                ],
            )
        ]


STATES: Final[dict[DeliveryState, Text]] = {
    DeliveryState.DUE: _("not delivered yet"),
    DeliveryState.DELIVERED: _("delivered"),
    DeliveryState.DEAD: _("given up"),
}


@admin.register(OutboxEvent)
class OutboxEventAdmin(ConsoleAdmin[OutboxEvent]):
    """Events, with how far their delivery has come."""

    list_display = ("topic", "subject", "deliveries_made", "created")
    list_filter = (Since.by("created_at"),)
    ordering = ("-created_at", "-id")

    def visible(self, actor: Actor) -> QuerySet[OutboxEvent]:
        """All, for those who may see any."""
        actor.require("core.view_outboxevent")
        return OutboxEvent.objects.prefetch_related("deliveries")

    @admin.display(description=_("about"))
    def subject(self, event: OutboxEvent) -> str:
        """What it is about."""
        return f"{display.word(event.subject_kind)} {event.subject_id}"

    @admin.display(description=_("delivered"))
    def deliveries_made(self, event: OutboxEvent) -> str:
        """How many listeners have it."""
        deliveries = event.deliveries.all()
        return f"{sum(one.status == DeliveryState.DELIVERED for one in deliveries)} / {len(deliveries)}"

    @admin.display(description=_("at"))
    def created(self, event: OutboxEvent) -> SafeString | str:
        """When it happened."""
        return display.moment(event.created_at)

    def heading(self, row: OutboxEvent) -> str:
        """Its topic."""
        return row.topic

    def sections(self, _request: HttpRequest, row: OutboxEvent) -> Sequence[Section]:
        """What happened, and who was told."""
        return [
            Facts(
                _("Event"),
                [
                    (_("about"), self.subject(row)),
                    (_("at"), display.moment(row.created_at)),
                    (_("data"), display.plain(row.data)),
                ],
            ),
            Table(
                _("Deliveries"),
                [_("listener"), _("state"), Column(_("attempts"), right=True), _("next attempt"), _("error")],
                [
                    [
                        delivery.listener,
                        display.state_label(delivery.status, STATES[DeliveryState(delivery.status)]),
                        delivery.attempts,
                        display.moment(delivery.next_attempt_at)
                        if delivery.status == DeliveryState.DUE
                        else display.NOTHING,
                        delivery.error or display.NOTHING,
                    ]
                    for delivery in row.deliveries.all()
                ],
                empty=_("Nobody listens to this."),
            ),
        ]
