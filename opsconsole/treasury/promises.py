"""What money is promised: amounts that staged plans are going to pay from an account, and that no other may count on.

What is under way has left the account in the ledger already.
"""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from django.db import connection

from opsconsole.core.operations import assert_in_operation

# Two plans that are staged at once would count on the same money: one currency at a time.
_ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('treasury.reserve.' || %s, 0))"

# To be joined to the account `a`: what all plans together have promised from it.
PROMISED = """
  (select coalesce(sum(i.amount), 0) from treasury_instructions i where i.account_id = a.id and i.status = 'planned')
  + (select coalesce(sum(w.amount), 0) from treasury_sweeps w where w.account_id = a.id and w.status = 'planned')
"""


def one_at_a_time(currency: str) -> None:
    """Wait until no other plan is being staged in this currency; held to the end of the operation."""
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute(_ONE_AT_A_TIME, [currency])


def promised_from(account_id: UUID) -> Decimal:
    """What staged plans are going to pay from this account."""
    with connection.cursor() as cursor:
        cursor.execute(f"select {PROMISED} from treasury_accounts a where a.id = %s", [account_id])
        row = cursor.fetchone()
        return Decimal(row[0]) if row else Decimal(0)
