"""A treasury without a bank process: the world of tests.world at an address where nobody answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from opsconsole.journal.models import Entry
from tests.world import TESTER, World, add_payouts, build

HEADER = "external_id,beneficiary_name,iban,bic,amount,currency,due_date,remittance"
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def world(transactional_db: None) -> World:
    """Two banks with an account of a thousand each; three payouts of 100.00, 100.01 and 100.02."""
    made = build(base_url=NOBODY, secret="secret", balance=Decimal(1000), actor=TESTER)
    add_payouts(count=3, amount=Decimal(100), actor=TESTER)
    return made


def refusal(db: psycopg.Connection[Any], query: str, *values: Any) -> str:
    """The constraint by which the database refuses this."""
    with pytest.raises(psycopg.errors.IntegrityError) as refused:
        db.execute(query, values)
    return refused.value.diag.constraint_name or ""


def verbs(*about: str) -> list[str]:
    """What the journal tells of payouts, or of what is named, in order."""
    said = Entry.objects.order_by("seq").values_list("verb", flat=True)
    return [verb for verb in said if verb.startswith(about or ("payout",))]


def line(number: int = 1, **changes: str) -> str:
    """A row of an import file."""
    values = {
        "external_id": f"X-{number}",
        "beneficiary_name": "Ann Example",
        "iban": "DE25370400449046584330",
        "bic": "COBADEFFXXX",
        "amount": "12.50",
        "currency": "EUR",
        "due_date": "2025-07-01",
        "remittance": "Invoice",
    } | changes
    return ",".join(values[name] for name in HEADER.split(","))


def text(*lines: str) -> str:
    """An import file."""
    return "\n".join([HEADER, *lines]) + "\n"
