"""A run that is going stops at the boundary when a door closes, says so, and goes on when it is open again.

And the race: once a pause or a freeze has committed, no payment is marked as going out that it would have stopped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from opsconsole.core.actors import Actor
from opsconsole.core.errors import DomainError
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import execution, running
from opsconsole.treasury import ledger
from opsconsole.treasury.closing import alterations, closures
from opsconsole.treasury.errors import AccountFrozen, BankPaused, BeneficiaryFrozen, MerchantFrozen
from opsconsole.treasury.models import Account, Instruction, Payout
from tests.sandbox_bank.process import BankProcess
from tests.treasury.closing.conftest import carry_out, driven, rolled_back
from tests.treasury.conftest import refusal
from tests.world import PAYEES, TESTER, World, counts

pytestmark = pytest.mark.django_db(transaction=True)

People = Callable[..., Actor]
BATCH = {"currency": "EUR", "cutoff_date": "2025-08-01"}
CLOSINGS = ["bank", "account", "beneficiary", "merchant"]
SAID = {
    "bank": "Sandbox Bank is paused: nothing new goes to it.",
    "account": "The account {own} is frozen: nothing is paid from it.",
    "beneficiary": f"The beneficiary {PAYEES[0]} is frozen: nothing is paid to it.",
    "merchant": "The merchant shop-7 is frozen: nothing is paid for it.",
}
REFUSED = {
    "bank": BankPaused,
    "account": AccountFrozen,
    "beneficiary": BeneficiaryFrozen,
    "merchant": MerchantFrozen,
}


def closing(what: str, world: World) -> tuple[str, dict[str, Any]]:
    """The plan that closes this door."""
    if what == "bank":
        return "pause_bank", {"bank": "sandbox", "reason": "r"}
    subject = {"account": str(world.account.pk), "beneficiary": PAYEES[0], "merchant": "shop-7"}[what]
    return "freeze", {"subject": what, "id": subject, "reason": "r"}


@pytest.fixture(autouse=True)
def merchants(world: World) -> None:
    """Some payouts are of a merchant."""
    Payout.objects.filter(iban=PAYEES[1]).update(merchant="shop-7")


@pytest.mark.parametrize("what", CLOSINGS)
def test_stops_at_the_boundary_says_so_and_goes_on_afterwards(
    world: World, bank: BankProcess, approved: Callable[..., Plan], person: People,
    monkeypatch: pytest.MonkeyPatch, what: str,
) -> None:  # fmt: skip
    batch = approved("payout_batch", BATCH)
    stop = approved(*closing(what, world))
    run = execution.execute_plan(plan_id=batch.pk, actor=person("finance_ops"))
    assert isinstance(run, Run)
    call, closed = jobs._ask, []

    def close_after_the_first_calls(*args: Any) -> Any:
        answers = call(*args)
        monkeypatch.setattr(jobs, "_ask", call)
        closed.append(carry_out(stop, person("pay_admin")))
        return answers

    monkeypatch.setattr(jobs, "_ask", close_after_the_first_calls)
    driven(batch, run)

    assert closed[0].status == "succeeded"
    assert (run.status, batch.status) == ("failed", "failed")
    said = SAID[what].format(own=world.account.iban)
    assert run.result["halted"] == said
    assert len(bank.payments()) == 16  # those whose calls were out; their answers are written, nothing follows
    assert counts("treasury_payouts") == {"sent": 16, "reserved": 24}
    assert counts("ops_plan_steps") == {"succeeded": 17, "pending": 24}
    assert [entry.content["reason"] for entry in Entry.objects.filter(verb="run.steps") if entry.content["reason"]] == [
        said
    ]
    again = driven(batch, execution.retry_run(plan_id=batch.pk, run_id=run.pk, actor=person("finance_ops")))
    assert (again.status, again.result["halted"]) == ("failed", said)
    assert len(bank.payments()) == 16

    rolled_back(stop, person)
    last = driven(batch, execution.retry_run(plan_id=batch.pk, run_id=again.pk, actor=person("finance_ops")))
    assert (last.status, batch.status) == ("succeeded", "succeeded")
    assert len(bank.payments()) == 40
    assert bank.stats()["duplicate_attempts"] == 0
    assert ledger.prove() == []


def test_what_was_sent_is_still_recalled_from_a_paused_bank(
    world: World, bank: BankProcess, done: Callable[..., Any], person: People
) -> None:
    batch, _ = done("payout_batch", BATCH | {"total_amount": "500"})
    done("pause_bank", {"bank": "sandbox", "reason": "r"})
    assert rolled_back(batch, person).status == "succeeded"
    assert {payment["status"] for payment in bank.payments()} == {"recalled"}


@pytest.mark.parametrize("what", CLOSINGS)
def test_nobody_marks_one_as_going_out_by_hand(
    world: World, staged: Callable[..., Plan], done: Callable[..., Any], what: str,
    connect_as: Callable[[str], psycopg.Connection[Any]],
) -> None:  # fmt: skip
    staged("payout_batch", BATCH)
    done(*closing(what, world))
    for role in ("ops_app", settings.DB_OPERATOR_ROLE, settings.DB_OWNER_ROLE):
        name = refusal(connect_as(role), "update treasury_instructions set status = 'sending'")
        assert name == f"{what}_is_{'paused' if what == 'bank' else 'frozen'}"
    assert counts("treasury_instructions") == {"planned": 40}


# The race


@pytest.mark.parametrize("what", CLOSINGS)
def test_a_mark_waits_for_a_closing_that_is_about_to_commit(
    world: World, approved: Callable[..., Plan], person: People, what: str, superuser: psycopg.Connection[Any]
) -> None:
    """The closing has done everything but commit: whoever marks payments now must not miss it."""
    batch, stop = approved("payout_batch", BATCH), approved(*closing(what, world))
    run = execution.execute_plan(plan_id=batch.pk, actor=person("finance_ops"))
    assert isinstance(run, Run)
    lease = running.claim_run(run_id=run.pk, owner="test", actor=jobs.WORKER)
    assert lease is not None
    refusals: list[DomainError] = []

    def mark() -> None:
        try:
            running.advance(lease=lease, answers=[], actor=jobs.WORKER)
        except DomainError as error:
            refusals.append(error)
        finally:
            connection.close()

    marking = threading.Thread(target=mark)

    def waiting() -> bool:
        query = (
            "select exists(select from pg_locks l join pg_database d on d.oid = l.database"
            " where datname = current_database() and locktype = 'advisory' and not granted)"
        )
        return bool(superuser.execute(query).fetchone()[0])

    def before_the_commit(*_args: Any) -> None:
        marking.start()
        until = time.monotonic() + 10
        while not waiting():
            assert time.monotonic() < until, "the mark did not wait for the closing"
            time.sleep(0.01)

    note = alterations.note

    def noted(*args: Any, **kwargs: Any) -> Any:
        before_the_commit()
        return note(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(alterations, "note", noted)
        assert carry_out(stop, person("pay_admin")).status == "succeeded"
    marking.join(10)
    assert [type(error) for error in refusals] == [REFUSED[what]]
    assert counts("treasury_instructions") == {"planned": 40}


@operation
def mark_slowly(*, instructions: list[Any], marked: threading.Event, go_on: threading.Event, actor: Actor) -> None:
    """Mark payments as going out, and take long to commit."""
    Instruction.objects.filter(pk__in=instructions).update(status="sending")
    marked.set()
    assert go_on.wait(10)


def test_a_closing_waits_for_marks_that_are_about_to_commit(
    world: World, staged: Callable[..., Plan], approved: Callable[..., Plan], person: People
) -> None:
    """So what it reports as stopped is stopped, and what goes out nevertheless was committed before it."""
    staged("payout_batch", BATCH | {"total_amount": "500"})
    stop = approved("pause_bank", {"bank": "sandbox", "reason": "r"})
    marked, go_on, order = threading.Event(), threading.Event(), []

    def marker() -> None:
        try:
            first = list(Instruction.objects.values_list("pk", flat=True)[:2])
            mark_slowly(instructions=first, marked=marked, go_on=go_on, actor=TESTER)
            order.append("marked")
        finally:
            connection.close()

    def closer() -> None:
        try:
            carry_out(stop, person("pay_admin"))
            order.append("closed")
        finally:
            connection.close()

    threads = [threading.Thread(target=marker), threading.Thread(target=closer)]
    threads[0].start()
    assert marked.wait(10)
    threads[1].start()
    time.sleep(0.3)
    assert order == []
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert sorted(order) == ["closed", "marked"]
    assert counts("treasury_instructions") == {"planned": 2, "sending": 2}


def test_closing_and_paying_at_once_never_deadlock(
    world: World, second: Account, approved: Callable[..., Plan], person: People, bank: BankProcess
) -> None:
    """Freezes of the very account that pays come and go while two runs pay from it."""
    batches = [
        approved("payout_batch", BATCH | {"total_amount": "1500"}, "one"),
        approved("payout_batch", BATCH, "two"),
    ]
    stops = [approved(*closing("account", world), f"stop-{number}") for number in range(3)]
    failed: list[Exception] = []

    def work(plan: Plan) -> None:
        try:
            carry_out(plan, person("pay_admin"))
        except AssertionError:
            pass  # a batch that came too late has drifted, which is an answer
        except (DomainError, DatabaseError) as error:
            failed.append(error)
        finally:
            connection.close()

    person("pay_admin")
    threads = [threading.Thread(target=work, args=(plan,)) for plan in (*batches, *stops)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert not Entry.objects.filter(body__contains="deadlock").exists()
    assert Account.objects.get(pk=world.account.pk).status == "frozen"
    assert counts("treasury_payouts").get("sending", 0) == 0
    assert len(bank.payments()) == counts("treasury_payouts").get("sent", 0)
    assert ledger.prove() == []


def test_doors_are_closed_and_kept_open_only_inside_an_operation(world: World) -> None:
    for function in (closures.close_doors, closures.keep_open):
        with pytest.raises(RuntimeError), transaction.atomic():
            function()
