"""What a sweep does not do: take money twice, go through a closed door, guess, or change what nobody may change."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connection

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, DomainError
from opsconsole.core.operations import operation
from opsconsole.journal.record import Subject, record
from opsconsole.plans import jobs
from opsconsole.plans.errors import NothingToDo, PlanInvalid, PlanNotFound
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import execution, staging
from opsconsole.plans.services.execution import Drifted
from opsconsole.treasury import ledger
from opsconsole.treasury.errors import AccountFrozen, BankPaused, InsufficientFunds
from opsconsole.treasury.ledger import Movement
from opsconsole.treasury.models import Account, Bank, Sweep
from opsconsole.treasury.promises import promised_from
from opsconsole.treasury.selectors import ledger_account
from opsconsole.treasury.services.bank_files import import_bank_file
from opsconsole.treasury.states import AccountKind, TransferKind
from tests.admin.conftest import contents
from tests.sandbox_bank.process import OUR_IBAN
from tests.treasury.bank_files.conftest import entry, statement
from tests.treasury.conftest import refusal
from tests.treasury.sweeps.conftest import POOR, RICH, Sweeping, balances
from tests.world import ISO_IBAN, TESTER, counts, set_probing


@operation
def close(*, model: type[Account | Bank], pk: Any, status: str, actor: Actor) -> None:
    """Pause or freeze, or open again."""
    model.objects.filter(pk=pk).update(status=status)
    record(actor, "door.moved", Subject("test", str(pk)))


@operation
def spend(*, account: Account, amount: Decimal, actor: Actor) -> None:
    """Money leaves an account for another reason."""
    record(actor, "money.spent", Subject("test", str(account.pk)))
    out = ledger_account(account.bank_id, "EUR", AccountKind.PAID_OUT)
    ledger.book([Movement(TransferKind.SENT, f"spent:{amount}", account.pk, out.pk, amount, "EUR")])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"source_accounts": None}, "source_accounts"),
        ({"source_bank": "sandbox"}, "source_accounts"),
        ({"source_accounts": []}, "source_accounts"),
        ({"source_accounts": [RICH, RICH]}, "source_accounts"),
        ({"source_accounts": [OUR_IBAN]}, "target_account"),
        ({"target_account": "here"}, "target_account"),
        ({"keep_minimum": "-1"}, "keep_minimum"),
        ({"keep_minimum": "1.001"}, "keep_minimum"),
        ({"keep_minimum": None}, "keep_minimum"),
        ({"currency": "XXX"}, "currency"),
        ({"leave": 1}, "leave"),
    ],
)
def test_a_payload_says_everything_that_is_wrong(sweeping: Sweeping, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(PlanInvalid) as refused:
        sweeping.draft(**changes)
    assert field in refused.value.fields["errors"]["payload"]


@pytest.mark.parametrize("field", ["source_accounts", "source_bank", "target_account"])
def test_accounts_that_are_not_ours_are_refused_at_staging(sweeping: Sweeping, field: str) -> None:
    changes: dict[str, Any] = {field: "nobank" if field == "source_bank" else "GB33BUKB20201555555555"}
    if field == "source_accounts":
        changes[field] = [changes[field], RICH]
    with pytest.raises(PlanInvalid) as refused:
        sweeping.staged(**({"source_accounts": None} if field == "source_bank" else {}), **changes)
    assert field in refused.value.fields["errors"]["payload"]
    assert not Sweep.objects.exists()


def test_money_is_in_one_plan_only(sweeping: Sweeping) -> None:
    first = sweeping.staged("first")
    assert promised_from(sweeping.rich.pk) == Decimal("4900.50")
    with pytest.raises(NothingToDo):
        sweeping.staged("second")
    staging_again = sweeping.staged("third", keep_minimum="0")
    assert staging_again.estimated_impact["sums"] == {"EUR": "199.99"}
    assert [one["code"] for one in staging_again.estimated_impact["warnings"]] == ["promised"]
    assert first.status == "staged"


def test_a_payout_batch_does_not_count_on_what_a_sweep_was_promised(
    sweeping: Sweeping, draft: Callable[..., Plan]
) -> None:
    sweeping.staged(source_accounts=[OUR_IBAN], target_account=ISO_IBAN, keep_minimum="4000")
    with pytest.raises(InsufficientFunds, match="promised to sweeps"):
        staging.stage_plan(plan_id=draft("batch").pk, actor=sweeping.person("ops"))
    assert counts("treasury_payouts") == {"payable": 40}


def test_two_that_are_staged_at_once_share_nothing(sweeping: Sweeping) -> None:
    plans = [sweeping.draft(f"sweep-{number}") for number in range(4)]
    ended: list[str] = []

    def work(plan: Plan) -> None:
        try:
            ended.append(staging.stage_plan(plan_id=plan.pk, actor=sweeping.person("ops")).status)
        except NothingToDo as error:
            ended.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["nothing_to_do"] * 3 + ["staged"]
    assert counts("treasury_sweeps") == {"planned": 1}


def test_an_account_that_no_longer_covers_it_is_drift(sweeping: Sweeping) -> None:
    plan = sweeping.approved()
    spend(account=sweeping.rich, amount=Decimal("0.50"), actor=TESTER)
    run = execution.execute_plan(plan_id=plan.pk, actor=sweeping.person("finance_ops"))
    assert isinstance(run, Run)  # the amount stands, and the minimum was a matter of staging
    other = sweeping.drive(run)[0]
    assert balances()[RICH] == Decimal("99.50")
    plan = sweeping.approved("sweep-2", source_accounts=[POOR], keep_minimum="0")
    spend(account=sweeping.poor, amount=Decimal("0.01"), actor=TESTER)
    drifted = execution.execute_plan(plan_id=plan.pk, actor=sweeping.person("finance_ops"))
    assert isinstance(drifted, Drifted)
    assert drifted.reasons == [f"The account {POOR} holds 99.98 EUR, less than 99.99."]
    assert drifted.plan.estimated_impact["sums"] == {"EUR": "99.98"}
    assert other.status == "succeeded"


@pytest.mark.parametrize("side", ["source", "target", "source_bank", "target_bank"])
def test_closed_before_or_after_staging(sweeping: Sweeping, side: str) -> None:
    target = sweeping.world.iso_account
    closing: dict[str, tuple[type[Account | Bank], Any, str]] = {
        "source": (Account, sweeping.rich.pk, "frozen"),
        "target": (Account, target.pk, "frozen"),
        "source_bank": (Bank, sweeping.world.http.pk, "paused"),
        "target_bank": (Bank, sweeping.world.iso.pk, "paused"),
    }
    model, pk, status = closing[side]
    plan = sweeping.approved(target_account=ISO_IBAN)
    run = execution.execute_plan(plan_id=plan.pk, actor=sweeping.person("finance_ops"))
    assert isinstance(run, Run)
    before = balances()
    close(model=model, pk=pk, status=status, actor=TESTER)
    plan, run = sweeping.drive(run)  # the run was under way: it stops at the boundary, and says so
    assert (plan.status, run.status) == ("failed", "failed")
    assert "frozen" in run.result["halted"] or "paused" in run.result["halted"]
    assert balances() == before
    assert sweeping.bank.payments() == []
    refused: type[DomainError] = NothingToDo
    if side.startswith("target"):
        refused = AccountFrozen if side == "target" else BankPaused
    with pytest.raises(refused):
        sweeping.staged("again", target_account=ISO_IBAN)
    close(model=model, pk=pk, status="active", actor=TESTER)
    again = execution.retry_run(plan_id=plan.pk, run_id=run.pk, actor=sweeping.person("finance_ops"))
    assert sweeping.drive(again)[0].status == "succeeded"
    assert len(sweeping.bank.payments()) == 1


@pytest.mark.parametrize("fault", ["drop_after_accept", "drop_before_accept"])
def test_an_outcome_that_nobody_saw_is_asked_for(sweeping: Sweeping, fault: str) -> None:
    sweeping.bank.arm(fault, times=8)
    plan = sweeping.approved()
    run = execution.execute_plan(plan_id=plan.pk, actor=sweeping.person("finance_ops"))
    assert isinstance(run, Run)
    for _ in range(3):
        plan, run = sweeping.drive(run)
        if run.finished_at:
            break
        _wake(run=run, actor=TESTER)
        sweeping.bank.clear_faults()
    assert (plan.status, Step.objects.get().status) == ("succeeded", "succeeded")
    assert len(sweeping.bank.payments()) == 1
    assert balances()["sandbox in_transit"] == Decimal("4900.50")
    assert ledger.prove() == []


@operation
def _wake(*, run: Run, actor: Actor) -> None:
    """Let a run that waits for its bank be taken up at once."""
    with connection.cursor() as cursor:
        cursor.execute("update ops_plan_runs set wake_at = now() where id = %s", [run.pk])
    record(actor, "run.woken", Subject("test", str(run.pk)))


def test_a_way_back_that_nobody_saw_is_asked_for(sweeping: Sweeping) -> None:
    before = balances()
    plan, _ = sweeping.executed()
    sweeping.bank.execute()
    sweeping.ask()
    sweeping.bank.arm("drop_after_accept", on="submit", times=8)
    run = execution.roll_back_plan(plan_id=plan.pk, actor=sweeping.person("finance_ops"))
    jobs.execute_run(str(run.pk))
    sweeping.bank.assert_fired()
    sweeping.bank.clear_faults()
    run.refresh_from_db()
    if not run.finished_at:
        _wake(run=run, actor=TESTER)
        jobs.execute_run(str(run.pk))
    assert Plan.objects.get(pk=plan.pk).status == "rolled_back"
    assert len(sweeping.bank.payments()) == 2
    sweeping.bank.execute()
    sweeping.ask()
    assert balances() == before
    assert ledger.prove() == []


def test_what_a_person_finds_out(sweeping: Sweeping) -> None:
    set_probing(bank=sweeping.world.http.pk, probing=False, actor=TESTER)
    sweeping.bank.arm("drop_after_accept", times=None)
    plan, run = sweeping.executed()
    assert run.waiting_for == "person"
    assert counts("treasury_sweeps") == {"sending": 1}
    assert balances()["sandbox in_transit"] == Decimal("4900.50")


def test_a_rejected_transfer_gives_its_money_back_and_can_be_tried_again(sweeping: Sweeping) -> None:
    before = balances()
    sweeping.bank.arm("reject_account", times=1)
    plan, run = sweeping.executed()
    assert (plan.status, counts("treasury_sweeps")) == ("failed", {"failed": 1})
    assert balances() == before
    again = execution.retry_run(plan_id=plan.pk, run_id=run.pk, actor=sweeping.person("finance_ops"))
    assert sweeping.drive(again)[0].status == "succeeded"
    assert counts("treasury_sweeps") == {"sent": 1}
    assert ledger.prove() == []


def test_a_rollback_without_the_money_on_the_target_halts(sweeping: Sweeping) -> None:
    plan, _ = sweeping.executed()
    sweeping.bank.execute()
    sweeping.ask()
    spend(account=Account.objects.get(iban=OUR_IBAN), amount=Decimal("1004900.00"), actor=TESTER)
    after = balances()
    plan, run = sweeping.roll_back(plan)
    assert (plan.status, run.status) == ("rollback_partial", "failed")
    assert "hold" in run.result["halted"]
    assert balances() == after
    assert ledger.prove() == []


def test_what_arrived_and_comes_back_by_a_file(sweeping: Sweeping) -> None:
    before = balances()
    sweeping.executed()
    sweeping.bank.execute()
    sweeping.ask()
    sweep = Sweep.objects.get()
    details = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
    line = entry(sweep.end_to_end_id, f"{sweep.amount}", direction="CRDT", details=details)
    target = Account.objects.get(iban=OUR_IBAN)
    close(model=Account, pk=target.pk, status="frozen", actor=TESTER)
    actor = sweeping.person("finance_ops")
    odd, _ = import_bank_file(stream=io.BytesIO(statement(line, account=RICH)), name="a", actor=actor)
    assert (odd.breaks, counts("treasury_sweeps")) == (1, {"settled": 1})  # and the file is not stuck over it
    close(model=Account, pk=target.pk, status="active", actor=TESTER)
    file, _ = import_bank_file(stream=io.BytesIO(statement(line, account=RICH) + b" "), name="b", actor=actor)
    assert (file.returned, counts("treasury_sweeps")) == (1, {"returned": 1})
    assert balances() == before
    assert ledger.prove() == []


@pytest.mark.parametrize(("who", "refused"), [("auditor", Denied), ("dev", PlanNotFound)])
def test_who_may_not_stage_changes_nothing(sweeping: Sweeping, who: str, refused: type[Exception]) -> None:
    plan, actor = sweeping.draft(), sweeping.person(who)
    before = contents()
    with pytest.raises(refused):
        staging.stage_plan(plan_id=plan.pk, actor=actor)
    assert contents() == before
    assert not Sweep.objects.exists()


def test_what_the_database_refuses(sweeping: Sweeping, connect_as: Callable[[str], psycopg.Connection[Any]]) -> None:
    sweeping.staged()
    db = connect_as("operator")
    change = "update treasury_sweeps set {}"
    assert refusal(db, change.format("status = 'settled'")) == "treasury_sweeps_transition"
    assert refusal(db, change.format("amount = 1")) == "treasury_sweeps_fixed"
    assert refusal(db, change.format("target_id = account_id")) in ("treasury_sweeps_fixed", "sweep_needs_two_accounts")
    copied = (
        "insert into treasury_sweeps (plan_id, step_seq, step_id, bank_id, account_id, target_id, amount, currency)"
    )
    rows = "select plan_id, 9, step_id, bank_id, account_id, target_id, {}, currency from treasury_sweeps"
    assert refusal(db, f"{copied} {rows.format(1)}") in ("sweep_once_per_step", "sweep_once_per_account")
    assert refusal(db, f"{copied} {rows.format(-1)}") == "sweep_amount_positive"
    close(model=Account, pk=sweeping.poor.pk, status="frozen", actor=TESTER)
    close(model=Account, pk=sweeping.rich.pk, status="frozen", actor=TESTER)
    assert refusal(db, change.format("status = 'sending'")) == "account_is_frozen"
