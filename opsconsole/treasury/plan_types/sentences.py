"""What the plan types that move money say alike of an account that can no longer give what was staged."""

from __future__ import annotations

from decimal import Decimal

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Unavailable
from opsconsole.core.texts import Text
from opsconsole.treasury.bank_gateways import gateway_for
from opsconsole.treasury.gateways import base
from opsconsole.treasury.models import Bank


def holds_less(account: str, balance: Decimal, currency: str, needed: Decimal) -> Text:
    """That the ledger has less on the account than is to be paid from it."""
    told = _("The account {account} holds {balance} {currency}, less than {needed}.")
    return format_lazy(told, account=account, balance=balance, currency=currency, needed=needed)


def not_active(account: str, bank: str) -> Text:
    """That the account is frozen, or its bank paused."""
    return format_lazy(_("The account {account} or its bank {bank} is not active."), account=account, bank=bank)


def disagreements(bank: Bank, account: str, needed: Decimal) -> list[str]:
    """What the bank itself says of the account, in English, where that keeps the money from going out.

    It is asked now, outside any transaction; raises Unavailable when one that should say so does not answer.
    """
    match gateway_for(bank).balance(account):
        case base.Balance(available=available) if available < needed:
            return [f"{bank.name} says {account} has {available} available, less than {needed}."]
        case base.Absent():
            return [f"{bank.name} does not know the account {account}."]
        case base.NoAnswer(detail=detail):
            raise Unavailable(f"{bank.name} does not answer: {detail}")
        case _:
            return []
