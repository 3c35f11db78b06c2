"""Questions about the database itself, for the runbooks of any domain: sessions, tables, triggers, migrations."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from opsconsole.runbooks.diagnostics import Column, Diagnostic, Shown
from opsconsole.runbooks.parameters import Parameter, ParameterKind

INSPECT: Final = "runbooks.view_database"

SECONDS: Final = Parameter("seconds", _("longer than, in seconds"), ParameterKind.INT, default="1", most=86_400)

CONNECTION: Final = Diagnostic(
    name="database-answers",
    label=_("The database answers"),
    permission=INSPECT,
    columns=[
        Column("now", _("its clock"), Shown.MOMENT),
        Column("database", _("database")),
        Column("version", _("version")),
        Column("started", _("up since"), Shown.MOMENT),
        Column("read_only", _("read only"), Shown.FLAG),
    ],
    sql="""
        select now() as now, current_database()::text as database, current_setting('server_version') as version,
               pg_postmaster_start_time() as started, pg_is_in_recovery() as read_only
    """,
)

SLOW_QUERIES: Final = Diagnostic(
    name="slow-queries",
    label=_("Queries that run now"),
    permission=INSPECT,
    parameters=[SECONDS],
    columns=[
        Column("pid", _("process"), Shown.NUMBER),
        Column("usename", _("role")),
        Column("application_name", _("application")),
        Column("state", _("state")),
        Column("query_start", _("since"), Shown.MOMENT),
        Column("duration", _("duration"), Shown.SPAN),
        Column("query", _("query"), Shown.CODE),
    ],
    # clock_timestamp: now() is when this very transaction began, and a query may be younger.
    sql="""
        select pid, usename::text, application_name, state, query_start,
               clock_timestamp() - query_start as duration, left(query, 1000) as query
        from pg_stat_activity
        where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()
          and clock_timestamp() - query_start > %(seconds)s * interval '1 second'
        order by duration desc
    """,
    empty=_("Nothing runs longer than that."),
)

CONNECTIONS: Final = Diagnostic(
    name="connections",
    label=_("Connections to the database"),
    permission=INSPECT,
    columns=[
        Column("active_connections", _("connections"), Shown.NUMBER),
        Column("running", _("of these at work"), Shown.NUMBER),
        Column("idle_in_transaction", _("idle inside a transaction"), Shown.NUMBER),
        Column("waiting", _("waiting for a lock"), Shown.NUMBER),
        Column("most", _("allowed at most"), Shown.NUMBER),
    ],
    sql="""
        select count(*) as active_connections,
               count(*) filter (where state = 'active') as running,
               count(*) filter (where state like 'idle in transaction%%') as idle_in_transaction,
               count(*) filter (where wait_event_type = 'Lock') as waiting,
               current_setting('max_connections')::int as most
        from pg_stat_activity
        where datname = current_database()
    """,
)

MIGRATIONS: Final = Diagnostic(
    name="migrations",
    label=_("Migrations, the newest first"),
    permission=INSPECT,
    columns=[
        Column("app", _("app")),
        Column("name", _("migration")),
        Column("applied", _("applied"), Shown.MOMENT),
    ],
    sql="select app, name, applied from django_migrations order by applied desc, id desc limit 50",
)


KINDS: Final = {"base table": _("table"), "view": _("view")}


def tables_of(prefix: str) -> Diagnostic:
    """The tables and views whose names begin so, with their size on disk."""
    return Diagnostic(
        name="tables",
        label=_("Tables"),
        permission=INSPECT,
        columns=[
            Column("table_name", _("table"), Shown.CODE),
            Column("kind", _("kind"), Shown.STATE, KINDS),
            Column("rows", _("rows, about"), Shown.NUMBER),
            Column("size", _("size on disk")),
        ],
        sql=f"""
            select t.table_name::text, lower(t.table_type) as kind,
                   case when c.relkind <> 'v' then nullif(c.reltuples, -1)::bigint end as rows,
                   case when c.relkind <> 'v' then pg_size_pretty(pg_total_relation_size(c.oid)) end as size
            from information_schema.tables t
            join pg_class c on c.oid = format('%%I.%%I', t.table_schema, t.table_name)::regclass
            where t.table_schema = 'public' and t.table_name like '{prefix}%%'
            order by t.table_name
        """,
        empty=_("There are none: the migrations have not been run."),
    )


def triggers_on(prefix: str) -> Diagnostic:
    """The triggers of those tables."""
    # information_schema.triggers shows a role only the triggers of tables that it owns or may write.
    return Diagnostic(
        name="triggers",
        label=_("Triggers"),
        permission=INSPECT,
        columns=[
            Column("trigger_name", _("trigger"), Shown.CODE),
            Column("event_manipulation", _("on")),
            Column("event_object_table", _("table"), Shown.CODE),
        ],
        sql=f"""
            select trigger_name::text, event_manipulation::text, event_object_table::text
            from information_schema.triggers
            where trigger_schema = 'public' and event_object_table like '{prefix}%%'
            order by event_object_table, trigger_name, event_manipulation
        """,
        empty=_("There are none: the migrations have not been run, or not by the owner."),
    )
