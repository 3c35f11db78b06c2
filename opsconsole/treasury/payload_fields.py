"""Reading the payload of a plan, one field after the other: everything that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from opsconsole.core.errors import Told
from opsconsole.core.texts import Text
from opsconsole.plans.errors import PlanInvalid
from opsconsole.treasury.currencies import decimals_of

MAX_REASON: Final = 2000
NO_BANK: Final = _("must be the code of a bank")

Reader = Callable[[dict[str, Any]], Any]

_NAMES: Final[dict[str, Text]] = {
    "failover": pgettext_lazy("the payload of the", "failover"),
    "freeze": pgettext_lazy("the payload of the", "freeze"),
    "pause_bank": pgettext_lazy("the payload of the", "pause bank"),
    "payout_batch": pgettext_lazy("the payload of the", "payout batch"),
    "sweep": pgettext_lazy("the payload of the", "sweep"),
}


class Wrong(Told, ValueError):
    """Why a field cannot stand as it is."""


def read_payload(plan_type: str, payload: dict[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """What the readers make of the payload, by field; raises PlanInvalid with every field that is wrong or unknown.

    A reader raises Wrong with the reason.
    """
    stranger = format_lazy(_("is not a field of {type}"), type=plan_type)
    errors: dict[str, list[Text]] = {key: [stranger] for key in sorted(payload.keys() - readers.keys())}
    parsed: dict[str, Any] = {}
    for key, read in readers.items():
        try:
            parsed[key] = read(payload)
        except Wrong as wrong:
            errors[key] = [wrong.told]
        except ValueError as error:  # a text that nobody could store, such as half a surrogate pair
            errors[key] = [str(error)]
    refuse(plan_type, errors)
    return parsed


def refuse(plan_type: str, errors: Mapping[str, Sequence[Text]]) -> None:
    """Raise PlanInvalid with these reasons by field; nothing where there are none."""
    if errors:
        named = _NAMES.get(plan_type, plan_type.replace("_", " "))
        raise PlanInvalid(
            format_lazy(_("The payload of the {type} is not valid."), type=named), errors={"payload": errors}
        )


def currency(payload: dict[str, Any]) -> str:
    """The `currency`."""
    value = payload.get("currency")
    if not isinstance(value, str) or decimals_of(value) is None:
        raise Wrong(_("must be a currency of ISO 4217, such as EUR"))
    return value


def cutoff_date(payload: dict[str, Any]) -> str:
    """The `cutoff_date`, as ISO 8601."""
    value = payload.get("cutoff_date")
    try:
        if not isinstance(value, str) or len(value) != len("2025-08-01"):
            raise ValueError
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise Wrong(_("must be a date, such as 2025-08-01")) from None


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
        raise Wrong(_("must be a positive amount"))
    if amount != amount.quantize(Decimal(1).scaleb(-places)):
        raise Wrong(format_lazy(_("has more than {places} decimals"), places=places))
    return f"{amount:.{places}f}"


def simulate_before_execute(payload: dict[str, Any]) -> bool:
    """The `simulate_before_execute`; false where it is not said."""
    value = payload.get("simulate_before_execute", False)
    if not isinstance(value, bool):
        raise Wrong(_("must be true or false"))
    return value


def reason(payload: dict[str, Any]) -> str:
    """The `reason`, blanks around it aside."""
    value = payload.get("reason")
    said = value.strip() if isinstance(value, str) else ""
    if not said or len(said) > MAX_REASON or "\x00" in said:
        raise Wrong(format_lazy(_("must say why, in up to {most} characters"), most=MAX_REASON))
    return said
