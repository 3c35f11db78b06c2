"""What banks write in ISO 20022: status reports (pain.002), statements (camt.053) and notifications (camt.054).

A file is read as a stream, in constant memory, into `Line`s and `Closing` balances. It is data from outside: no
document type, no entities, limits on its size, depth and count; whatever is wrong with it is said as BankFileInvalid
and nothing else. Versions are told by the namespace. docs/bank-gateways.md says which elements are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import BinaryIO, Final
from xml.etree.ElementTree import Element, ParseError  # noqa: S405 - names only; defusedxml does the reading

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Invalid
from opsconsole.treasury.gateways.base import PaymentState

MAX_BYTES: Final = 100 * 1024 * 1024
MAX_DEPTH: Final = 40
MAX_KEPT: Final = 20_000  # elements of one transaction, and all that stand beside transactions
MAX_LINES: Final = 1_000_000
MAX_TEXT: Final = 500

VERSIONS: Final[dict[str, range]] = {"pain.002": range(3, 15), "camt.053": range(2, 14), "camt.054": range(2, 14)}
_NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:((?:[a-z]{4})\.(?:\d{3}))\.001\.(\d{2})", re.ASCII)
_AMOUNT = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,5})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)

# What a status report says of a payment (ISO 20022 external code set, PaymentTransactionStatus); None is no end.
STATUSES: Final[dict[str, PaymentState | None]] = {
    "ACSC": PaymentState.SETTLED,
    "ACCC": PaymentState.SETTLED,
    "RJCT": PaymentState.REJECTED,
    "CANC": PaymentState.RECALLED,
    **dict.fromkeys(("ACCP", "ACFC", "ACSP", "ACTC", "ACWC", "ACWP", "PATC", "PDNG", "PRES", "RCVD"), None),
}
PARTLY: Final = "PART"  # of a group: its transactions say more


class BankFileInvalid(Invalid):
    """The file is none of those that banks send, or cannot be read; the message says where."""

    code = "bank_file_invalid"


@dataclass(frozen=True, slots=True)
class Header:
    """Which message it is."""

    schema: str  # camt.053.001.08
    message_id: str

    @property
    def kind(self) -> str:
        """pain.002, camt.053 or camt.054."""
        return self.schema[:8]


@dataclass(frozen=True, slots=True)
class Line:
    """What the file says of one payment, or, with `message` instead of `reference`, of a whole file of payments.

    `state` is how the payment ends by it, None for one on its way; `odd` says why nothing follows from the line.
    """

    number: int
    said: str
    state: PaymentState | None
    reference: str = ""
    message: str = ""
    account: str = ""
    amount: Decimal | None = None
    currency: str = ""
    direction: str = ""  # of an entry: CRDT or DBIT
    reason: str = ""
    count: int | None = None
    odd: str = ""


@dataclass(frozen=True, slots=True)
class Closing:
    """The closing booked balance of an account in a statement."""

    account: str
    statement: str
    as_of: datetime
    amount: Decimal
    currency: str


Item = Header | Line | Closing


def read_bank_file(stream: BinaryIO) -> Iterator[Item]:
    """The header, then lines and balances in the order of the file; raises BankFileInvalid wherever it is wrong."""
    try:
        yield from _Reader().read(stream)
    except DefusedXmlException as error:
        raise BankFileInvalid(_("The file declares a document type or entities, which no bank's file does.")) from error
    except ParseError as error:
        line, column = error.position
        told = format_lazy(
            _("The file is no well-formed XML at line {line}, column {column}."), line=line, column=column
        )
        raise BankFileInvalid(told, line=line) from error
    except (LookupError, UnicodeError, ValueError) as error:  # an encoding that nobody knows, or is none
        why = str(error)[:MAX_TEXT]
        raise BankFileInvalid(format_lazy(_("The file cannot be decoded: {error}."), error=why)) from error


class _Reader:
    """Walks through the elements, keeps the way down to the one at hand, and forgets what has been read."""

    def __init__(self) -> None:
        self._schema = ""
        self._way: list[Element] = []
        self._kept = 0
        self._kept_before: list[int] = []
        self._group: Element | None = None
        self._numbers = 0
        self._header: Header | None = None
        self._lines_in: dict[str, int] = {}  # by level: what stands below it

    def read(self, stream: BinaryIO) -> Iterator[Item]:
        for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                self._enter(element)
            else:
                yield from self._leave(element)
        if self._header is None:
            raise BankFileInvalid(_("The file has no message header."))

    def _enter(self, element: Element) -> None:
        if not self._way:
            self._schema = _schema_of(element)
        self._way.append(element)
        self._kept_before.append(self._kept)
        self._kept += 1
        if len(self._way) > MAX_DEPTH:
            raise BankFileInvalid(format_lazy(_("The file is nested deeper than {most} elements."), most=MAX_DEPTH))
        if self._kept > MAX_KEPT:
            told = _("The file has more than {most} elements in or beside one of its transactions.")
            raise BankFileInvalid(format_lazy(told, most=MAX_KEPT))
        if _name(element) in ("Ntry", "OrgnlPmtInfAndSts"):
            self._lines_in[_name(element)] = 0

    def _leave(self, element: Element) -> Iterator[Item]:
        read = _PARTS.get((self._schema[:4], _name(element)))
        if read is not None:
            for item in read(self, element):
                if isinstance(item, Header):
                    self._header = item
                elif self._header is None:
                    raise BankFileInvalid(_("The file has no message header before its content."))
                yield item
        self._way.pop()
        kept_before = self._kept_before.pop()
        if read is not None and _name(element) in _FORGOTTEN and self._way:
            self._way[-1].remove(element)
            self._kept = kept_before

    def _number(self) -> int:
        self._numbers += 1
        if self._numbers > MAX_LINES:
            raise BankFileInvalid(format_lazy(_("The file has more than {most} lines."), most=MAX_LINES))
        for level in self._lines_in:
            self._lines_in[level] += 1
        return self._numbers

    def _above(self, name: str) -> Element:
        for element in reversed(self._way):
            if _name(element) == name:
                return element
        told = _("An element stands outside {element}, where it has no meaning.")
        raise BankFileInvalid(format_lazy(told, element=name))

    # Both

    def group_header(self, element: Element) -> Iterator[Item]:
        yield Header(self._schema, _text(element, "MsgId"))

    # pain.002

    def transaction_status(self, element: Element) -> Iterator[Item]:
        said = _text(element, "TxSts")
        if not said:
            raise BankFileInvalid(_("A transaction has no status."))
        original = _find(element, "OrgnlTxRef")
        amount = _find(original, "Amt/InstdAmt") if original is not None else None
        yield self._status(
            said,
            element,
            reference=_text(element, "OrgnlEndToEndId"),
            account=_text(original, "DbtrAcct/Id/IBAN") if original is not None else "",
            money=_money(amount),
        )

    def payment_status(self, element: Element) -> Iterator[Item]:
        """Of a whole payment block: what counts where its transactions are not named one by one."""
        said = _text(element, "PmtInfSts")
        if said and said != PARTLY and self._lines_in.pop("OrgnlPmtInfAndSts", 0) == 0:
            yield self._of_message(said, element, _text(element, "OrgnlPmtInfId"))
        self._lines_in.pop("OrgnlPmtInfAndSts", None)

    def group_status(self, element: Element) -> Iterator[Item]:
        """Kept until the end of the message: it counts only where nothing more is said below it."""
        self._group = element
        yield from ()

    def end_of_report(self, _element: Element) -> Iterator[Item]:
        group = self._group
        said = _text(group, "GrpSts")
        if group is not None and said and said != PARTLY and self._numbers == 0:
            yield self._of_message(said, group, _text(group, "OrgnlMsgId"))

    def _of_message(self, said: str, element: Element, message: str) -> Line:
        count = _text(element, "OrgnlNbOfTxs")
        total = _text(element, "OrgnlCtrlSum")
        return self._status(
            said,
            element,
            message=message,
            money=(_amount(total), "") if total else (None, ""),
            count=int(count) if count.isascii() and count.isdigit() and len(count) < 10 else None,  # noqa: PLR2004 - more is none
        )

    def _status(
        self,
        said: str,
        element: Element,
        *,
        reference: str = "",
        message: str = "",
        account: str = "",
        money: tuple[Decimal | None, str] = (None, ""),
        count: int | None = None,
    ) -> Line:
        return Line(
            number=self._number(),
            said=said,
            state=STATUSES.get(said),
            reference="" if reference == "NOTPROVIDED" else reference,
            message=message,
            account=account,
            amount=money[0],
            currency=money[1],
            reason=_reason(_find(element, "StsRsnInf")),
            count=count,
            odd="" if said in STATUSES else f"the status {said} is none that is known here",
        )

    # camt.053 and camt.054

    def balance(self, element: Element) -> Iterator[Item]:
        if _text(element, "Tp/CdOrPrtry/Cd") != "CLBD":
            return
        amount, currency = _money(_find(element, "Amt"))
        if amount is None:
            raise BankFileInvalid(_("A closing balance has no amount."))
        statement = self._statement()
        yield Closing(
            account=_text(statement, "Acct/Id/IBAN"),
            statement=_text(statement, "Id"),
            as_of=_moment(element),
            amount=-amount if _direction(element) == "DBIT" else amount,
            currency=currency,
        )

    def transaction(self, element: Element) -> Iterator[Item]:
        entry = self._above("Ntry")
        amount, currency = _money(
            next(
                (found for path in ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")
                 if (found := _find(element, path)) is not None),
                None,
            )
        )  # fmt: skip
        if amount is None and _text(self._above("NtryDtls"), "Btch/NbOfTxs") in ("", "1"):
            amount, currency = _money(_find(entry, "Amt"))
        yield self._entry(entry, element, reference=_text(element, "Refs/EndToEndId"), money=(amount, currency))

    def entry(self, element: Element) -> Iterator[Item]:
        """An entry that names no transactions: of a whole file of ours, or of nothing we know."""
        if self._lines_in.pop("Ntry", 0) == 0:
            batch = _find(element, "NtryDtls/Btch")
            message = "" if batch is None else _text(batch, "PmtInfId") or _text(batch, "MsgId")
            yield self._entry(element, element, message=message, money=_money(_find(element, "Amt")))

    def _entry(
        self,
        entry: Element,
        about: Element,
        *,
        reference: str = "",
        message: str = "",
        money: tuple[Decimal | None, str],
    ) -> Line:
        said = _text(entry, "Sts/Cd") or _text(entry, "Sts")
        direction = _direction(about) or _direction(entry)
        if direction not in ("CRDT", "DBIT"):
            raise BankFileInvalid(_("An entry is neither a credit nor a debit."))
        reversal = _text(entry, "RvslInd") in ("true", "1")
        returned = _find(about, "RtrInf")
        state, odd = _meaning(direction, reversal=reversal or returned is not None)
        return Line(
            number=self._number(),
            said=said or "BOOK",
            state=state if said == "BOOK" else None,
            reference="" if reference == "NOTPROVIDED" else reference,
            message=message,
            account=_text(self._statement(), "Acct/Id/IBAN"),
            amount=money[0],
            currency=money[1],
            direction=direction,
            reason=_reason(returned),
            odd=odd,
        )

    def _statement(self) -> Element:
        return self._above("Stmt" if self._schema.startswith("camt.053") else "Ntfctn")


def _meaning(direction: str, *, reversal: bool) -> tuple[PaymentState | None, str]:
    if direction == "DBIT":
        return (None, "it takes back a credit") if reversal else (PaymentState.SETTLED, "")
    return (PaymentState.RETURNED if reversal else PaymentState.SETTLED), ""


_PARTS: Final = {
    ("pain", "GrpHdr"): _Reader.group_header,
    ("pain", "OrgnlGrpInfAndSts"): _Reader.group_status,
    ("pain", "TxInfAndSts"): _Reader.transaction_status,
    ("pain", "OrgnlPmtInfAndSts"): _Reader.payment_status,
    ("pain", "CstmrPmtStsRpt"): _Reader.end_of_report,
    ("camt", "GrpHdr"): _Reader.group_header,
    ("camt", "Bal"): _Reader.balance,
    ("camt", "TxDtls"): _Reader.transaction,
    ("camt", "Ntry"): _Reader.entry,
}
_FORGOTTEN: Final = frozenset({"TxInfAndSts", "OrgnlPmtInfAndSts", "Bal", "TxDtls", "Ntry"})


def _schema_of(root: Element) -> str:
    space, _brace, name = root.tag.removeprefix("{").rpartition("}")
    match = _NAMESPACE.fullmatch(space)
    supported = ", ".join(f"{kind}.001.{versions[0]:02} to {versions[-1]:02}" for kind, versions in VERSIONS.items())
    if name != "Document" or match is None:
        told = _("The file is no ISO 20022 message; these can be imported: {supported}.")
        raise BankFileInvalid(format_lazy(told, supported=supported))
    if int(match[2]) not in VERSIONS.get(match[1], ()):
        told = _("The file is a {schema}; these can be imported: {supported}.")
        schema = f"{match[1]}.001.{match[2]}"
        raise BankFileInvalid(format_lazy(told, schema=schema, supported=supported), schema=match[0][-15:])
    return f"{match[1]}.001.{match[2]}"


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _find(element: Element | None, path: str) -> Element | None:
    """The first element at the end of the path, whatever the namespace's version."""
    for name in path.split("/"):
        if element is None:
            return None
        element = next((child for child in element if _name(child) == name), None)
    return element


