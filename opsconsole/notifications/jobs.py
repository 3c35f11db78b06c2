"""What is done of itself: fan events out, send what is due, remind, give up, tidy."""

from __future__ import annotations

from datetime import timedelta

from opsconsole.core.actors import SYSTEM
from opsconsole.core.models import OutboxEvent
from opsconsole.core.queue import enqueue
from opsconsole.core.schedule import periodic
from opsconsole.notifications import selectors, sending
from opsconsole.notifications.services import deliveries, fanout

SWEEPER = SYSTEM("notifications-sweeper")
AT_ONCE = 200


def fan_out(event: OutboxEvent) -> None:
    """Listen to every event of the outbox."""
    fanout.fan_out(event_id=event.pk, actor=sending.SENDER)


def send_due() -> None:
    """Send what is due; on a queue of its own, since a receiver may take its time."""
    sending.send_due()


@periodic(every=timedelta(seconds=5))
def sweep_deliveries() -> None:
    """Wake a worker for what is due and whose wake-up was lost; give up what is past its deadline."""
    deliveries.give_up_overdue(most=AT_ONCE, actor=SWEEPER)
    if selectors.work_waits():
        enqueue("opsconsole.notifications.jobs.send_due", queue="notifications")


@periodic(every=timedelta(seconds=60))
def remind_of_requests() -> int:
    """Remind of requests that end soon and still wait; returns of how many."""
    waiting = selectors.requests_near_their_end()
    return sum(fanout.remind(request_id=request.pk, actor=SWEEPER) for request in waiting)


@periodic(every=timedelta(hours=1))
def tidy() -> None:
    """Drop what ended long ago."""
    deliveries.drop_old(actor=SWEEPER)
