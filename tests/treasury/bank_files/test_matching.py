"""What a line means for a payment, and what is a break: nothing is guessed."""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal

import pytest

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, Invalid
from opsconsole.core.models import OutboxEvent
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from opsconsole.plans.models import Plan
from opsconsole.treasury import jobs, ledger
from opsconsole.treasury.errors import BreakNotFound
from opsconsole.treasury.models import BankFile, BankLine, Break, Instruction, StatedBalance, Transfer
from opsconsole.treasury.payouts.file_submissions import message_id
from opsconsole.treasury.selectors import files_left_behind
from opsconsole.treasury.services import bank_files, breaks
from opsconsole.treasury.services.bank_files import import_bank_file, inspect_file, receive_file, take_in_chunk
from tests.admin.conftest import contents
from tests.sandbox_bank.process import OUR_IBAN
from tests.treasury.bank_files.conftest import balances, entry, report, statement, told
from tests.world import World, counts

TakeIn = Callable[..., BankFile]
RETURNED = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"


@pytest.fixture
def payments(sent: Plan) -> list[Instruction]:
    return list(Instruction.objects.order_by("ordinal"))


def verdicts(file: BankFile) -> list[tuple[str, str]]:
    reasons = dict(Break.objects.filter(file=file).values_list("line__number", "reason"))
    return [
        (line.verdict, reasons.get(line.number, "")) for line in BankLine.objects.filter(file=file).order_by("number")
    ]


def test_what_does_not_match_is_a_break_and_moves_nothing(
    world: World, payments: list[Instruction], take_in: TakeIn
) -> None:
    one, two, three, four = payments[:4]
    before = balances(world)
    file = take_in(
        statement(
            entry(f"E2E{'0' * 32}", "5.00"),
            entry(one.end_to_end_id, f"{one.amount + 1}"),
            entry(two.end_to_end_id, f"{two.amount}", currency="USD"),
            entry("NOTPROVIDED", "7.00"),
            entry(three.end_to_end_id, f"{three.amount}", direction="CRDT"),
            entry(four.end_to_end_id, f"{four.amount}", more="<RvslInd>true</RvslInd>"),
            entry(four.end_to_end_id, f"{four.amount}", status="PDNG"),
        )
    )
    assert verdicts(file) == [
        ("break", "unknown_reference"),
        ("break", "other_amount"),
        ("break", "other_currency"),
        ("break", "no_reference"),
        ("break", "unexpected"),
        ("break", "unexpected"),
        ("pending", ""),
    ]
    assert (file.breaks, file.pending, file.settled) == (6, 1, 0)
    assert counts("treasury_payouts") == {"sent": 40}
    assert balances(world) == before
    assert Break.objects.get(reason="other_amount").detail == f"it is {one.amount + 1}, ours {one.amount}"
    assert OutboxEvent.objects.filter(topic="bank_file.break").count() == 6
    elsewhere = take_in(statement(entry(one.end_to_end_id, f"{one.amount}"), account=OUR_IBAN))
    assert verdicts(elsewhere) == [("break", "wrong_account")]


def test_one_payment_booked_and_given_back_in_one_file(
    world: World, payments: list[Instruction], take_in: TakeIn
) -> None:
    one, two = payments[:2]
    file = take_in(
        statement(
            entry(one.end_to_end_id, f"{one.amount}"),
            entry(two.end_to_end_id, f"{two.amount}"),
            entry(one.end_to_end_id, f"{one.amount}", direction="CRDT", details=RETURNED),
            entry(one.end_to_end_id, f"{one.amount}"),
            entry(two.end_to_end_id, f"{two.amount}", direction="CRDT", more="<RvslInd>true</RvslInd>"),
        )
    )
    assert [verdict for verdict, _ in verdicts(file)] == ["settled", "settled", "returned", "already", "returned"]
    assert counts("treasury_payouts") == {"sent": 38, "returned": 2}
    assert balances(world)["paid_out"] == 0
    assert ledger.prove() == []


def test_what_a_status_report_says_of_single_payments(payments: list[Instruction], take_in: TakeIn) -> None:
    one, two, three, four = payments[:4]
    file = take_in(
        report(
            told(one.end_to_end_id, "ACSC"),
            told(two.end_to_end_id, "RJCT", reason="AC01"),
            told(three.end_to_end_id, "ACSP"),
            told(four.end_to_end_id, "WHAT"),
            group="<GrpSts>PART</GrpSts>",
            block="<PmtInfSts>PART</PmtInfSts>",
        )
    )
    assert verdicts(file) == [("settled", ""), ("failed", ""), ("pending", ""), ("break", "unexpected")]
    assert Instruction.objects.get(pk=two.pk).reason == "AC01"
    contrary = take_in(report(told(one.end_to_end_id, "RJCT"), told(two.end_to_end_id, "ACSC")))
    assert verdicts(contrary) == [("break", "unexpected"), ("break", "unexpected")]
    assert counts("treasury_payouts") == {"settled": 1, "failed": 1, "sent": 38}


@pytest.mark.parametrize(("level", "element"), [("group", "OrgnlMsgId"), ("block", "OrgnlPmtInfId")])
def test_a_status_of_the_whole_file(
    world: World, payments: list[Instruction], take_in: TakeIn, level: str, element: str
) -> None:
    assert payments[0].step is not None
    ours = message_id(payments[0].step.key)
    status = "GrpSts" if level == "group" else "PmtInfSts"
    wrong = {level: f"<{element}>{ours}</{element}><OrgnlNbOfTxs>39</OrgnlNbOfTxs><{status}>ACSC</{status}>"}
    assert verdicts(take_in(report(**wrong))) == [("break", "other_amount")]
    unknown = {level: f"<{element}>OPS123</{element}><{status}>RJCT</{status}>"}
    assert verdicts(take_in(report(**unknown))) == [("break", "unknown_reference")]
    right = {level: f"<{element}>{ours}</{element}><OrgnlNbOfTxs>40</OrgnlNbOfTxs><{status}>RJCT</{status}>"}
    file = take_in(report(**right))
    assert verdicts(file) == [("failed", "")]
    assert BankLine.objects.get(file=file).detail == "40 payments"
    assert counts("treasury_payouts") == {"failed": 40}
    assert balances(world)["in_transit"] == 0
    assert take_in(report(**right) + b" ").already == 1


