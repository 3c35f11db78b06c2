"""What a payout must look like, whichever door it comes in by: one column after the other, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from stdnum import bic as bic_numbers
from stdnum import iban as iban_numbers
from stdnum.exceptions import InvalidChecksum, ValidationError

from opsconsole.core.errors import Told
from opsconsole.core.texts import Text, one_after_another
from opsconsole.treasury.currencies import decimals_of

MAX_TEXT: Final = 140  # ISO 20022: names and remittance information
MAX_EXTERNAL_ID: Final = 100
MAX_MERCHANT: Final = 100
MAX_AMOUNT: Final = Decimal("999999999999.99")

_AMOUNT = re.compile(r"[0-9]{1,30}(?:\.([0-9]{1,30}))?", re.ASCII)
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EARLIEST, _LATEST = date(1970, 1, 1), date(2199, 12, 31)
# Bytes that were not UTF-8 come here as lone surrogates (surrogateescape): see payout_files.
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Refused(Told, ValueError):
    """Why a column cannot stand as it is."""


class FactsRefused(Told):
    """Why a payout cannot stand as it is: one reason for each column that is wrong."""

    def __init__(self, problems: dict[str, Text]) -> None:
        said = [format_lazy(_("{column}: {why}"), column=column, why=why) for column, why in problems.items()]
        super().__init__(one_after_another(said))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class PayoutFacts:
    """Who is to be paid, where to, how much and when; everything in it is checked."""

    external_id: str
    beneficiary_name: str
    iban: str
    bic: str
    amount: Decimal
    currency: str
    due_date: date
    remittance: str
    merchant: str = ""

    @property
    def row(self) -> tuple[Any, ...]:
        """The values in the order of COLUMNS."""
        return astuple(self)


COLUMNS: Final = tuple(field.name for field in fields(PayoutFacts))
OPTIONAL: Final = frozenset({"merchant"})  # a file may leave these out


def read_facts(raw: Mapping[str, str]) -> PayoutFacts:
    """The payout that these texts describe, blanks around them aside; raises FactsRefused with every problem."""
    problems: dict[str, Text] = {}
    values: dict[str, Any] = {}
    for column in COLUMNS:
        try:
            given = raw.get(column, "") if column in OPTIONAL else raw[column]
            values[column] = _READERS[column](_clean(given))
        except Refused as refusal:
            problems[column] = refusal.told
    if "amount" in values and "currency" in values:
        try:
            values["amount"] = _in_minor_units(values["amount"], values["currency"])
        except Refused as refusal:
            problems["amount"] = refusal.told
    if problems:
        raise FactsRefused(problems)
    return PayoutFacts(**values)


def _clean(text: str) -> str:
    text = text.strip()
    if text.isascii() and text.isprintable():  # by far the most
        return text
    if _NOT_UTF8.search(text):
        raise Refused(_("holds bytes that are not UTF-8"))
    if _CONTROL.search(text):
        raise Refused(_("holds a control character"))
    return text


def _too_long(text: str, most: int) -> Refused:
    return Refused(format_lazy(_("is {count} characters long; {most} is the most"), count=len(text), most=most))


def _external_id(text: str) -> str:
    if not text:
        raise Refused(_("is missing"))
    if len(text) > MAX_EXTERNAL_ID:
        raise _too_long(text, MAX_EXTERNAL_ID)
    return text


def _beneficiary_name(text: str) -> str:
    if not text:
        raise Refused(_("is missing"))
    return _remittance(text)


def _remittance(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise _too_long(text, MAX_TEXT)
    return text


def _merchant(text: str) -> str:
    if len(text) > MAX_MERCHANT:
        raise _too_long(text, MAX_MERCHANT)
    return text


def _iban(text: str) -> str:
    if not text:
        raise Refused(_("is missing"))
    reason, number = _judged_iban(text)
    if reason:
        raise Refused(reason)
    return number


@lru_cache(maxsize=65_536)  # payees come again and again; judging one costs 15 microseconds
def _judged_iban(text: str) -> tuple[Text, str]:
    # The country's own structure is checked, its list of banks is not: that is out of date wherever it is kept.
    number = iban_numbers.compact(text)
    if not text.isascii() or _IBAN.fullmatch(number) is None:
        return _("is not an IBAN"), ""
    try:
        return "", iban_numbers.validate(number, check_country=False)
    except InvalidChecksum:
        return _("fails the IBAN's check digits"), ""
    except ValidationError:
        return _("is not an IBAN of any country"), ""


def _bic(text: str) -> str:
    if not text:
        raise Refused(_("is missing"))
    number = _judged_bic(text)
    if not number:
        raise Refused(_("is not a BIC: eight or eleven letters and digits"))
    return number


@lru_cache(maxsize=16_384)
def _judged_bic(text: str) -> str:
    try:
        return str(bic_numbers.validate(text)) if text.isascii() else ""
    except ValidationError:
        return ""


def _amount(text: str) -> Decimal:
    if not text:
        raise Refused(_("is missing"))
    if text.startswith("-"):
        raise Refused(_("is not positive"))
    if _AMOUNT.fullmatch(text) is None:
        raise Refused(_("is not an amount such as 1390.11"))
    amount = Decimal(text)
    if not amount:
        raise Refused(_("is not positive"))
    if amount > MAX_AMOUNT:
        raise Refused(format_lazy(_("is more than {most}"), most=MAX_AMOUNT))
    return amount


def _in_minor_units(amount: Decimal, currency: str) -> Decimal:
    decimals = decimals_of(currency)
    assert decimals is not None  # the currency was read before
    exact = amount.quantize(Decimal(1).scaleb(-decimals))
    if exact != amount:
        raise Refused(
            format_lazy(_("has more decimals than the {places} of {currency}"), places=decimals, currency=currency)
        )
    return exact.quantize(Decimal("0.01"))


def _currency(text: str) -> str:
    if not text:
        raise Refused(_("is missing"))
    if decimals_of(text) is None:
        raise Refused(_("is no currency of ISO 4217"))
    return text


def _due_date(text: str) -> date:
    if not text:
        raise Refused(_("is missing"))
    if _DATE.fullmatch(text) is None:
        raise Refused(_("is not a date such as 2025-08-01"))
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Refused(_("is not a day of the calendar")) from None
    if not _EARLIEST <= day <= _LATEST:
        raise Refused(format_lazy(_("lies outside {first} to {last}"), first=_EARLIEST, last=_LATEST))
    return day


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "external_id": _external_id,
    "beneficiary_name": _beneficiary_name,
    "iban": _iban,
    "bic": _bic,
    "amount": _amount,
    "currency": _currency,
    "due_date": _due_date,
    "remittance": _remittance,
    "merchant": _merchant,
}
