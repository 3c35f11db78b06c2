"""The demo banks, their accounts with enough money for the whole demo file, the route, and the first payouts."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings

from opsconsole.core.actors import Actor
from opsconsole.treasury.payouts.files import PayoutFile
from opsconsole.treasury.services.banks import (
    BankFacts,
    fund_account,
    open_account,
    open_route,
    set_up_bank,
)
from opsconsole.treasury.services.imports import Totals, import_payouts
from opsconsole.treasury.states import GatewayKind

EXTRACT: Final = Path(__file__).parent / "payouts.csv"
OPENING: Final = Decimal("1100000000.00")  # the whole file pays out 1,015,897,230.54
SANDBOX_IBAN: Final = "DE36100100100000000001"
SECOND_IBAN: Final = "DE09100100100000000002"
FILE_IBAN: Final = "FR4030004000030000000000172"


def seed_money(*, bank_url: str, actor: Actor) -> Totals:
    """Have the banks, accounts, route and payouts; of what is there, only what was said about a bank is renewed."""
    sandbox = set_up_bank(
        facts=BankFacts(
            code="sandbox",
            name="Sandbox Bank",
            bic="SANDDEFFXXX",
            gateway=GatewayKind.HTTP,
            priority=10,
            base_url=bank_url,
            key_id=settings.SANDBOX_BANK_KEY_ID,
            secret=settings.SANDBOX_BANK_SECRET,
            fee_per_payment=Decimal("0.20"),
        ),
        actor=actor,
    )
    # The same sandbox under another name: payments can be led over to it.
    second = set_up_bank(
        facts=BankFacts(
            code="sandbox2",
            name="Second Sandbox Bank",
            bic="SANDDEFF002",
            gateway=GatewayKind.HTTP,
            priority=15,
            base_url=bank_url,
            key_id=settings.SANDBOX_BANK_KEY_ID,
            secret=settings.SANDBOX_BANK_SECRET,
            fee_per_payment=Decimal("0.30"),
        ),
        actor=actor,
    )
    filebank = set_up_bank(
        facts=BankFacts(
            code="filebank",
            name="File Bank",
            bic="FILEFRPPXXX",
            gateway=GatewayKind.ISO20022,
            priority=20,
            fee_per_payment=Decimal("0.05"),
        ),
        actor=actor,
    )
    account_id = _account(sandbox.pk, "Molam payouts at Sandbox Bank", SANDBOX_IBAN, actor=actor)
    _account(second.pk, "Molam payouts at Second Sandbox Bank", SECOND_IBAN, actor=actor)
    _account(filebank.pk, "Molam payouts at File Bank", FILE_IBAN, actor=actor)
    open_route(currency="EUR", country=None, account_id=account_id, actor=actor)
    _tell_the_sandbox_bank()
    return import_payouts(
        lines=PayoutFile(EXTRACT),
        file_name="demo/payouts.csv",
        on_bad=_never,
        on_progress=lambda _: None,
        actor=actor,
    )


def bank_accounts_file() -> Path:
    """What the sandbox bank opens when it starts: the body of its `POST /sandbox/accounts`."""
    return Path(settings.VAR) / "demo" / "bank-accounts.json"


def _account(bank_id: UUID, name: str, iban: str, *, actor: Actor) -> UUID:
    account = open_account(bank_id=bank_id, name=name, iban=iban, currency="EUR", actor=actor)
    fund_account(account_id=account.pk, amount=OPENING, reference=f"demo:opening:{iban}", actor=actor)
    return account.pk


def _tell_the_sandbox_bank() -> None:
    # By a file, since the bank is another process that starts after this.
    accounts = [
        {"iban": iban, "currency": "EUR", "opening_balance": f"{OPENING:f}"} for iban in (SANDBOX_IBAN, SECOND_IBAN)
    ]
    path = bank_accounts_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"accounts": accounts}))
    fresh.replace(path)


def _never(bad: object) -> None:
    raise AssertionError(f"the demo extract holds a bad row: {bad}")
