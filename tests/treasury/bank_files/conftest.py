"""A bank of files: a payout plan that went out as one pain.001, and the bank's answers from its own books."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from opsconsole.core.actors import Actor
from opsconsole.plans.models import Plan
from opsconsole.treasury.models import Account, BankFile
from opsconsole.treasury.services.bank_files import import_bank_file
from opsconsole.treasury.states import AccountKind
from tests.plans.conftest import approved, draft, executed, world
from tests.sandbox_bank.process import ROOT, bank, shared_bank
from tests.world import ISO_IBAN, TESTER, World, route_through

__all__ = ["approved", "bank", "draft", "executed", "shared_bank", "world"]

CAMT = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
PAIN = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"


@dataclass(frozen=True, slots=True)
class FileBank:
    """The bank that takes files: its books in a folder of their own."""

    trays: Path
    home: Path

    def collect(self) -> Path:
        """Take the one file that lies there, as the bank's connection does."""
        (laid_out,) = (self.trays / "outgoing").iterdir()
        collected = self.trays / "collected" / laid_out.name
        collected.parent.mkdir(exist_ok=True)
        return laid_out.rename(collected)

    def answer(self, file: Path, *options: str, accounts: dict[str, str] | None = None) -> dict[str, bytes]:
        """What the bank writes about a file, by kind of message."""
        opened = accounts or {ISO_IBAN: "1000000.00"}
        listed = [{"iban": iban, "currency": "EUR", "opening_balance": money} for iban, money in opened.items()]
        self.home.mkdir(exist_ok=True)
        (self.home / "accounts.json").write_text(json.dumps({"accounts": listed}))
        out = self.home / "out"
        told = subprocess.run(
            [sys.executable, "-m", "sandbox_bank", "answer", str(file), "--store", str(self.home / "store")]
            + ["--out", str(out), "--accounts", str(self.home / "accounts.json"), *options],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        paths = [Path(line) for line in told.stdout.split()]
        return {path.name.split(".", 1)[1].removesuffix(".xml"): path.read_bytes() for path in paths}


@pytest.fixture
def filebank(artifacts: Path, tmp_path: Path) -> FileBank:
    """Where its files are laid out, and its books."""
    return FileBank(artifacts / "banks" / "filebank", tmp_path / "filebank")


@pytest.fixture
def take_in(person: Callable[..., Actor]) -> Callable[..., BankFile]:
    """Import bytes as `finance_ops`."""

    def take(content: bytes, name: str = "file.xml", who: str = "finance_ops") -> BankFile:
        return import_bank_file(stream=io.BytesIO(content), name=name, actor=person(who))[0]

    return take


@pytest.fixture
def sent(world: World, executed: Callable[..., tuple[Plan, object]]) -> Plan:
    """Forty payouts in one file."""
    route_through(route=world.route.pk, account=world.iso_account, actor=TESTER)
    plan, _ = executed()
    assert plan.status == "succeeded"
    return plan


def balances(world: World) -> dict[str, Decimal]:
    """The accounts of the bank of files, by kind; funding aside."""
    accounts = Account.objects.filter(bank=world.iso).exclude(kind=AccountKind.FUNDING)
    return {account.kind: account.ledger_balance for account in accounts}


def statement(*entries: str, account: str = ISO_IBAN, closing: str = "", space: str = CAMT) -> bytes:
    """A camt.053 with these entries."""
    return (
        f'<Document xmlns="{space}"><BkToCstmrStmt><GrpHdr><MsgId>M1</MsgId></GrpHdr><Stmt><Id>S1</Id>'
        f"<Acct><Id><IBAN>{account}</IBAN></Id></Acct>{closing}{''.join(entries)}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def entry(
    reference: str,
    amount: str,
    *,
    currency: str = "EUR",
    direction: str = "DBIT",
    status: str = "BOOK",
    more: str = "",
    details: str = "",
) -> str:
    """An entry of a statement with one transaction."""
    return (
        f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>{more}'
        f"<Sts><Cd>{status}</Cd></Sts>"
        f"<NtryDtls><TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs>{details}</TxDtls></NtryDtls></Ntry>"
    )


def report(*transactions: str, group: str = "", block: str = "") -> bytes:
    """A pain.002."""
    return (
        f'<Document xmlns="{PAIN}"><CstmrPmtStsRpt><GrpHdr><MsgId>R1</MsgId></GrpHdr>'
        f"<OrgnlGrpInfAndSts>{group}</OrgnlGrpInfAndSts>"
        f"<OrgnlPmtInfAndSts>{block}{''.join(transactions)}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    ).encode()


def told(reference: str, status: str, *, reason: str = "") -> str:
    """A transaction of a pain.002."""
    why = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""
    return f"<TxInfAndSts><OrgnlEndToEndId>{reference}</OrgnlEndToEndId><TxSts>{status}</TxSts>{why}</TxInfAndSts>"
