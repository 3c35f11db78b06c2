"""Closed doors: a paused bank, a frozen account, beneficiary or merchant. Nothing new goes through one.

Whoever closes one takes a lock that whoever marks a payment as going out holds shared until the commit. The triggers
of the database do both (see `sql.CLOSURES`); a service that closes takes the lock itself, before any row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import IntegrityError, connection

from opsconsole.core.errors import DomainError
from opsconsole.core.operations import assert_in_operation
from opsconsole.treasury.errors import AccountFrozen, BankPaused, BeneficiaryFrozen, MerchantFrozen

# A payout `p` that goes to a frozen beneficiary or a frozen account of ours, or is of a frozen merchant. Uncorrelated
# subqueries, so that they are read once however many payouts there are.
FROZEN_PAYOUT: Final = """
  (p.iban in (select f.subject from treasury_freezes f where f.lifted_at is null and f.kind = 'beneficiary')
    or p.iban in (select o.iban from treasury_accounts o where o.status = 'frozen' and o.iban is not null)
    or p.merchant in (select f.subject from treasury_freezes f where f.lifted_at is null and f.kind = 'merchant'))
"""

_REFUSALS: Final[dict[str, type[DomainError]]] = {
    "bank_is_paused": BankPaused,
    "account_is_frozen": AccountFrozen,
    "beneficiary_is_frozen": BeneficiaryFrozen,
    "merchant_is_frozen": MerchantFrozen,
}


def close_doors() -> None:
    """Wait until every payment that is being marked as going out is committed, and let no other begin; then close.

    Called before any row is locked: payments lock accounts after they hold this.
    """
    _lock("pg_advisory_xact_lock")


def keep_open() -> None:
    """Keep every door as it is until this commits: what is read of them in later statements holds."""
    _lock("pg_advisory_xact_lock_shared")


@contextmanager
def refusals_in_words() -> Iterator[None]:
    """Raise what the database refuses about a closed door as BankPaused, AccountFrozen and the like."""
    try:
        yield
    except IntegrityError as error:
        said = getattr(error.__cause__, "diag", None)
        refusal = _REFUSALS.get(getattr(said, "constraint_name", None) or "")
        if said is None or refusal is None:
            raise
        raise refusal(said.message_primary) from error


def _lock(function: str) -> None:
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute(f"select {function}(hashtextextended('treasury.closing', 0))")
