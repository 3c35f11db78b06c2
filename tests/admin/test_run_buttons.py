"""The buttons of runs and steps: pause, resume, cancel, retry, resolve; and the progress that is asked for again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.test import Client
from django.urls import reverse

from opsconsole.core.actors import Actor
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import execution
from tests.admin.conftest import contents, messages_of, press, send, verbs
from tests.sandbox_bank.process import BankProcess
from tests.world import TESTER, World, set_probing


def url(row: Any, name: str = "change") -> str:
    return reverse(f"admin:plans_{row._meta.model_name}_{name}", args=[row.pk])


def queued(approved: Callable[..., Plan], person: Callable[..., Actor], **changes: Any) -> Run:
    plan = approved(**changes)
    run = execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    assert isinstance(run, Run)
    return run


def test_pause_and_resume(
    world: World,
    bank: BankProcess,
    approved: Callable[..., Plan],
    browse: Callable[..., Client],
    person: Callable[..., Actor],
) -> None:
    run = queued(approved, person, total="500")
    client = browse("finance_ops")
    assert messages_of(press(client, url(run, "pause"), reason="the bank called")) == ["It was asked to pause."]
    jobs.execute_run(str(run.pk))
    run.refresh_from_db()
    assert run.status == "paused"
    assert bank.payments() == []
    page = client.get(url(run)).content.decode()
    assert 'data-action="resume"' in page
    assert 'data-action="pause"' not in page
    press(client, url(run, "resume"))
    jobs.execute_run(str(run.pk))
    run.refresh_from_db()
    assert run.status == "succeeded"
    assert len(bank.payments()) == 4
    assert send(client, url(run, "resume")).status_code == 409


def test_cancel(
    world: World,
    bank: BankProcess,
    approved: Callable[..., Plan],
    browse: Callable[..., Client],
    person: Callable[..., Actor],
) -> None:
    run = queued(approved, person, total="500")
    client = browse("ops")
    assert press(client, url(run, "cancel")).status_code == 400
    assert messages_of(press(client, url(run, "cancel"), reason="wrong day")) == ["The run is cancelled."]
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert bank.payments() == []


def test_retry_goes_on_where_it_stopped(
    world: World,
    bank: BankProcess,
    approved: Callable[..., Plan],
    browse: Callable[..., Client],
    person: Callable[..., Actor],
) -> None:
    run = queued(approved, person, total="500")
    client = browse("finance_ops")
    press(client, url(run, "cancel"), reason="later")
    page = client.get(url(run, "retry")).content.decode()
    assert "0 failed and 4 pending steps" in page
    answer = press(client, url(run, "retry"))
    again = Run.objects.get(retry_of=run)
    assert answer["Location"] == url(again)
    jobs.execute_run(str(again.pk))
    again.refresh_from_db()
    assert again.status == "succeeded"
    assert len(bank.payments()) == 4
    ops = browse("ops")
    before = contents()
    assert send(client, url(again, "retry")).status_code == 409
    assert send(ops, url(run, "retry")).status_code == 403  # no executor of payouts
    assert contents() == before


def test_an_unknown_step_is_resolved_with_evidence(
    world: World,
    bank: BankProcess,
    approved: Callable[..., Plan],
    browse: Callable[..., Client],
    person: Callable[..., Actor],
) -> None:
    set_probing(bank=world.http.pk, probing=False, actor=TESTER)
    run = queued(approved, person, total="150")
    bank.arm("drop_after_accept", times=10)
    for _ in range(2):
        jobs.execute_run(str(run.pk))
    step = Step.objects.get()
    assert (step.status, step.needs_person) == ("unknown", True)
    client = browse("ops")
    home = client.get(reverse("admin:index")).content.decode()
    assert url(step) in home
    page = client.get(url(step)).content.decode()
    assert "Nobody knows what became of this" in page
    before = contents()
    for wrong in ({}, {"outcome": "succeeded"}, {"outcome": "perhaps", "evidence": "a guess"}):
        assert press(client, url(step, "resolve"), **wrong).status_code == 400
    assert contents() == before
    answer = press(
        client, url(step, "resolve"), outcome="succeeded", evidence="statement of today, line 4", reference="BANK-1"
    )
    assert messages_of(answer) == ["Resolved as succeeded."]
    step.refresh_from_db()
    assert (step.status, step.result["reference"], step.result["resolved_by"]) == ("succeeded", "BANK-1", "ops")
    assert "step.resolved" in verbs()
    jobs.execute_run(str(run.pk))
    run.refresh_from_db()
    assert run.status == "succeeded"
    assert send(client, url(step, "resolve"), outcome="failed", evidence="x").status_code == 409


def test_progress_is_asked_for_while_it_goes(
    world: World, approved: Callable[..., Plan], browse: Callable[..., Client], person: Callable[..., Actor]
) -> None:
    run = queued(approved, person, total="500")
    client = browse("auditor")
    live = client.get(url(run, "progress"))
    assert (live.status_code, live["Ops-Live"]) == (200, "yes")
    assert "0 of 4 steps" in live.content.decode()
    page = client.get(url(run)).content.decode()
    assert f'data-live="{url(run, "progress")}"' in page
    assert (
        f'data-live="{url(run, "progress")}"'
        in client.get(reverse("admin:plans_plan_change", args=[run.plan_id])).content.decode()
    )
    jobs.execute_run(str(run.pk))
    ended = client.get(url(run, "progress"))
    assert ended["Ops-Live"] == "no"
    assert "4 of 4 steps" in ended.content.decode()
    assert "data-live=" not in client.get(url(run)).content.decode()
    assert client.post(url(run, "progress")).status_code == 405
    assert browse("dev").get(url(run, "progress")).status_code == 403


def test_what_could_not_be_undone_is_told(
    world: World,
    bank: BankProcess,
    executed: Callable[..., tuple[Plan, Run]],
    browse: Callable[..., Client],
    person: Callable[..., Actor],
) -> None:
    plan, _run = executed(total="500")
    bank.execute()
    back = execution.roll_back_plan(plan_id=plan.pk, actor=person("pay_admin"))
    jobs.execute_run(str(back.pk))
    page = browse("auditor").get(url(back)).content.decode()
    assert "PAY-00000" in page
    assert "Not undone" in page
    assert "Its page lists what could no longer be undone" in page
    # There is nothing to press that would do nothing: the button says so.
    for row, action in ((back, "retry"), (plan, "rollback")):
        offered = browse("pay_admin").get(url(row)).context["buttons"]
        button = next(one for one in offered if one.action.name == action)
        assert "What could be undone is undone" in str(button.obstacle)
