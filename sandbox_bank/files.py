"""Files of payments as a bank reads and answers them: pain.001 in; pain.002, camt.053 and camt.054 out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring  # noqa: S405 - to write with

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from sandbox_bank.orders import Order, parse_order, shown, thousandths
from sandbox_bank.problems import BankProblem

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"
REPORT, STATEMENT, NOTIFICATION = "pain.002.001.10", "camt.053.001.08", "camt.054.001.08"
# ISO 20022 external reason codes for what this bank refuses.
REASONS = {
    "account_closed": "AC04",
    "bad_iban": "AC01",
    "insufficient_funds": "AM04",
    "unknown_account": "AC02",
    "wrong_currency": "AM03",
}
NARRATIVE = "NARR"


class NotAFile(Exception):
    """What came in is no file of payments."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A file of payments: its message id, and one order for each transaction, or why it is none."""

    message_id: str
    orders: Sequence[tuple[str, Order | BankProblem]]  # EndToEndId -> what it says

    def key(self, end_to_end_id: str) -> str:
        """Under which the bank keeps a payment of this file: handing the file in twice pays once."""
        return f"{self.message_id}:{end_to_end_id}"


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one transaction of a file."""

    end_to_end_id: str
    amount: str
    currency: str
    debtor_account: str
    creditor_account: str
    status: str  # accepted, executed, settled, returned, recalled, rejected
    code: str = ""
    reason: str = ""


def read_submission(content: bytes) -> Submission:
    """The orders of a pain.001; raises NotAFile."""
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise NotAFile(f"it cannot be read as XML: {error}") from error
    space = root.tag[1:].partition("}")[0]
    if not space.startswith(f"{NAMESPACE}pain.001."):
        raise NotAFile(f"it is no pain.001 but {root.tag}")
    names = {"p": space}
    message_id = root.findtext(".//p:GrpHdr/p:MsgId", "", names)
    orders: list[tuple[str, Order | BankProblem]] = []
    for block in root.iterfind(".//p:PmtInf", names):
        for transaction in block.iterfind("p:CdtTrfTxInf", names):
            fields = _fields(block, transaction, names)
            orders.append((fields["end_to_end_id"], _order(fields)))
    if not message_id or not orders:
        raise NotAFile("it has no message id, or no transaction")
    return Submission(message_id, orders)


def _fields(block: Element, transaction: Element, names: dict[str, str]) -> dict[str, str]:
    amount = transaction.find("p:Amt/p:InstdAmt", names)
    return {
        "end_to_end_id": transaction.findtext("p:PmtId/p:EndToEndId", "", names),
        "amount": (amount.text or "") if amount is not None else "",
        "currency": amount.get("Ccy", "") if amount is not None else "",
        "debtor_account": block.findtext("p:DbtrAcct/p:Id/p:IBAN", "", names),
        "debtor_name": block.findtext("p:Dbtr/p:Nm", "", names),
        "creditor_name": transaction.findtext("p:Cdtr/p:Nm", "", names),
        "creditor_account": transaction.findtext("p:CdtrAcct/p:Id/p:IBAN", "", names),
        "creditor_agent": transaction.findtext("p:CdtrAgt/p:FinInstnId/p:BICFI", "", names),
        "remittance": transaction.findtext("p:RmtInf/p:Ustrd", "", names),
        "requested_on": block.findtext("p:ReqdExctnDt/p:Dt", "", names) or block.findtext("p:ReqdExctnDt", "", names),
    }


def _order(fields: dict[str, str]) -> Order | BankProblem:
    try:
        return parse_order(json.dumps(fields).encode())
    except BankProblem as problem:
        return problem


# What the bank writes


def status_report(message_id: str, answers: Sequence[Answered], *, at: datetime) -> bytes:
    """pain.002: what was taken on, and what was refused and why."""
    root, report = _document(REPORT, "CstmrPmtStsRpt")
    _header(report, f"STS-{message_id}"[:35], at)
    refused = [one for one in answers if one.status == "rejected"]
    group = SubElement(report, "OrgnlGrpInfAndSts")
    _put(group, "OrgnlMsgId", message_id)
    _put(group, "OrgnlMsgNmId", "pain.001.001.09")
    _put(group, "OrgnlNbOfTxs", str(len(answers)))
    _put(group, "GrpSts", "RJCT" if len(refused) == len(answers) else "PART" if refused else "ACSP")
    block = SubElement(report, "OrgnlPmtInfAndSts")
    _put(block, "OrgnlPmtInfId", message_id)
    for one in answers:
        line = SubElement(block, "TxInfAndSts")
        _put(line, "OrgnlEndToEndId", one.end_to_end_id)
        _put(line, "TxSts", "RJCT" if one.status == "rejected" else "ACSP")
        if one.status == "rejected":
            _reason(SubElement(line, "StsRsnInf"), one)
        if one.amount:  # of an order that could be read
            original = SubElement(line, "OrgnlTxRef")
            _money(SubElement(original, "Amt"), "InstdAmt", one)
            _iban(original, "DbtrAcct", one.debtor_account)
    return _bytes(root)


def statement(
    message_id: str,
    balances: Sequence[dict[str, str]],
    answers: Sequence[Answered],
    *,
    at: datetime,
    batch: bool = False,
) -> bytes:
    """camt.053: for each account its closing balance and what was booked; with `batch` a file is one entry."""
    root, message = _document(STATEMENT, "BkToCstmrStmt")
    _header(message, f"STM-{message_id}"[:35], at)
    for number, balance in enumerate(balances, start=1):
        booked = [one for one in answers if balance["iban"] in (one.debtor_account, one.creditor_account)]
        part = SubElement(message, "Stmt")
        _put(part, "Id", f"{message_id[:30]}-{number}")
        _put(part, "CreDtTm", _time(at))
        _iban(part, "Acct", balance["iban"])
        closing = SubElement(part, "Bal")
        _put(SubElement(SubElement(closing, "Tp"), "CdOrPrtry"), "Cd", "CLBD")
        amount = SubElement(closing, "Amt", {"Ccy": balance["currency"]})
        amount.text = balance["booked"].removeprefix("-")
        _put(closing, "CdtDbtInd", "DBIT" if balance["booked"].startswith("-") else "CRDT")
        _put(SubElement(closing, "Dt"), "DtTm", _time(at))
        debits = [one for one in booked if one.debtor_account == balance["iban"]]
        if batch and len(debits) > 1:
            _batch(part, message_id, debits, at)
        else:
            for one in debits:
                _entry(part, one, "DBIT", at)
        for one in booked:
            if one.creditor_account == balance["iban"]:
                _entry(part, one, "CRDT", at)
    return _bytes(root)


def notification(message_id: str, answers: Sequence[Answered], *, at: datetime) -> bytes:
    """camt.054: payments that came back."""
    root, message = _document(NOTIFICATION, "BkToCstmrDbtCdtNtfctn")
    _header(message, f"NTF-{message_id}"[:35], at)
    for account in sorted({one.debtor_account for one in answers}):
        part = SubElement(message, "Ntfctn")
        _put(part, "Id", f"{message_id[:30]}-R")
        _put(part, "CreDtTm", _time(at))
        _iban(part, "Acct", account)
        for one in answers:
            if one.debtor_account == account:
                _entry(part, one, "CRDT", at, returned=True)
    return _bytes(root)


def _batch(part: Element, message_id: str, booked: Sequence[Answered], at: datetime) -> None:
    entry = SubElement(part, "Ntry")
    amount = SubElement(entry, "Amt", {"Ccy": booked[0].currency})
    amount.text = shown(sum(thousandths(one.amount) for one in booked))
    _booked(entry, "DBIT", at)
    details = SubElement(entry, "NtryDtls")
    group = SubElement(details, "Btch")
    _put(group, "PmtInfId", message_id)
    _put(group, "NbOfTxs", str(len(booked)))
    for one in booked:
        _details(details, one, "DBIT")


def _entry(part: Element, one: Answered, direction: str, at: datetime, *, returned: bool = False) -> None:
    entry = SubElement(part, "Ntry")
    _money(entry, "Amt", one)
    _booked(entry, direction, at)
    _details(SubElement(entry, "NtryDtls"), one, direction, returned=returned)


def _booked(entry: Element, direction: str, at: datetime) -> None:
    _put(entry, "CdtDbtInd", direction)
    _put(SubElement(entry, "Sts"), "Cd", "BOOK")
    _put(SubElement(entry, "BookgDt"), "Dt", at.date().isoformat())


def _details(parent: Element, one: Answered, direction: str, *, returned: bool = False) -> None:
    details = SubElement(parent, "TxDtls")
    _put(SubElement(details, "Refs"), "EndToEndId", one.end_to_end_id)
    _money(details, "Amt", one)
    _put(details, "CdtDbtInd", direction)
    if returned:
        _reason(SubElement(details, "RtrInf"), one)


def _document(schema: str, name: str) -> tuple[Element, Element]:
    root = Element("Document", {"xmlns": f"{NAMESPACE}{schema}"})
    return root, SubElement(root, name)


def _header(message: Element, message_id: str, at: datetime) -> None:
    header = SubElement(message, "GrpHdr")
    _put(header, "MsgId", message_id)
    _put(header, "CreDtTm", _time(at))


def _reason(parent: Element, one: Answered) -> None:
    _put(SubElement(parent, "Rsn"), "Cd", one.code or NARRATIVE)
    if one.reason:
        _put(parent, "AddtlInf", one.reason[:105])


def _iban(parent: Element, name: str, iban: str) -> None:
    _put(SubElement(SubElement(parent, name), "Id"), "IBAN", iban)


def _money(parent: Element, name: str, one: Answered) -> None:
    SubElement(parent, name, {"Ccy": one.currency}).text = one.amount


def _put(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = text


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bytes(root: Element) -> bytes:
    indent(root)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def answers_of(submission: Submission, found: Iterable[tuple[str, dict[str, Any] | BankProblem]]) -> list[Answered]:
    """What the bank's books say of each transaction of a file, in the file's order."""
    orders = dict(submission.orders)
    answers: list[Answered] = []
    for end_to_end_id, outcome in found:
        order = orders[end_to_end_id]
        facts = (
            (order.amount, order.currency, order.debtor_account, order.creditor_account)
            if isinstance(order, Order)
            else ("", "", "", "")
        )
        if isinstance(outcome, BankProblem):
            code = REASONS.get(outcome.code, outcome.code if len(outcome.code) == len(NARRATIVE) else NARRATIVE)
            ended = ("rejected", code, outcome.detail)
        elif outcome["status"] == "returned":
            ended = ("returned", REASONS["account_closed"], outcome["reason"])
        else:
            ended = (outcome["status"], "", "")
        answers.append(Answered(end_to_end_id, *facts, *ended))
    return answers
