"""What a payout may say, column by column; whatever is thrown at it, a reason comes back and no error."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.treasury.currencies import DECIMALS, decimals_of
from opsconsole.treasury.payouts.facts import COLUMNS, FactsRefused, read_facts

GOOD = {
    "external_id": "X-1",
    "beneficiary_name": "Müller & Söhne",
    "iban": "DE25370400449046584330",
    "bic": "COBADEFFXXX",
    "amount": "1390.11",
    "currency": "EUR",
    "due_date": "2025-08-01",
    "remittance": "",
}


def problems(**changes: str) -> dict[str, str]:
    with pytest.raises(FactsRefused) as refused:
        read_facts(GOOD | changes)
    return refused.value.problems


def test_reads_a_payout() -> None:
    facts = read_facts(GOOD)
    assert facts.amount == Decimal("1390.11")
    assert facts.due_date == date(2025, 8, 1)
    assert facts.row == (
        *("X-1", "Müller & Söhne", "DE25370400449046584330", "COBADEFFXXX", Decimal("1390.11"), "EUR"),
        *(date(2025, 8, 1), "", ""),
    )


def test_takes_blanks_around_values_and_inside_an_iban() -> None:
    facts = read_facts(GOOD | {"iban": " de25 3704 0044 9046 5843 30 ", "amount": " 7 ", "beneficiary_name": " A  B "})
    assert (facts.iban, facts.amount, facts.beneficiary_name) == ("DE25370400449046584330", Decimal("7.00"), "A  B")


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("external_id", "", "is missing"),
        ("external_id", "x" * 101, "is 101 characters long; 100 is the most"),
        ("beneficiary_name", " ", "is missing"),
        ("beneficiary_name", "x" * 141, "is 141 characters long; 140 is the most"),
        ("beneficiary_name", "a\tb", "holds a control character"),
        ("beneficiary_name", "a\x00b", "holds a control character"),
        ("beneficiary_name", "a\udcffb", "holds bytes that are not UTF-8"),
        ("remittance", "x" * 141, "is 141 characters long; 140 is the most"),
        ("iban", "", "is missing"),
        ("iban", "DE26370400449046584330", "fails the IBAN's check digits"),
        ("iban", "DE2537040044904658433", "fails the IBAN's check digits"),
        ("iban", "XX79370400449046584330", "is not an IBAN of any country"),
        ("iban", "DE5112345678901", "is not an IBAN of any country"),
        ("iban", "hello", "is not an IBAN"),
        ("iban", "DE２5370400449046584330", "is not an IBAN"),
        ("bic", "", "is missing"),
        ("bic", "COBADE", "is not a BIC: eight or eleven letters and digits"),
        ("bic", "C0BADEFFXXX", "is not a BIC: eight or eleven letters and digits"),
        ("amount", "", "is missing"),
        ("amount", "0", "is not positive"),
        ("amount", "0.00", "is not positive"),
        ("amount", "-1", "is not positive"),
        ("amount", "1e3", "is not an amount such as 1390.11"),
        ("amount", "1,000.00", "is not an amount such as 1390.11"),
        ("amount", "NaN", "is not an amount such as 1390.11"),
        ("amount", "Infinity", "is not an amount such as 1390.11"),
        ("amount", "１", "is not an amount such as 1390.11"),
        ("amount", "+1", "is not an amount such as 1390.11"),
        ("amount", "1.", "is not an amount such as 1390.11"),
        ("amount", "1000000000000", "is more than 999999999999.99"),
        ("amount", "1.005", "has more decimals than the 2 of EUR"),
        ("currency", "", "is missing"),
        ("currency", "EURO", "is no currency of ISO 4217"),
        ("currency", "eur", "is no currency of ISO 4217"),
        ("currency", "XXX", "is no currency of ISO 4217"),
        ("due_date", "", "is missing"),
        ("due_date", "01.08.2025", "is not a date such as 2025-08-01"),
        ("due_date", "20250801", "is not a date such as 2025-08-01"),
        ("due_date", "2025-W31-5", "is not a date such as 2025-08-01"),
        ("due_date", "2025-02-29", "is not a day of the calendar"),
        ("due_date", "0001-01-01", "lies outside 1970-01-01 to 2199-12-31"),
    ],
)
def test_says_what_is_wrong_with_a_column(column: str, value: str, reason: str) -> None:
    assert problems(**{column: value}) == {column: reason}


def test_says_everything_that_is_wrong() -> None:
    wrong = problems(iban="x", amount="0", due_date="soon", beneficiary_name="")
    assert set(wrong) == {"iban", "amount", "due_date", "beneficiary_name"}


@pytest.mark.parametrize(
    ("currency", "amount", "kept"),
    [("JPY", "150", "150.00"), ("JPY", "150.00", "150.00"), ("KWD", "1.230", "1.23"), ("EUR", "0.01", "0.01")],
)
def test_an_amount_has_the_decimals_of_its_currency(currency: str, amount: str, kept: str) -> None:
    assert str(read_facts(GOOD | {"currency": currency, "amount": amount}).amount) == kept


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "150.5"), ("KWD", "1.234"), ("XOF", "0.01")])
def test_an_amount_has_no_more_decimals_than_its_currency(currency: str, amount: str) -> None:
    assert set(problems(currency=currency, amount=amount)) == {"amount"}


def test_knows_the_currencies_of_iso_4217() -> None:
    assert len(DECIMALS) == 156
    assert {decimals_of(code) for code in ("EUR", "USD", "XCG", "ZWG")} == {2}
    assert decimals_of("XOF") == 0
    assert decimals_of("BHD") == 2  # of its three, two are kept
    assert [decimals_of(code) for code in ("XAU", "DEM", "HRK", "", "EU")] == [None] * 5


@given(st.fixed_dictionaries({column: st.text(max_size=60) for column in COLUMNS}))
def test_survives_anything(raw: dict[str, str]) -> None:
    with suppress(FactsRefused):
        read_facts(raw)


@given(st.sampled_from(COLUMNS), st.text())
def test_one_odd_column_spoils_only_itself(column: str, value: str) -> None:
    wrong: dict[str, str] = {}
    try:
        facts = read_facts(GOOD | {column: value})
    except FactsRefused as refused:
        wrong = refused.problems
    else:
        assert all("\x00" not in str(part) for part in facts.row)
    assert set(wrong) <= {column, "amount"}