def _text(element: Element | None, path: str) -> str:
    found = _find(element, path)
    return (found.text or "").strip()[:MAX_TEXT] if found is not None else ""


def _money(element: Element | None) -> tuple[Decimal | None, str]:
    if element is None:
        return None, ""
    currency = element.get("Ccy", "")
    if _CURRENCY.fullmatch(currency) is None:
        told = _("An amount is in {currency}, which is no currency.")
        raise BankFileInvalid(format_lazy(told, currency=repr(currency[:10])))
    return _amount((element.text or "").strip()), currency


def _amount(text: str) -> Decimal:
    if _AMOUNT.fullmatch(text) is None:
        raise BankFileInvalid(format_lazy(_("{text} is no amount."), text=repr(text[:40])))
    return Decimal(text)


def _direction(element: Element) -> str:
    return _text(element, "CdtDbtInd")


def _moment(balance: Element) -> datetime:
    """The end of the day, or the moment that is named."""
    day, moment = _text(balance, "Dt/Dt"), _text(balance, "Dt/DtTm")
    try:
        if moment:
            parsed = datetime.fromisoformat(moment)
            return parsed.replace(tzinfo=parsed.tzinfo or UTC)
        return datetime.combine(date.fromisoformat(day[:10]), time(23, 59, 59), UTC)
    except ValueError as error:
        told = format_lazy(_("{text} is no date of a balance."), text=repr((moment or day)[:40]))
        raise BankFileInvalid(told) from error


def _reason(information: Element | None) -> str:
    if information is None:
        return ""
    code = _text(information, "Rsn/Cd") or _text(information, "Rsn/Prtry")
    return " ".join(part for part in (code, _text(information, "AddtlInf")) if part)[:MAX_TEXT]
