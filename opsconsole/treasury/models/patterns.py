"""What an IBAN and a currency look like to the database."""

from __future__ import annotations

from typing import Final

CURRENCY: Final = r"^[A-Z]{3}$"
IBAN: Final = r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"
