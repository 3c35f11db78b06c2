"""What a payment order must look like, and the numbers in it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from typing import Any

from sandbox_bank.problems import BankProblem

MAX_BODY_BYTES = 16_384
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,3}))?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_KEY = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_UNSTORABLE = re.compile("[\x00-\x1f\ud800-\udfff]")
# Length limits of ISO 20022 text, in characters.
_LENGTHS = {"end_to_end_id": 35, "debtor_name": 140, "creditor_name": 140, "remittance": 140}


@dataclass(frozen=True, slots=True)
class Order:
    """One payment order as it came in; the amount also in thousandths, to be summed exactly."""

    end_to_end_id: str
    amount: str
    currency: str
    debtor_account: str
    debtor_name: str
    creditor_name: str
    creditor_account: str
    creditor_agent: str
    remittance: str
    requested_on: str

    @property
    def milli(self) -> int:
        """The amount in thousandths of the currency unit."""
        return thousandths(self.amount)


FIELDS = tuple(field.name for field in fields(Order))
_FIELD_SET = frozenset(FIELDS)


def thousandths(amount: str) -> int:
    """The amount in thousandths; raises ValueError unless it is a decimal with at most three decimals."""
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise ValueError(f"{amount!r} is not an amount")
    return int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))


def shown(milli: int) -> str:
    """Thousandths as an amount with two decimals, three where they are needed."""
    sign, milli = ("-", -milli) if milli < 0 else ("", milli)
    whole, part = divmod(milli, 1000)
    return f"{sign}{whole}.{part:03d}" if part % 10 else f"{sign}{whole}.{part // 10:02d}"


@lru_cache(maxsize=16_384)
def is_iban(text: str) -> bool:
    """Whether the check digits are right (ISO 13616, mod 97)."""
    if _IBAN.fullmatch(text) is None:
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def check_key(key: str) -> str:
    """The idempotency key; raises a 400 problem when it is missing, too long or not printable ASCII."""
    if _KEY.fullmatch(key) is None:
        raise BankProblem(400, "bad_idempotency_key", "Idempotency-Key must be 1 to 128 printable ASCII characters.")
    return key


def parse_order(body: bytes) -> Order:
    """The order; raises a 400 problem for a body that is no order, 422 for an order that cannot be paid."""
    order = _read(body)
    for name, limit in _LENGTHS.items():
        if len(getattr(order, name)) > limit:
            raise BankProblem(422, "too_long", f"{name} is longer than {limit} characters.")
    for name in ("end_to_end_id", "debtor_name", "creditor_name"):
        if not getattr(order, name).strip():
            raise BankProblem(422, "missing", f"{name} is empty.")
    if _AMOUNT.fullmatch(order.amount) is None or order.milli <= 0:
        raise BankProblem(422, "bad_amount", "amount must be a positive decimal with at most three decimals.")
    if _CURRENCY.fullmatch(order.currency) is None:
        raise BankProblem(422, "bad_currency", "currency must be three capital letters.")
    for name in ("debtor_account", "creditor_account"):
        if not is_iban(getattr(order, name)):
            raise BankProblem(422, "bad_iban", f"{name} is not a valid IBAN.")
    if order.creditor_agent and _BIC.fullmatch(order.creditor_agent) is None:
        raise BankProblem(422, "bad_bic", "creditor_agent is not a BIC.")
    _check_date(order.requested_on)
    return order


def _read(body: bytes) -> Order:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BankProblem(400, "not_json", "The body is not JSON.") from error
    if not isinstance(value, dict) or value.keys() != _FIELD_SET:
        raise BankProblem(400, "bad_fields", f"The body must be an object with exactly: {', '.join(FIELDS)}.")
    for name, text in value.items():
        if not isinstance(text, str) or _UNSTORABLE.search(text):
            raise BankProblem(400, "bad_fields", f"{name} must be a string without control characters.")
    return Order(**value)


def _check_date(text: str) -> None:
    problem = BankProblem(422, "bad_date", "requested_on must be a date, YYYY-MM-DD.")
    if _DATE.fullmatch(text) is None:
        raise problem
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise problem from error
