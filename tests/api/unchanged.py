"""That a refused call changed nothing: every row of every table, counted and hashed, before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Fingerprint = dict[str, tuple[int, str]]
Ask = Callable[[str], list[tuple[Any, ...]]]

# What processes write by being alive is nobody's call.
ALIVE = frozenset({"core_worker_heartbeats"})


def fingerprint(ask: Ask) -> Fingerprint:
    """Rows and a hash over all of them, by table; `ask` runs a query as someone who may read everything."""
    tables = ask(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition order by 1"
    )
    wanted = [name for (name,) in tables if name not in ALIVE]
    query = " union all ".join(
        f"select '{name}', count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text from {name} t"
        for name in wanted
    )
    return {name: (count, digest) for name, count, digest in ask(query)}


def changed(before: Fingerprint, after: Fingerprint) -> dict[str, tuple[tuple[int, str], tuple[int, str]]]:
    """The tables that differ, with how they were and how they are."""
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


@contextmanager
def unchanged(ask: Ask) -> Iterator[None]:
    """Nothing in the database may have changed when the block ends; the journal has no new entry either."""
    before = fingerprint(ask)
    yield
    assert changed(before, fingerprint(ask)) == {}
