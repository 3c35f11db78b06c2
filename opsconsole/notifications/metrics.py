"""What Prometheus is told of notifications: states from a tally, ages from partial indexes."""

from __future__ import annotations

from opsconsole.core.metrics import Fact, Samples, number, register, rows
from opsconsole.notifications.states import ChannelKind, NotificationState

_OLDEST = (
    "select extract(epoch from clock_timestamp() - min(created_at)) from notifications_deliveries"
    " where status in ('due', 'sending')"
)


def _deliveries() -> Samples:
    counted = {
        (status, kind): count for kind, status, count in rows("select kind, status, count from notifications_totals")
    }
    return [
        ((state, kind), float(counted.get((state, kind), 0)))
        for state in NotificationState.values
        for kind in ChannelKind.values
    ]


register(
    Fact(
        "ops_notification_deliveries",
        "Notifications by state and kind of channel; delivered ones since the beginning.",
        "gauge",
        ("state", "kind"),
        _deliveries,
    ),
    Fact(
        "ops_notification_oldest_seconds",
        "How long the oldest notification that was not delivered yet has waited.",
        "gauge",
        (),
        lambda: number(_OLDEST),
    ),
    Fact(
        "ops_notification_dead",
        "Notifications that were given up and that nobody has sent again.",
        "gauge",
        (),
        lambda: number("select sum(count) from notifications_totals where status = 'dead'"),
    ),
    Fact(
        "ops_notification_endpoints_resting",
        "Endpoints in trouble, to which nothing is sent for a while.",
        "gauge",
        (),
        lambda: number("select count(*) from notifications_lanes where open_until > now()"),
    ),
)
