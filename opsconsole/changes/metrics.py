"""What Prometheus is told of changes: live figures from a partial index."""

from __future__ import annotations

from opsconsole.changes.kinds.base import registered
from opsconsole.changes.states import OPEN
from opsconsole.core.metrics import Fact, Samples, number, register, rows

_LIVE = ", ".join(f"'{state}'" for state in OPEN)
_WAITING = f"select kind, status, count(*) from ops_changes where status in ({_LIVE}) group by 1, 2"
_OLDEST = f"select extract(epoch from clock_timestamp() - min(created_at)) from ops_changes where status in ({_LIVE})"


def _waiting() -> Samples:
    counted = {(kind, status): waiting for kind, status, waiting in rows(_WAITING)}
    kinds = sorted({kind.name for kind in registered()} | {kind for kind, _status in counted})
    return [((kind, status), float(counted.get((kind, status), 0))) for kind in kinds for status in OPEN]


register(
    Fact(
        "ops_changes_waiting",
        "Changes that were asked for and have not ended, by kind and status.",
        "gauge",
        ("kind", "status"),
        _waiting,
    ),
    Fact(
        "ops_changes_oldest_waiting_seconds",
        "How long the oldest change that has not ended has waited.",
        "gauge",
        (),
        lambda: number(_OLDEST),
    ),
)
