"""Treasury's jobs: asking banks what became of sent payments, going on with their files, adding up the tallies."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import BinaryIO, Final, cast
from uuid import UUID

import structlog

from opsconsole.core.actors import SYSTEM
from opsconsole.core.queue import enqueue, leaving
from opsconsole.core.schedule import periodic
from opsconsole.core.storage import artifacts
from opsconsole.treasury.bank_gateways import payment_gateway
from opsconsole.treasury.gateways.base import Absent, Known, NoAnswer
from opsconsole.treasury.models import Bank, BankFile
from opsconsole.treasury.selectors import files_left_behind
from opsconsole.treasury.services import bank_files, settlement, tallies

log = structlog.get_logger(__name__)

SETTLE_BANK: Final = "opsconsole.treasury.jobs.settle_bank"
TAKE_IN: Final = "opsconsole.treasury.jobs.take_in_bank_file"
SETTLEMENT = SYSTEM("settlement")
# An import that is under way is done with a file of ordinary size by then.
LEFT_BEHIND: Final = timedelta(minutes=2)
# One job asks for no longer than this: the queue has others waiting.
TURN: Final = timedelta(seconds=20)


@periodic(every=timedelta(seconds=2))
def wake_settlement() -> None:
    """Wake a worker for every bank with payments to be asked for; the banks are asked there, not here."""
    for bank_id in settlement.claim_wake_ups(actor=SETTLEMENT):
        enqueue(SETTLE_BANK, str(bank_id))


def settle_bank(bank_id: str) -> None:
    """Ask the bank for what is due and write down what it says; safe to call at any time, by any number of workers."""
    bank = Bank.objects.get(pk=UUID(bank_id))
    gateway = payment_gateway(bank)
    until = time.monotonic() + TURN.total_seconds()
    while time.monotonic() < until and not leaving():  # what is left, the sweeper asks for again
        due = settlement.claim_due(bank_id=bank.pk, actor=SETTLEMENT)
        findings = gateway.status_many([one.key for one in due]) if due else []
        answers = [
            (one.instruction_id, finding)
            for one, finding in zip(due, findings, strict=True)
            if isinstance(finding, Known)
        ]
        settlement.conclude(bank_id=bank.pk, answers=answers, actor=SETTLEMENT)
        lost = [one.key for one, finding in zip(due, findings, strict=True) if isinstance(finding, Absent)]
        if lost:
            log.error("settlement.unknown_to_bank", bank=bank.code, keys=lost[:20], count=len(lost))
        if len(due) < settlement.AT_ONCE or any(isinstance(finding, NoAnswer) for finding in findings):
            break
    settlement.allow_wake_up(bank_id=bank.pk, actor=SETTLEMENT)


@periodic(every=timedelta(seconds=30))
def wake_bank_files() -> None:
    """Have files of banks taken in to their end whose import was interrupted; their bytes are in the storage."""
    for file_id in files_left_behind(LEFT_BEHIND.total_seconds()):
        enqueue(TAKE_IN, str(file_id))


def take_in_bank_file(file_id: str) -> None:
    """Go on with a file; safe to call at any time, also while somebody is at it."""
    file = BankFile.objects.get(pk=UUID(file_id))
    with artifacts().open(file.path) as stream:
        bank_files.import_bank_file(stream=cast(BinaryIO, stream), name=file.name, actor=SYSTEM("bank-files"))


@periodic(every=timedelta(seconds=30))
def add_up_tallies() -> None:
    """Keep the tallies of payouts short."""
    tallies.add_up(actor=SYSTEM("tally"))
