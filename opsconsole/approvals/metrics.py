"""What Prometheus is told of approvals: live figures from partial indexes, totals from the rollup `approvals_waits`."""

from __future__ import annotations

from opsconsole.core.metrics import Fact, Samples, number, register, rows

_BY_ACTION = """
    with actions as (select action from approvals_policies union select action from approvals_waits)
    select a.action, count(r.id) from actions a
      left join approvals_requests r on r.action = a.action and r.status = 'pending'
    group by a.action order by a.action
"""
_OLDEST = (
    "select extract(epoch from clock_timestamp() - min(created_at)) from approvals_requests where status = 'pending'"
)
_WAITS = """
    with actions as (select distinct action from approvals_policies union select action from approvals_waits)
    select a.action, coalesce(w.{column}, 0) from actions a left join approvals_waits w using (action) order by 1
"""


def _labelled(query: str) -> Samples:
    return [((str(action),), float(value)) for action, value in rows(query)]


register(
    Fact(
        "ops_approvals_pending",
        "Requests that wait for approvals, by action.",
        "gauge",
        ("action",),
        lambda: _labelled(_BY_ACTION),
    ),
    Fact(
        "ops_approvals_oldest_pending_seconds",
        "How long the oldest pending request has waited.",
        "gauge",
        (),
        lambda: number(_OLDEST),
    ),
    # Sum and count of one summary, each a series of its own: a rate of one over a rate of the other is the mean.
    Fact(
        "ops_approval_wait_seconds_sum",
        "Seconds that decided requests had waited until first approved or rejected, added up.",
        "gauge",
        ("action",),
        lambda: _labelled(_WAITS.format(column="seconds")),
    ),
    Fact(
        "ops_approval_wait_seconds_count",
        "Requests that were decided.",
        "gauge",
        ("action",),
        lambda: _labelled(_WAITS.format(column="decided")),
    ),
)
