"""What Prometheus is told about incidents and the daily checklist."""

from __future__ import annotations

from opsconsole.core.metrics import Fact, Samples, number, register, rows
from opsconsole.monitoring.checklist import ITEMS
from opsconsole.monitoring.states import LIVE, Severity, Verdict


def _incidents() -> Samples:
    counted = {
        (severity, status): n
        for severity, status, n in rows(
            "select severity, status, count(*) from ops_incidents"
            " where status in ('open', 'acknowledged') group by 1, 2"
        )
    }
    for severity in Severity:
        for state in LIVE:
            yield (severity.value, state.value), float(counted.get((severity.value, state.value), 0))


def _checks() -> Samples:
    today = dict(rows("select item, verdict from ops_checks where day = (now() at time zone 'utc')::date"))
    for item in ITEMS:
        yield (item.name,), float(today.get(item.name) == Verdict.GOOD)


register(
    Fact("ops_incidents", "Live incidents by severity and status.", "gauge", ("severity", "status"), _incidents),
    Fact(
        "ops_incident_oldest_open_seconds",
        "Age of the oldest incident that nobody has taken up.",
        "gauge",
        (),
        lambda: number("select extract(epoch from now() - min(opened_at)) from ops_incidents where status = 'open'"),
    ),
    Fact("ops_check_in_order", "1 where an item of today's checklist is in order.", "gauge", ("item",), _checks),
)
