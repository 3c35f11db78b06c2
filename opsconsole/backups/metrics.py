"""What Prometheus is told of backups."""

from __future__ import annotations

import math

from opsconsole.backups.states import BackupState
from opsconsole.core.metrics import Fact, Samples, number, register, rows

_LIVE = "status in ('queued', 'dumping', 'checking')"


def _by_state() -> Samples:
    counted = dict(rows("select status, count(*) from ops_backups group by 1"))
    return [((state,), float(counted.get(state, 0))) for state in BackupState.values]


def _age() -> Samples:
    age = rows("select extract(epoch from now() - max(ended_at)) from ops_backups where status = 'verified'")[0][0]
    return [((), math.inf if age is None else float(age))]


register(
    Fact("ops_backups", "Backups by state; ended ones since the beginning.", "gauge", ("status",), _by_state),
    Fact(
        "ops_backup_age_seconds",
        "Time since the newest backup that a trial restore has proven; infinite when there is none.",
        "gauge",
        (),
        _age,
    ),
    Fact(
        "ops_backup_live_seconds",
        "How long the backup that is not over yet has waited and been worked on.",
        "gauge",
        (),
        lambda: number(f"select extract(epoch from now() - min(asked_at)) from ops_backups where {_LIVE}"),
    ),
    Fact(
        "ops_backup_overdue",
        "Backups that should have ended: past their deadline, or left by whoever worked on them.",
        "gauge",
        (),
        lambda: number(
            f"select count(*) from ops_backups where {_LIVE}"
            " and (deadline_at <= now() or (lease_until <= now() and status <> 'queued'))"
        ),
    ),
    Fact(
        "ops_backup_scratch_left",
        "Scratch databases of trial restores that are over and not dropped yet.",
        "gauge",
        (),
        lambda: number(f"select count(*) from ops_backups where scratch <> '' and not ({_LIVE})"),
    ),
)
