"""What is in a database: its tables with their rows, its objects, and the sums that the domains named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from psycopg import Connection, sql

from opsconsole.backups import figures
from opsconsole.backups.figures import Figure

# Partitions are counted, what they are partitions of is not; tables of extensions are made by their extensions.
_TABLES: Final = """
    select n.nspname, c.relname
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema')
      and n.nspname !~ '^pg_toast'
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
        and d.deptype = 'e')
    order by 1, 2
"""


def _counted(what: str, oid: str, where: str = "true") -> str:
    """How many of these objects there are, without those that an extension makes."""
    return f"""
        select count(*) from {what}
        where {where} and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
          and not exists (select from pg_depend d where d.objid = {oid} and d.deptype = 'e')
    """


_TRIGGERS: Final = "pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace"
_CONSTRAINTS: Final = "pg_constraint k join pg_namespace n on n.oid = k.connamespace"
_FUNCTIONS: Final = "pg_proc f join pg_namespace n on n.oid = f.pronamespace"
_CLASSES: Final = "pg_class c join pg_namespace n on n.oid = c.relnamespace"
OBJECTS: Final = (
    Figure("triggers", _("triggers"), _counted(_TRIGGERS, "t.oid", "not t.tgisinternal")),
    Figure("constraints", _("constraints"), _counted(_CONSTRAINTS, "k.oid")),
    Figure("functions", _("functions"), _counted(_FUNCTIONS, "f.oid")),
    Figure("indexes", _("indexes"), _counted(_CLASSES, "c.oid", "c.relkind in ('i', 'I')")),
    Figure("views", _("views"), _counted(_CLASSES, "c.oid", "c.relkind in ('v', 'm')")),
    Figure(
        "journal_head",
        _("newest checkpoint of the journal"),
        "select coalesce((select size || ' ' || encode(root, 'hex') from journal_checkpoints"
        " order by size desc limit 1), '0')",
    ),
)
figures.register(*OBJECTS)


@dataclass(frozen=True, slots=True)
class Census:
    """Rows by table, and values by the name of their figure."""

    counts: dict[str, int] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)


def tables(connection: Connection[Any]) -> list[tuple[str, str]]:
    """Every table whose rows a dump holds, as schema and name."""
    return list(connection.execute(_TABLES).fetchall())


def take(connection: Connection[Any], *, tick: Callable[[], None]) -> Census:
    """Count everything in the connection's own view of the database."""
    found = Census()
    for schema, name in tables(connection):
        tick()
        statement = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))
        found.counts[name if schema == "public" else f"{schema}.{name}"] = _value(connection, statement)
    for figure in figures.registered():
        tick()
        found.figures[figure.name] = str(_value(connection, sql.SQL(figure.sql)))
    return found


def differences(wanted: Census, found: Census) -> list[str]:
    """What is not the same, in words; nothing where all is."""
    said = [f"the table {name} is missing" for name in sorted(wanted.counts.keys() - found.counts.keys())]
    said += [f"there is a table {name}, which there was not" for name in sorted(found.counts.keys() - wanted.counts)]
    said += [
        f"{name} has {found.counts[name]} rows instead of {rows}"
        for name, rows in sorted(wanted.counts.items())
        if name in found.counts and found.counts[name] != rows
    ]
    said += [
        f"{name} is {found.figures.get(name)} instead of {value}"
        for name, value in sorted(wanted.figures.items())
        if found.figures.get(name) != value
    ]
    return said


def _value(connection: Connection[Any], statement: sql.SQL | sql.Composed) -> Any:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]
