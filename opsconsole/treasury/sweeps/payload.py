"""The fields of a sweep's payload, each read with its own reason when it is wrong."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.treasury import payload_fields
from opsconsole.treasury.currencies import decimals_of
from opsconsole.treasury.payload_fields import NO_BANK, Reader, Wrong

MOST_SOURCES: Final = 500


def _iban(value: Any) -> str:
    text = value.replace(" ", "").upper() if isinstance(value, str) else ""
    if not (text.isascii() and text.isalnum() and 15 <= len(text) <= 34):  # noqa: PLR2004 - the lengths of ISO 13616
        raise Wrong(_("must be the IBAN of a settlement account"))
    return text


def _accounts(payload: dict[str, Any]) -> list[str] | None:
    value = payload.get("source_accounts")
    if value is None:
        return None
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_SOURCES:
        raise Wrong(format_lazy(_("must be a list of 1 to {most} IBANs"), most=MOST_SOURCES))
    ibans = [_iban(one) for one in value]
    if len(set(ibans)) != len(ibans):
        raise Wrong(_("names an account twice"))
    return sorted(ibans)


def _bank(payload: dict[str, Any]) -> str | None:
    value = payload.get("source_bank")
    if value is not None and (not isinstance(value, str) or not 1 <= len(value) <= 63):  # noqa: PLR2004 - a bank's code
        raise Wrong(NO_BANK)
    return value


def _target(payload: dict[str, Any]) -> str:
    return _iban(payload.get("target_account"))


def _minimum(payload: dict[str, Any]) -> str:
    value = payload.get("keep_minimum")
    places = decimals_of(str(payload.get("currency"))) or 0
    try:
        amount = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount < 0 or amount >= Decimal(10) ** 16:
        raise Wrong(_("must be an amount, 0 or more"))
    if amount != amount.quantize(Decimal(1).scaleb(-places)):
        raise Wrong(format_lazy(_("has more than {places} decimals"), places=places))
    return f"{abs(amount):.{places}f}"


READERS: Final[dict[str, Reader]] = {
    "currency": payload_fields.currency,
    "source_accounts": _accounts,
    "source_bank": _bank,
    "target_account": _target,
    "keep_minimum": _minimum,
    "simulate_before_execute": payload_fields.simulate_before_execute,
}
