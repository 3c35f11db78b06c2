"""Reading the payload of a plan, one field after the other: everything that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from opsconsole.plans.errors import PlanInvalid
from opsconsole.treasury.currencies import decimals_of

MAX_REASON: Final = 2000
NO_BANK: Final = "must be the code of a bank"

Reader = Callable[[dict[str, Any]], Any]


def read_payload(plan_type: str, payload: dict[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """What the readers make of the payload, by field; raises PlanInvalid with every field that is wrong or unknown.

    A reader raises ValueError with the reason.
    """
    errors: dict[str, list[str]] = {
        key: [f"is not a field of {plan_type}"] for key in sorted(payload.keys() - readers.keys())
    }
    parsed: dict[str, Any] = {}
    for key, read in readers.items():
        try:
            parsed[key] = read(payload)
        except ValueError as error:
            errors[key] = [str(error)]
    refuse(plan_type, errors)
    return parsed


def refuse(plan_type: str, errors: Mapping[str, list[str]]) -> None:
    """Raise PlanInvalid with these reasons by field; nothing where there are none."""
    if errors:
        raise PlanInvalid(f"The payload of the {plan_type.replace('_', ' ')} is not valid.", errors={"payload": errors})


def currency(payload: dict[str, Any]) -> str:
    """The `currency`."""
    value = payload.get("currency")
    if not isinstance(value, str) or decimals_of(value) is None:
        raise ValueError("must be a currency of ISO 4217, such as EUR")
    return value


def cutoff_date(payload: dict[str, Any]) -> str:
    """The `cutoff_date`, as ISO 8601."""
    value = payload.get("cutoff_date")
    try:
        if not isinstance(value, str) or len(value) != len("2025-08-01"):
            raise ValueError
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("must be a date, such as 2025-08-01") from None


def total_amount(payload: dict[str, Any]) -> str | None:
    """The `total_amount` with the decimals of the currency; None for no limit."""
    value = payload.get("total_amount")
    if value is None:
        return None
    places = decimals_of(str(payload.get("currency"))) or 0
    try:
        amount = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount <= 0 or amount >= Decimal(10) ** 16:
        raise ValueError("must be a positive amount")
    if amount != amount.quantize(Decimal(1).scaleb(-places)):
        raise ValueError(f"has more than {places} decimals")
    return f"{amount:.{places}f}"


def simulate_before_execute(payload: dict[str, Any]) -> bool:
    """The `simulate_before_execute`; false where it is not said."""
    value = payload.get("simulate_before_execute", False)
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def reason(payload: dict[str, Any]) -> str:
    """The `reason`, blanks around it aside."""
    value = payload.get("reason")
    said = value.strip() if isinstance(value, str) else ""
    if not said or len(said) > MAX_REASON or "\x00" in said:
        raise ValueError(f"must say why, in up to {MAX_REASON} characters")
    return said
