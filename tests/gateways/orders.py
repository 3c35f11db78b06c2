"""Orders for tests: payees, amounts and purposes of real payments (Greater London Authority, public domain)."""

from __future__ import annotations

import csv
import dataclasses
from datetime import date
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from opsconsole.treasury.gateways.base import PaymentOrder
from tests.sandbox_bank.process import OUR_IBAN

PAYMENTS = Path(__file__).with_name("payments.csv")


def make_order(**changes: Any) -> PaymentOrder:
    """One order with a fresh key and end-to-end id."""
    order = PaymentOrder(
        key=str(uuid4()),
        end_to_end_id=uuid4().hex,
        amount=Decimal("1390.11"),
        currency="EUR",
        debtor_name="Molam SA",
        debtor_iban=OUR_IBAN,
        debtor_bic="COBADEFFXXX",
        creditor_name="JILL BARTLETT & COMPANY LTD",
        creditor_iban="DE25370400449046584330",
        creditor_bic="COBADEFFXXX",
        remittance="Catering Charges",
        requested_on=date(2026, 11, 20),
    )
    return dataclasses.replace(order, **changes)


def real_orders(count: int) -> list[PaymentOrder]:
    """So many orders after real payments, the extract again and again, each with its own end-to-end id."""
    with PAYMENTS.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return [
        make_order(
            end_to_end_id=f"{row['external_id']}-{number:05d}",
            amount=Decimal(row["amount"]),
            creditor_name=row["beneficiary_name"],
            creditor_iban=row["iban"],
            creditor_bic=row["bic"],
            remittance=row["remittance"],
        )
        for number, row in enumerate(islice(cycle(rows), count))
    ]
