"""Writing payouts in bulk: one statement a chunk, each external id once, whoever else is writing."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from opsconsole.core.operations import assert_in_operation
from opsconsole.treasury.payouts.facts import COLUMNS, PayoutFacts

_STAGE = """
    create temporary table if not exists treasury_incoming (
      external_id text, beneficiary_name text, iban text, bic text, amount numeric, currency text, due_date date,
      remittance text, merchant text
    ) on commit delete rows
"""


def insert_new(payouts: Sequence[PayoutFacts]) -> set[str]:
    """Insert those whose external id is not there yet, and return their external ids; joins an operation.

    A row that another transaction is just inserting is waited for, and then is there. Rows go in by external id, so
    that two writers of the same file wait in line instead of in a circle. Of several with one id the first counts.
    """
    assert_in_operation()
    columns = ", ".join(COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(_STAGE)
        with cursor.copy(f"copy treasury_incoming ({columns}) from stdin") as copy:
            for payout in payouts:
                copy.write_row(payout.row)
        cursor.execute(
            f"""
            insert into treasury_payouts ({columns})
            select {columns} from treasury_incoming order by external_id, ctid
            on conflict (external_id) do nothing returning external_id
            """  # noqa: S608 - columns of our own
        )
        new = {row[0] for row in cursor.fetchall()}
        cursor.execute("truncate treasury_incoming")
    return new
