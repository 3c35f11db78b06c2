"""A file of payouts, answered by a bank of files from its own books: settled to the cent, failed, given back."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from opsconsole.journal.models import Entry
from opsconsole.plans.models import Plan
from opsconsole.treasury import ledger
from opsconsole.treasury.models import BankFile, BankLine, Break, Instruction, Payout, StatedBalance, Transfer
from tests.treasury.bank_files.conftest import FileBank, balances
from tests.treasury.conftest import verbs
from tests.world import PAYEES, World, counts

TakeIn = Callable[..., BankFile]
MILLION = Decimal(1_000_000)


def total(**which: str) -> Decimal:
    return sum((payout.amount for payout in Payout.objects.filter(**which)), Decimal(0))


@pytest.mark.parametrize("batch", [False, True])
def test_settled_to_the_cent(
    world: World, sent: Plan, filebank: FileBank, take_in: TakeIn, artifacts: Path, batch: bool
) -> None:
    answers = filebank.answer(filebank.collect(), *(["--batch"] if batch else []))
    assert set(answers) == {"pain.002", "camt.053"}
    taken_on = take_in(answers["pain.002"], "status.xml")
    assert (taken_on.pending, taken_on.settled, taken_on.breaks) == (40, 0, 0)
    assert counts("treasury_payouts") == {"sent": 40}
    booked = take_in(answers["camt.053"], "statement.xml")
    assert (booked.schema, booked.status, booked.lines_read) == ("camt.053.001.08", "imported", 40)
    assert (booked.settled, booked.already, booked.breaks) == (40, 0, 0)
    assert counts("treasury_payouts") == {"settled": 40}
    assert counts("treasury_instructions") == {"settled": 40}
    assert balances(world) == {"settlement": MILLION - total(), "in_transit": 0, "paid_out": total()}
    assert ledger.prove() == []
    stated = StatedBalance.objects.get()
    assert (stated.stated, stated.difference) == (MILLION - total(), 0)
    assert (artifacts / booked.path).read_bytes() == answers["camt.053"]
    assert verbs("payouts", "bank_file") == [
        "payouts.made", "bank_file.received", "bank_file.taken_in", "bank_file.imported",
        "bank_file.received", "payouts.settled", "bank_file.taken_in", "bank_file.imported",
    ]  # fmt: skip
    assert Entry.objects.get(verb="payouts.settled").content["actor"]["name"] == "finance_ops"


def test_the_same_file_and_an_overlapping_one_add_nothing(
    world: World, sent: Plan, filebank: FileBank, take_in: TakeIn
) -> None:
    answers = filebank.answer(filebank.collect())
    first = take_in(answers["camt.053"], "statement.xml")
    before = Transfer.objects.count(), Entry.objects.count(), BankLine.objects.count()
    again = take_in(answers["camt.053"], "another-name.xml")
    assert again.pk == first.pk
    assert (Transfer.objects.count(), Entry.objects.count(), BankLine.objects.count()) == before
    overlapping = take_in(answers["camt.053"].replace(b"STM-", b"STX-"))
    assert (overlapping.already, overlapping.settled, overlapping.breaks) == (40, 0, 0)
    assert Transfer.objects.count() == before[0]
    assert balances(world)["paid_out"] == total()


def test_what_the_bank_refuses_fails_and_what_it_gives_back_comes_back(
    world: World, sent: Plan, filebank: FileBank, take_in: TakeIn
) -> None:
    answers = filebank.answer(filebank.collect(), "--reject", PAYEES[0], "--return", PAYEES[1])
    assert set(answers) == {"pain.002", "camt.053", "camt.054"}
    refused = take_in(answers["pain.002"])
    assert (refused.failed, refused.pending) == (10, 30)
    assert counts("treasury_payouts") == {"sent": 30, "failed": 10}
    assert Instruction.objects.filter(status="failed", reason__startswith="AC04").count() == 10
    assert take_in(answers["camt.053"]).settled == 30
    back = take_in(answers["camt.054"], "returns.xml")
    assert (back.schema, back.returned, back.breaks) == ("camt.054.001.08", 10, 0)
    assert counts("treasury_payouts") == {"settled": 20, "returned": 10, "failed": 10}
    paid = total(status="settled")
    assert balances(world) == {"settlement": MILLION - paid, "in_transit": 0, "paid_out": paid}
    assert not Break.objects.exists()
    assert StatedBalance.objects.get().difference == 0
    assert ledger.prove() == []
    entry = Entry.objects.get(verb="payouts.returned")
    assert all("AC04" in one["reason"] for one in entry.content["after"]["payouts"])
    assert take_in(answers["camt.054"].replace(b"NTF-", b"NTX-")).already == 10


def test_a_file_that_the_bank_has_answered_twice_is_paid_once(sent: Plan, filebank: FileBank, take_in: TakeIn) -> None:
    file = filebank.collect()
    filebank.answer(file)
    again = filebank.answer(file)
    take_in(again["camt.053"])
    assert counts("treasury_payouts") == {"settled": 40}
    assert StatedBalance.objects.get().difference == 0
