"""Treasury's jobs: asking banks what became of sent payments, and adding up the tallies."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from opsconsole.core.actors import SYSTEM
from opsconsole.core.queue import enqueue, leaving
from opsconsole.core.schedule import periodic
from opsconsole.treasury.bank_gateways import payment_gateway
from opsconsole.treasury.gateways.base import Absent, Known, NoAnswer
from opsconsole.treasury.models import Bank
from opsconsole.treasury.services import settlement, tallies

log = structlog.get_logger(__name__)

SETTLE_BANK: Final = "opsconsole.treasury.jobs.settle_bank"
SETTLEMENT = SYSTEM("settlement")
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
def add_up_tallies() -> None:
    """Keep the tallies of payouts short."""
    tallies.add_up(actor=SYSTEM("tally"))
