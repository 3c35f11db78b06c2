"""The database under loyalty."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from opsconsole.runbooks.database import (
    CONNECTION,
    CONNECTIONS,
    INSPECT,
    MIGRATIONS,
    SLOW_QUERIES,
    tables_of,
    triggers_on,
)
from opsconsole.runbooks.diagnostics import Column, Diagnostic, Shown

READS: Final = Diagnostic(
    name="table-reads",
    label=_("How the tables of loyalty are read"),
    permission=INSPECT,
    columns=[
        Column("table_name", _("table"), Shown.CODE),
        Column("rows", _("rows, about"), Shown.NUMBER),
        Column("read_through", _("read from end to end"), Shown.NUMBER),
        Column("rows_read_through", _("rows read that way"), Shown.NUMBER),
        Column("by_index", _("read by an index"), Shown.NUMBER),
        Column("last_analyzed", _("statistics of"), Shown.MOMENT),
    ],
    sql="""
        select relname::text as table_name, n_live_tup as rows, seq_scan as read_through,
               seq_tup_read as rows_read_through, idx_scan as by_index,
               greatest(last_analyze, last_autoanalyze) as last_analyzed
        from pg_stat_user_tables
        where relname like 'loyalty_%%'
        order by seq_tup_read desc
    """,
)

DIAGNOSTICS: Final = (
    CONNECTION, MIGRATIONS, tables_of("loyalty_"), triggers_on("loyalty_"), SLOW_QUERIES, CONNECTIONS, READS,
)  # fmt: skip
