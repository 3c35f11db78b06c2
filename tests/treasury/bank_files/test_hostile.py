"""Files that are none, or worse: refused in words, with nothing written and nothing eaten up."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsconsole.treasury.gateways import iso_messages
from opsconsole.treasury.gateways.iso_messages import BankFileInvalid, Closing, Header, Line, read_bank_file
from opsconsole.treasury.models import BankFile
from tests.admin.conftest import contents
from tests.treasury.bank_files.conftest import CAMT, PAIN, entry, report, statement, told

BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>"""


def read(content: bytes) -> list[Header | Line | Closing]:
    return list(read_bank_file(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no well-formed XML"),
        (b"hello", "no well-formed XML"),
        (b"\x00\x01\x02", "no well-formed XML"),
        (b"<Document/>", "no ISO 20022 message"),
        (b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"/>', "a pain.001.001.09"),
        (b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.99"/>', "camt.053.001.02 to 13"),
        (f'<Document xmlns="{CAMT}"/>'.encode(), "no message header"),
        (BOMB + statement(entry("&b;", "1.00")), "document type or entities"),
        (OUTSIDE + statement(entry("&f;", "1.00")), "document type or entities"),
        (statement(entry("X", "1.0e9")), "is no amount"),
        (statement(entry("X", "-5")), "is no amount"),
        (statement(entry("X", "NaN")), "is no amount"),
        (statement(entry("X", "1", currency="EURO")), "no currency"),
        (statement(entry("X", "1", direction="UP")), "neither a credit nor a debit"),
        (statement(entry("X", "1"))[:-40], "no well-formed XML"),
        (statement("<x>" * 50 + "</x>" * 50), "nested deeper"),
        (statement("<x/>" * 20_001), "more than 20000 elements"),
        (b'<?xml version="1.0" encoding="klingon"?>' + statement(), "klingon|no well-formed|cannot be decoded"),
        (report("<TxInfAndSts/>"), "no status"),
        (statement("<TxDtls/>"), "outside Ntry"),
    ],
)
def test_refused_in_words(content: bytes, said: str) -> None:
    with pytest.raises(BankFileInvalid, match=said):
        read(content)


def test_nothing_is_written_for_a_file_that_breaks_off(
    transactional_db: None, take_in: Callable[..., BankFile], person: Callable[..., object]
) -> None:
    person("finance_ops")
    before = contents()
    with pytest.raises(BankFileInvalid):
        take_in(statement(*(entry(f"E{n}", "1.00") for n in range(2000)))[:-60])
    assert contents() == before
    assert not BankFile.objects.exists()


def test_too_large(monkeypatch: pytest.MonkeyPatch, take_in: Callable[..., BankFile], transactional_db: None) -> None:
    monkeypatch.setattr("opsconsole.treasury.services.bank_files.MAX_BYTES", 1000)
    with pytest.raises(BankFileInvalid, match="larger than"):
        take_in(statement(*(entry(f"E{n}", "1.00") for n in range(20))))


def test_many_transactions_are_forgotten_as_they_are_read() -> None:
    lines = [one for one in read(statement(*(entry(f"E{n}", "1.00") for n in range(6_000)))) if isinstance(one, Line)]
    assert [line.number for line in lines] == list(range(1, 6_001))  # many times MAX_KEPT elements
    assert iso_messages.MAX_KEPT < 6_000 * 9


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20)
NAMES = st.sampled_from([
    "Ntry", "NtryDtls", "TxDtls", "Amt", "Sts", "Cd", "CdtDbtInd", "Bal", "Tp", "CdOrPrtry", "Dt", "DtTm", "Refs",
    "EndToEndId", "RtrInf", "Rsn", "Btch", "NbOfTxs", "GrpHdr", "MsgId", "Stmt", "Acct", "Id", "IBAN", "TxInfAndSts",
    "TxSts", "OrgnlPmtInfAndSts", "PmtInfSts", "OrgnlGrpInfAndSts", "GrpSts", "OrgnlNbOfTxs", "OrgnlCtrlSum",
])  # fmt: skip
LEAVES = st.sampled_from(["", "1.00", "CLBD", "CRDT", "DBIT", "BOOK", "ACSC", "RJCT", "2026-11-20", "x", "9" * 30])


def element(name: str, inside: list[str], text: str) -> str:
    body = "".join(inside) or text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<{name} Ccy="EUR">{body}</{name}>'


TREES = st.recursive(
    st.builds(element, NAMES, st.just([]), LEAVES | TEXT),
    lambda children: st.builds(element, NAMES, st.lists(children, max_size=5), st.just("")),
    max_leaves=25,
)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(space=st.sampled_from([CAMT, PAIN]), inside=st.lists(TREES, max_size=4), cut=st.integers(0, 30) | st.none())
def test_whatever_comes_is_read_or_refused(space: str, inside: list[str], cut: int | None) -> None:
    name = "BkToCstmrStmt" if space == CAMT else "CstmrPmtStsRpt"
    content = (
        f'<Document xmlns="{space}"><{name}><GrpHdr><MsgId>M</MsgId></GrpHdr><Stmt>{"".join(inside)}</Stmt></{name}>'
        "</Document>"
    ).encode()
    try:
        items = read(content if cut is None else content[: len(content) - cut])
    except BankFileInvalid as error:
        assert error.message  # noqa: PT017 - that it says something is the point
        return
    lines = [one for one in items if isinstance(one, Line)]
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert all(line.amount is None or line.amount.is_finite() for line in lines)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(BankFileInvalid):
        read(content)


def test_a_report_of_single_payments_is_not_also_one_of_the_group() -> None:
    lines = [
        one
        for one in read(report(told("A", "RJCT"), group="<OrgnlMsgId>M</OrgnlMsgId><GrpSts>RJCT</GrpSts>"))
        if isinstance(one, Line)
    ]
    assert [(line.reference, line.message) for line in lines] == [("A", "")]
