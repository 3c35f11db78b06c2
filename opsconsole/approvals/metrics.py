"""What Prometheus is told of approvals: live figures from partial indexes, totals from the rollup `approvals_waits`."""

from __future__ import annotations

from opsconsole.approvals.states import WAITING_REVIEWS
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
    select a.action, coalesce(w.decided, 0), coalesce(w.seconds, 0)
    from actions a left join approvals_waits w using (action) order by 1
"""


def _pending() -> Samples:
    return [((action,), float(pending)) for action, pending in rows(_BY_ACTION)]


def _waits() -> Samples:
    return [((action,), (float(decided), float(seconds))) for action, decided, seconds in rows(_WAITS)]


def _reviews() -> Samples:
    counted = dict(
        rows("select status, count(*) from approvals_reviews where status in ('open', 'overdue') group by 1")
    )
    return [((state,), float(counted.get(state, 0))) for state in WAITING_REVIEWS]


register(
    Fact(
        "ops_break_glass_reviews_overdue",
        "Reviews after the fact, of break-glass and of what policies ask for, that were not answered in their day.",
        "gauge",
        (),
        lambda: number(
            "select count(*) from approvals_reviews where status in ('open', 'overdue') and due_at <= clock_timestamp()"
        ),
    ),
    Fact(
        "ops_reviews_waiting", "Reviews after the fact that wait for people, by status.", "gauge", ("status",), _reviews
    ),
    Fact(
        "ops_approvals_pending",
        "Requests that wait for approvals, by action.",
        "gauge",
        ("action",),
        _pending,
    ),
    Fact(
        "ops_approvals_oldest_pending_seconds",
        "How long the oldest pending request has waited.",
        "gauge",
        (),
        lambda: number(_OLDEST),
    ),
    Fact(
        "ops_approval_wait_seconds",
        "Seconds that decided requests had waited until first approved or rejected.",
        "summary",
        ("action",),
        _waits,
    ),
)
