"""The figures of the plans runbook against their targets, and the same over time for charts.

Each is one set-based query over an index and a bounded stretch of time, so the front page stays quick however long
the console has run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from opsconsole.core.texts import Text

DAYS: Final = 30
WEEK: Final = 7
# The runbook's targets.
PLANS_A_DAY: Final = 10
SUCCESS: Final = 0.95
APPROVED_WITHIN: Final = timedelta(hours=4)
WAITING: Final = 5


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure: what it is called, its value (None where there is nothing to measure), and what it should be."""

    name: str
    title: Text
    value: float | None
    unit: str  # count, share (0 to 1), seconds
    target: Text
    met: bool | None


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: a value for each day, the oldest first."""

    name: str
    values: list[float]


def kpis() -> list[Kpi]:
    """The runbook's four, over the last seven days; waiting plans as they are now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*)::float8 / %s from ops_plans where created_at >= now() - make_interval(days => %s)",
            [WEEK, WEEK],
        )
        created = float(cursor.fetchone()[0])
        cursor.execute(
            """
            select count(*) filter (where status = 'succeeded'), count(*) filter (where status <> 'cancelled')
            from ops_plan_runs
            where run_at >= now() - make_interval(days => %s) and direction = 'execute'
              and status in ('succeeded', 'partial', 'failed', 'cancelled')
            """,
            [WEEK],
        )
        succeeded, ended = cursor.fetchone()
        cursor.execute(
            """
            select extract(epoch from avg(decided_at - created_at)) from approvals_requests
            where created_at >= now() - make_interval(days => %s) and decided_at is not null
            """,
            [WEEK],
        )
        waited = cursor.fetchone()[0]
        cursor.execute("select count(*) from ops_plans where status = 'staged'")
        waiting = int(cursor.fetchone()[0])
    rate = succeeded / ended if ended else None
    seconds = None if waited is None else float(waited)
    return [
        Kpi("created", _("Plans created a day"), created, "count", _("more than 10"), created > PLANS_A_DAY),
        Kpi(
            "success",
            _("Runs that succeed"),
            rate,
            "share",
            _("more than 95 %"),
            None if rate is None else rate > SUCCESS,
        ),
        Kpi(
            "approval",
            _("Mean time to approve"),
            seconds,
            "seconds",
            _("under 4 hours"),
            None if seconds is None else seconds < APPROVED_WITHIN.total_seconds(),
        ),
        Kpi("waiting", _("Plans that wait"), float(waiting), "count", _("fewer than 5"), waiting < WAITING),
    ]


def runs_by_day() -> tuple[list[date], list[Series]]:
    """How many runs ended well and badly on each of the last thirty days."""
    return _by_day(
        """
        select d.day::date, count(r.*) filter (where r.status = 'succeeded'),
          count(r.*) filter (where r.status in ('failed', 'partial'))
        from generate_series(%(first)s::date, %(last)s::date, interval '1 day') as d (day)
          left join ops_plan_runs r on r.run_at >= d.day and r.run_at < d.day + interval '1 day'
        group by 1 order by 1
        """,
        ["succeeded", "failed"],
    )


def plans_by_day() -> tuple[list[date], list[Series]]:
    """How many plans were drafted on each of the last thirty days."""
    return _by_day(
        """
        select d.day::date, count(p.*)
        from generate_series(%(first)s::date, %(last)s::date, interval '1 day') as d (day)
          left join ops_plans p on p.created_at >= d.day and p.created_at < d.day + interval '1 day'
        group by 1 order by 1
        """,
        ["created"],
    )


def _by_day(query: str, names: list[str]) -> tuple[list[date], list[Series]]:
    with connection.cursor() as cursor:
        cursor.execute("select (now() at time zone 'utc')::date")
        last = cursor.fetchone()[0]
        cursor.execute(query, {"first": last - timedelta(days=DAYS - 1), "last": last})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return [row[0] for row in rows], [
        Series(name, [float(row[place]) for row in rows]) for place, name in enumerate(names, start=1)
    ]
