"""Closed doors: a paused bank, a frozen account, beneficiary or merchant. Nothing new goes through one.

Whoever closes one takes a lock that whoever marks a payment as going out holds shared until the commit. The triggers
of the database do both (see `sql.CLOSURES`); a service that closes takes the lock itself, before any row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from django.db import IntegrityError, connection
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import DomainError
from opsconsole.core.operations import assert_in_operation
from opsconsole.core.texts import Text, english
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

# What the triggers say, word for word, so that it can be said in other languages; see `sql`.
_SENTENCES: Final = (
    _("{name} is paused: nothing new goes to it."),
    _("The account {name} is frozen: nothing is paid from it."),
    _("The account {name} is frozen: nothing is paid to or from it."),
    _("The merchant {name} is frozen: nothing is paid for it."),
    _("The beneficiary {name} is frozen: nothing is paid to it."),
)


def close_doors() -> None:
    """Wait until every payment that is being marked as going out is committed, and let no other begin; then close.

    Called before any row is locked: payments lock accounts after they hold this.
    """
    _lock("pg_advisory_xact_lock")


def keep_open() -> None:
    """Keep every door as it is until this commits: what is read of them in later statements holds."""
    _lock("pg_advisory_xact_lock_shared")


def any_closed(steps: list[UUID]) -> bool:
    """Whether a payment of these steps would go through a closed door as things are this moment; locks nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select exists(
              select from treasury_instructions i
                join treasury_banks b on b.id = i.bank_id
                join treasury_accounts a on a.id = i.account_id
                join treasury_payouts p on p.id = i.payout_id
              where i.step_id = any(%s) and (b.status <> 'active' or a.status <> 'active' or {FROZEN_PAYOUT}))
            """,
            [steps],
        )
        return bool(cursor.fetchone()[0])


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
        raise refusal(_said_again(said.message_primary)) from error


def _said_again(sentence: str) -> Text:
    """The database's sentence in the language of whoever reads it; as it is, where it is none of those known here."""
    for known in _SENTENCES:
        before, after = english(known).split("{name}")
        if sentence.startswith(before) and sentence.endswith(after):
            return format_lazy(known, name=sentence.removeprefix(before).removesuffix(after))
    return sentence


def _lock(function: str) -> None:
    assert_in_operation()
    with connection.cursor() as cursor:
        cursor.execute(f"select {function}(hashtextextended('treasury.closing', 0))")
