"""Workers: what they have done, and whether they are alive."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from loyalty.states import TierMove
from opsconsole.runbooks.database import INSPECT
from opsconsole.runbooks.diagnostics import Column, Diagnostic, Shown
from opsconsole.runbooks.facts import slowest, values_of_fact

EXECUTIONS: Final = values_of_fact(
    name="worker-executions",
    label=_("What the workers of loyalty have done, as Prometheus is told"),
    permission="loyalty.view_campaign",
    fact="loyalty_worker_executions_total",
)

ALIVE: Final = Diagnostic(
    name="workers",
    label=_("Workers and the scheduler"),
    permission=INSPECT,
    columns=[
        Column("name", _("process"), Shown.CODE),
        Column("kind", _("kind")),
        Column("queues", _("queues")),
        Column("started_at", _("started"), Shown.MOMENT),
        Column("beat_at", _("last heard"), Shown.MOMENT),
        Column("alive", _("alive"), Shown.FLAG),
    ],
    sql="""
        select name, kind, queues, started_at, beat_at, beat_at > now() - interval '30 seconds' as alive
        from core_worker_heartbeats
        order by kind, name
    """,
    empty=_("No worker has ever been heard of: nothing will be executed."),
)

UPGRADES: Final = Diagnostic(
    name="tier-upgrades-today",
    label=_("Changes of tier today"),
    permission="loyalty.view_tiersnapshot",
    columns=[Column("upgrades_today", _("today"), Shown.NUMBER)],
    sql="select count(*) as upgrades_today from loyalty_tier_snapshots where created_at >= current_date",
)

MOVES: Final = Diagnostic(
    name="tier-moves-today",
    label=_("The same by program and direction"),
    permission="loyalty.view_tiersnapshot",
    columns=[
        Column("program", _("program")),
        Column("move", _("direction"), Shown.STATE, dict(TierMove.choices)),
        Column("members", _("members"), Shown.NUMBER),
        Column("last", _("the last one"), Shown.MOMENT),
    ],
    sql="""
        select p.name as program, s.move, count(*) as members, max(s.created_at) as last
        from loyalty_tier_snapshots s join loyalty_programs p on p.id = s.program_id
        where s.created_at >= current_date
        group by p.name, s.move
        order by p.name, s.move
    """,
    empty=_("Nobody has changed tier today."),
)

SLOWEST: Final = slowest(
    name="slowest-endpoints",
    label=_("The five slowest endpoints of loyalty"),
    permission=INSPECT,
    histogram="loyalty_api_latency_seconds",
    by="route",
    most=5,
)

DIAGNOSTICS: Final = (EXECUTIONS, ALIVE, UPGRADES, MOVES, SLOWEST)
