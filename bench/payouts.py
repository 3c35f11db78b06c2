"""Payouts for benchmarks: as many as the real file has, made of numbers, with IBANs whose checksum is right."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

ROWS = 26_936
COLUMNS = ("external_id", "beneficiary_name", "iban", "bic", "amount", "currency", "due_date", "remittance")


def german_iban(number: int) -> str:
    """A German IBAN with this account number and a right checksum (ISO 13616)."""
    bban = f"37040044{number:010d}"
    check = 98 - int(f"{bban}131400") % 97
    return f"DE{check:02d}{bban}"


def write(path: Path, *, rows: int, prefix: str = "BENCH") -> Path:
    """A file for `import_payouts`."""
    start = date(2020, 1, 1)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(rows):
            payee = number % 3_462
            writer.writerow(
                [
                    f"{prefix}-{number:06d}",
                    f"Payee {payee} Limited",
                    german_iban(payee + 1),
                    "COBADEFFXXX",
                    f"{250 + number % 900}.{number % 100:02d}",
                    "EUR",
                    (start + timedelta(days=number % 1_800)).isoformat(),
                    f"Invoice {number}",
                ]
            )
    return path