def test_a_collective_entry_settles_the_file(world: World, payments: list[Instruction], take_in: TakeIn) -> None:
    assert payments[0].step is not None
    total = sum((one.amount for one in payments), Decimal(0))
    batch = f"<Btch><MsgId>{message_id(payments[0].step.key)}</MsgId><NbOfTxs>40</NbOfTxs></Btch>"
    file = take_in(
        statement(
            f'<Ntry><Amt Ccy="EUR">{total}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>'
            f"<NtryDtls>{batch}</NtryDtls></Ntry>",
            space="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02",
        )
    )
    assert (file.schema, verdicts(file)) == ("camt.053.001.02", [("settled", "")])
    assert balances(world)["paid_out"] == total


def test_a_stated_balance_that_differs_says_by_how_much(sent: Plan, take_in: TakeIn) -> None:
    closing = (
        '<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">999999.50</Amt>'
        "<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-19</Dt></Dt></Bal>"
    )
    take_in(statement(closing=closing))
    assert StatedBalance.objects.get().difference == Decimal("-0.50")  # what is sent is still on the account there


def test_an_import_that_broke_off_goes_on(
    sent: Plan,
    payments: list[Instruction],
    take_in: TakeIn,
    person: Callable[..., Actor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bank_files, "CHUNK", 10)
    content = statement(*(entry(one.end_to_end_id, f"{one.amount}") for one in payments))
    stream, actor = io.BytesIO(content), person("finance_ops")
    facts, _ = inspect_file(stream=stream, name="f.xml")
    file_id, _ = receive_file(facts=facts, actor=actor)
    lines = list(bank_files._lines(stream))[:10]
    assert take_in_chunk(file_id=file_id, lines=lines, actor=actor) == {"settled": 10}
    assert take_in_chunk(file_id=file_id, lines=lines, actor=actor) == {}  # and here it died
    seen: list[tuple[int, int]] = []
    file, new = import_bank_file(
        stream=stream, name="f.xml", actor=actor, on_progress=lambda done, all_: seen.append((done, all_))
    )
    assert (file.pk, new, file.settled, file.lines_read) == (file_id, True, 40, 40)
    assert seen == [(10, 40), (20, 40), (30, 40), (40, 40)]
    assert Transfer.objects.filter(kind="settled").count() == 40
    assert ledger.prove() == []


def test_an_import_that_nobody_goes_on_with_is_gone_on_with(
    payments: list[Instruction], person: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = payments[0]
    stream, actor = io.BytesIO(statement(entry(one.end_to_end_id, f"{one.amount}"))), person("finance_ops")

    def die(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bank_files, "take_in_chunk", die)
    with pytest.raises(KeyboardInterrupt):
        import_bank_file(stream=stream, name="f.xml", actor=actor)
    monkeypatch.undo()
    file = BankFile.objects.get()
    assert (file.status, files_left_behind(120)) == ("reading", [])
    assert files_left_behind(0) == [file.pk]
    jobs.take_in_bank_file(str(file.pk))
    file.refresh_from_db()
    assert (file.status, file.settled, files_left_behind(0)) == ("imported", 1, [])
    jobs.take_in_bank_file(str(file.pk))
    assert counts("treasury_payouts") == {"sent": 39, "settled": 1}


class TestResolving:
    @pytest.fixture
    def found(self, take_in: TakeIn, world: World) -> Break:
        take_in(statement(entry("NOTPROVIDED", "7.00")))
        return Break.objects.get()

    def test_with_a_reason_once(self, found: Break, person: Callable[..., Actor]) -> None:
        done = breaks.resolve_break(break_id=found.pk, reason="the bank's fee", actor=person("pay_admin"))
        assert (done.status, done.resolution, done.resolved_by) == ("resolved", "the bank's fee", "pay_admin")
        assert Entry.objects.get(verb="break.resolved").content["reason"] == "the bank's fee"
        with pytest.raises(WrongState):
            breaks.resolve_break(break_id=found.pk, reason="again", actor=person("pay_admin"))

    @pytest.mark.parametrize(("who", "reason", "refusal"), [
        ("finance_ops", "  ", Invalid), ("ops", "x", Denied), ("auditor", "x", Denied), ("dev", "x", BreakNotFound),
    ])  # fmt: skip
    def test_refused(
        self, found: Break, person: Callable[..., Actor], who: str, reason: str, refusal: type[Exception]
    ) -> None:
        actor = person(who)
        before = contents()
        with pytest.raises(refusal):
            breaks.resolve_break(break_id=found.pk, reason=reason, actor=actor)
        assert contents() == before
        found.refresh_from_db()
        assert found.status == "open"


@pytest.mark.parametrize("who", ["ops", "auditor", "admin", "dev"])
def test_who_may_not_import_changes_nothing(
    world: World, take_in: TakeIn, person: Callable[..., Actor], who: str
) -> None:
    person(who)
    before = contents()
    with pytest.raises(Denied):
        take_in(statement(entry("X", "1.00")), who=who)
    assert contents() == before
    assert not BankFile.objects.exists()
