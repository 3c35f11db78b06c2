"""Vouchers: each once, in time, so many for a member; wrong codes learn nothing; codes are shown nowhere."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from loyalty.errors import (
    BatchNameTaken,
    BatchNotReady,
    MemberFrozen,
    NothingToDo,
    PointsInvalid,
    VoucherLimit,
    VoucherUsed,
)
from loyalty.jobs import vouchers as jobs
from loyalty.models import Balance, Program, Transaction, Voucher, VoucherBatch, VoucherMiss
from loyalty.services import members, programs, vouchers
from loyalty.vouchers import codes, files
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, DomainError, NotFound
from opsconsole.core.models import OutboxEvent
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def batch(program: Program, marketing: Actor) -> Callable[..., VoucherBatch]:
    """Issue a batch and have its codes made: `batch("Fair", count=3, per_member=2)`."""

    def issue(name: str = "Fair", **facts: Any) -> VoucherBatch:
        wanted = {"program_id": program.pk, "points": 250, "count": 3, **facts}
        made, _new = vouchers.issue_batch(name=name, **wanted, actor=marketing)
        jobs.make_codes(str(made.pk))
        made.refresh_from_db()
        return made

    return issue


def codes_of(batch: VoucherBatch) -> list[str]:
    return list(batch.vouchers.order_by("pk").values_list("code", flat=True))


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except DomainError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def everything_told() -> str:
    """All that the journal and the outbox have."""
    told = [entry.body for entry in Entry.objects.all()] + [str(event.data) for event in OutboxEvent.objects.all()]
    return "\n".join(told)


# --- codes ----------------------------------------------------------------------------------------------------------


def test_codes_are_long_and_read_as_they_are_typed() -> None:
    made = list(codes.new_codes(2_000))
    assert len(set(made)) == 2_000
    assert set("".join(made)) == set(codes.ALPHABET)
    assert {len(code) for code in made} == {16}
    assert codes.normal(" 7xk2-9qwd 4mOt-zbIh ") == "7XK29QWD4M0TZB1H"
    assert codes.normal("7XK2-9QWD-4M0T-ZB1U") is None
    assert codes.normal("7XK2") is None
    assert codes.grouped("7XK29QWD4M0TZB1H") == "7XK2-9QWD-4M0T-ZB1H"


def test_codes_are_made_in_chunks_and_gone_on_with(
    program: Program, marketing: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vouchers, "CHUNK", 40)
    order = {"program_id": program.pk, "name": "Fair", "points": 10, "count": 100, "actor": marketing}
    batch, new = vouchers.issue_batch(**order)
    again, second = vouchers.issue_batch(**order)
    assert (new, second, again.pk) == (True, False, batch.pk)
    with pytest.raises(BatchNameTaken):
        vouchers.issue_batch(**{**order, "points": 11})
    assert vouchers.make_codes(batch_id=batch.pk, actor=marketing).made == 40
    with pytest.raises(BatchNotReady):
        vouchers.record_export(batch_id=batch.pk, reason="print", actor=marketing)
    at_once(*[lambda: jobs.make_codes(str(batch.pk))] * 3)
    batch.refresh_from_db()
    assert (batch.made, batch.vouchers.count(), len(set(codes_of(batch)))) == (100, 100, 100)
    assert Entry.objects.filter(verb="vouchers.made").count() == 3
    assert Entry.objects.filter(verb="vouchers.ordered").count() == 1


def test_what_cannot_be_issued_is_said_field_by_field(program: Program, marketing: Actor) -> None:
    now = timezone.now()
    with pytest.raises(PointsInvalid) as refused:
        vouchers.issue_batch(
            program_id=program.pk,
            name=" ",
            points=-5,
            count=0,
            per_member=0,
            valid_from=now + timedelta(days=9999),
            expires_at=now - timedelta(days=1),
            actor=marketing,
        )
    wrong = {"name", "points", "count", "per_member", "valid_from", "expires_at"}
    assert set(refused.value.fields["errors"]) == wrong
    assert not VoucherBatch.objects.exists()


def test_the_command_issues_and_goes_on(
    program: Program, marketing: Actor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    api: Callable[..., Any],
) -> None:  # fmt: skip
    client = api("ops_marketing")
    monkeypatch.setenv("OPSCONSOLE_TOKEN", client._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
    words = ["loyalty_issue_vouchers", "--program", "Club", "--name", "Fair", "--points", "5", "--count", "30"]
    call_command(*words, "--as", "ops_marketing")
    call_command(*words, "--as", "ops_marketing")
    said = capsys.readouterr().out
    assert "30 codes in batch" in said
    assert "nothing was added" in said
    assert Voucher.objects.count() == 30
    vouchers.withdraw_batch(batch_id=VoucherBatch.objects.get().pk, reason="the fair is off", actor=marketing)
    with pytest.raises(SystemExit) as ended:
        call_command(*words, "--as", "ops_marketing")
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (1, "")
    assert "Fair was withdrawn: none of its 30 codes counts." in told.err


# --- redeeming ------------------------------------------------------------------------------------------------------


def test_a_voucher_gives_its_points_and_enrols(batch: Callable[..., VoucherBatch], marketing: Actor) -> None:
    made = batch()
    (first, *_rest) = codes_of(made)
    got = vouchers.redeem_voucher(code=codes.grouped(first).lower(), user_id="newcomer", actor=marketing)
    voucher = Voucher.objects.get(code=first)
    paid = Transaction.objects.get()
    assert (paid.event_type, paid.amount, paid.origin_txn_id, paid.pk) == (
        "bonus", 250, str(voucher.pk), got.transaction_id,
    )  # fmt: skip
    assert (got.member.user_id, got.member.points_balance) == ("newcomer", 250)
    assert (voucher.status, voucher.transaction_id) == ("redeemed", paid.pk)
    made.refresh_from_db()
    assert made.redeemed == 1
    with pytest.raises(VoucherUsed) as used:
        vouchers.redeem_voucher(code=first, user_id="newcomer", actor=marketing)
    assert used.value.fields == {"transaction": str(paid.pk)}
    assert Program.objects.get().budget_spent == 250


def test_two_at_the_same_instant(batch: Callable[..., VoucherBatch], marketing: Actor) -> None:
    made = batch(count=4)
    for code in codes_of(made):
        answers = at_once(
            *[
                lambda user=user, code=code: vouchers.redeem_voucher(code=code, user_id=user, actor=marketing)
                for user in (f"a{code}", f"b{code}", f"c{code}")
            ]
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Redeemed", "VoucherRefused", "VoucherRefused"]
    made.refresh_from_db()
    assert (made.redeemed, Transaction.objects.count(), Balance.objects.count()) == (4, 4, 4)


def test_a_member_at_the_limit_with_many_codes_at_once(batch: Callable[..., VoucherBatch], marketing: Actor) -> None:
    made = batch(count=6, per_member=2)
    answers = at_once(
        *[
            lambda code=code: vouchers.redeem_voucher(code=code, user_id="alice", actor=marketing)
            for code in codes_of(made)
        ]
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Redeemed"] * 2 + ["VoucherLimit"] * 4
    assert Balance.objects.get().points_balance == 500
    left = made.vouchers.filter(status="issued").first()
    with pytest.raises(VoucherLimit):
        vouchers.redeem_voucher(code=left.code, user_id="alice", actor=marketing)


def test_every_wrong_code_gets_the_same_answer(
    batch: Callable[..., VoucherBatch], marketing: Actor, api: Callable[..., Any], program: Program
) -> None:
    other = programs.create_program(name="Other", budget_limit=1000, actor=marketing)
    now = timezone.now()
    used, void, _left = codes_of(batch("used"))
    vouchers.redeem_voucher(code=used, user_id="bob", actor=marketing)
    vouchers.withdraw_code(code=void, reason="leaked", actor=marketing)
    later = codes_of(batch("later", valid_from=now + timedelta(days=1)))[0]
    over = batch("over", expires_at=timezone.now() + timedelta(seconds=1))
    elsewhere = codes_of(batch("elsewhere", program_id=other.pk))[0]
    withdrawn = batch("withdrawn")
    vouchers.withdraw_batch(batch_id=withdrawn.pk, reason="misprint", actor=marketing)
    client, answers = api("ops_marketing"), set()
    while timezone.now() < over.expires_at:
        pass
    tried = [used, void, later, elsewhere, codes_of(over)[0], codes_of(withdrawn)[0], "0" * 16, "what is this"]
    for code in tried:
        body = {"code": code, "userId": "alice", "programId": str(program.pk)}
        answer = client.post("/api/vouchers/redeem", body, format="json")
        told = {name: value for name, value in answer.json().items() if name != "request_id"}
        answers.add((answer.status_code, str(sorted(told.items()))))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 422
    assert VoucherMiss.objects.filter(user_id="alice").count() == len(tried)
    assert not Balance.objects.filter(user_id="alice").exists()


def test_guessing_has_to_wait(
    batch: Callable[..., VoucherBatch], api: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vouchers, "MISSES_PER_MEMBER", 3)
    good = codes_of(batch())[0]
    client = api("ops_marketing")

    def knock(user: str, code: str) -> Any:
        return client.post("/api/vouchers/redeem", {"code": code, "userId": user}, format="json")

    assert [knock("alice", "0" * 16).status_code for _ in range(4)] == [422, 422, 422, 503]
    refused = knock("alice", good)
    assert (refused.json()["code"], refused.json()["retry_after"]) == ("too_many_codes", 900)
    assert knock("bob", good).status_code == 201  # whoever else comes by the same caller
    assert Entry.objects.filter(verb="voucher.guessed").count() == 1
    assert OutboxEvent.objects.filter(topic="voucher.guessed").count() == 1


def test_who_guesses_at_once_is_noticed_too(marketing: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vouchers, "MISSES_PER_MEMBER", 3)
    vouchers.note_wrong_code(user_id="alice", actor=marketing)
    counted, gate = vouchers._misses, threading.Barrier(2)

    def together(user_id: str, actor: Actor) -> tuple[int, int]:
        with contextlib.suppress(threading.BrokenBarrierError):
            gate.wait(1)  # both are noted by now, if both can
        return counted(user_id, actor)

    monkeypatch.setattr(vouchers, "_misses", together)
    at_once(*[lambda: vouchers.note_wrong_code(user_id="alice", actor=marketing)] * 2)
    assert VoucherMiss.objects.count() == 3  # no more are looked at
    assert Entry.objects.filter(verb="voucher.guessed").count() == 1


def test_the_ledger_has_the_last_word(batch: Callable[..., VoucherBatch], marketing: Actor) -> None:
    first, second, _third = codes_of(batch(per_member=2))
    alice = vouchers.redeem_voucher(code=first, user_id="alice", actor=marketing).member
    members.freeze_members(balance_ids=[alice.pk], reason="fraud alert", actor=marketing)
    with pytest.raises(MemberFrozen):
        vouchers.redeem_voucher(code=second, user_id="alice", actor=marketing)
    assert Voucher.objects.get(code=second).status == "issued"
    assert VoucherBatch.objects.get().redeemed == 1


def test_the_same_request_again_is_answered_as_before(batch: Callable[..., VoucherBatch], api: Any) -> None:
    code = codes_of(batch())[0]
    client = api("ops_marketing")
    body = {"code": code, "userId": "alice"}
    answers = [
        client.post("/api/vouchers/redeem", body, format="json", HTTP_IDEMPOTENCY_KEY="till-1") for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["pointsBalance"] == 250


# --- withdrawing, and taking away -----------------------------------------------------------------------------------


def test_withdrawing(batch: Callable[..., VoucherBatch], marketing: Actor) -> None:
    made = batch()
    first, second, _third = codes_of(made)
    vouchers.redeem_voucher(code=first, user_id="alice", actor=marketing)
    with pytest.raises(WrongState):
        vouchers.withdraw_code(code=first, reason="leaked", actor=marketing)
    gone = vouchers.withdraw_voucher(voucher_id=Voucher.objects.get(code=second).pk, reason="leaked", actor=marketing)
    assert gone.status == "void"
    vouchers.withdraw_batch(batch_id=made.pk, reason="misprint", actor=marketing)
    with pytest.raises(NothingToDo):
        vouchers.withdraw_batch(batch_id=made.pk, reason="misprint", actor=marketing)
    entry = Entry.objects.get(verb="voucher.withdrawn")
    assert f'"…{second[-4:]}"' in entry.body


def test_the_export_is_journalled_before_it_leaves_and_holds_every_code(
    batch: Callable[..., VoucherBatch], api: Any, marketing: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHUNK", 2)
    made = batch(count=5)
    path = f"/api/voucher-batches/{made.pk}/export"
    answer = api("ops_marketing").post(path, {"reason": "to the printer"}, format="json", HTTP_ACCEPT="text/csv")
    assert answer.status_code == 200
    assert Entry.objects.filter(verb="vouchers.exported").count() == 1  # and not one line was read
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["code"].replace("-", "") for row in rows] == codes_of(made)
    assert {(row["points"], row["status"], row["program"]) for row in rows} == {("250", "issued", "Club")}
    assert answer["Cache-Control"] == "no-store"


def test_no_code_is_told_anywhere_else(batch: Callable[..., VoucherBatch], api: Any, marketing: Actor) -> None:
    made = batch()
    first, second, third = codes_of(made)
    vouchers.redeem_voucher(code=first, user_id="alice", actor=marketing)
    vouchers.withdraw_code(code=second, reason="leaked", actor=marketing)
    vouchers.record_export(batch_id=made.pk, reason="print", actor=marketing)
    listed = api("auditor").get(f"/api/voucher-batches/{made.pk}/vouchers").content.decode()
    told = everything_told() + listed + str(Voucher.objects.get(code=third)) + repr(Voucher.objects.get(code=third))
    for code in (first, second, third):
        assert not re.search(rf"{code}|{codes.grouped(code)}", told)
        assert code[-4:] in listed


def test_a_denied_actor_changes_nothing(
    batch: Callable[..., VoucherBatch], auditor: Actor, person: Callable[..., Actor]
) -> None:
    made = batch()
    code = codes_of(made)[0]
    entries, stranger = Entry.objects.count(), person("dev")
    for attempt in (
        lambda: vouchers.issue_batch(program_id=made.program_id, name="x", points=1, count=1, actor=auditor),
        lambda: vouchers.make_codes(batch_id=made.pk, actor=auditor),
        lambda: vouchers.withdraw_batch(batch_id=made.pk, reason="x", actor=auditor),
        lambda: vouchers.withdraw_code(code=code, reason="x", actor=auditor),
        lambda: vouchers.record_export(batch_id=made.pk, reason="x", actor=auditor),
        lambda: vouchers.redeem_voucher(code=code, user_id="alice", actor=auditor),
        lambda: vouchers.redeem_voucher(code=code, user_id="alice", actor=stranger),
    ):
        with pytest.raises(Denied):
            attempt()
    with pytest.raises(NotFound):
        vouchers.withdraw_batch(batch_id=made.pk, reason="x", actor=stranger)
    assert Entry.objects.count() == entries
    assert not Transaction.objects.exists()


# --- what raw SQL cannot do -----------------------------------------------------------------------------------------


def test_the_database_keeps_the_limits(
    batch: Callable[..., VoucherBatch], marketing: Actor, connect_as: Callable[[str], Any], member: Any
) -> None:
    made, alice = batch(count=5), member("alice", 500)
    other = programs.create_program(name="Other", budget_limit=1000, actor=marketing)
    stranger = member("eve", 5, program_id=other.pk)
    ids = [str(pk) for pk in made.vouchers.order_by("pk").values_list("pk", flat=True)]
    vouchers.redeem_voucher(code=codes_of(made)[0], user_id="bob", actor=marketing)
    operator = connect_as("operator")

    def refused(constraint: str, *statements: str) -> None:
        with pytest.raises(psycopg.errors.CheckViolation) as broken, operator.transaction():
            operator.execute("; ".join(statements))
        assert broken.value.diag.constraint_name == constraint

    redeem = (
        "update loyalty_vouchers set status = 'redeemed', redeemed_at = now(), balance_id = '{}', transaction_id = {}"
    )
    paid = "insert into loyalty_transactions (id, balance_id, event_type, amount, origin_txn_id) values ({})"
    mine = redeem.format(alice.pk, "gen_random_uuid()")
    refused("voucher_paid_by_ledger", f"{mine} where id = '{ids[1]}'")
    refused("voucher_limit_per_member", f"{mine} where id in ('{ids[1]}', '{ids[2]}')")
    refused("voucher_of_program", redeem.format(stranger.pk, "gen_random_uuid()") + f" where id = '{ids[1]}'")
    refused("voucher_stays", f"{mine} where id = '{ids[0]}'")
    refused("voucher_stays", f"update loyalty_vouchers set code = 'mine' where id = '{ids[1]}'")
    refused("voucher_stays", f"update loyalty_vouchers set status = 'void' where id = '{ids[0]}'")
    refused("loyalty_vouchers_append_only", f"delete from loyalty_vouchers where id = '{ids[1]}'")
    refused("loyalty_voucher_batches_kept", "update loyalty_voucher_batches set redeemed = 0")
    # Points of another amount do not pay for it; the right ones do, and are journalled as pasted.
    less = paid.format(f"'{ids[3]}', '{alice.pk}', 'bonus', 249, '{ids[1]}'")
    refused("voucher_paid_by_ledger", redeem.format(alice.pk, f"'{ids[3]}'") + f" where id = '{ids[1]}'", less)
    refused(
        "voucher_batch_is_valid",
        "update loyalty_voucher_batches set expires_at = now()",
        f"{mine} where id = '{ids[1]}'",
    )
    with operator.transaction():
        operator.execute(redeem.format(alice.pk, f"'{ids[3]}'") + f" where id = '{ids[1]}'")
        operator.execute(paid.format(f"'{ids[3]}', '{alice.pk}', 'bonus', 250, '{ids[1]}'"))
    assert Balance.objects.get(pk=alice.pk).points_balance == 750
    pasted = Entry.objects.filter(verb="direct_sql", subject_kind="loyalty_vouchers")
    assert pasted.count() == 1
    assert not re.search("|".join(codes_of(made)), everything_told())
