"""The buttons of a plan: the whole story through its page, and every way in which a button is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.test import Client
from django.urls import reverse

from opsconsole.core.actors import Actor
from opsconsole.core.models import IdempotencyKey
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import drafts, staging
from opsconsole.treasury.models import Payout
from tests.admin.conftest import contents, messages_of, press, send, verbs
from tests.sandbox_bank.process import BankProcess
from tests.world import TESTER, World, add_payouts


def url(plan: Plan, name: str) -> str:
    return reverse(f"admin:plans_plan_{name}", args=[plan.pk])


NEW = "admin:plans_plan_new-payout-batch"


def test_the_whole_story(world: World, bank: BankProcess, browse: Callable[..., Client]) -> None:
    ops, finance, pay = browse("ops"), browse("finance_ops"), browse("pay_admin")

    made = press(ops, reverse(NEW), cutoff_date="2025-08-01", total_amount="2500", description="August")
    plan = Plan.objects.get()
    assert made["Location"] == reverse("admin:plans_plan_change", args=[plan.pk])
    assert plan.payload == {
        "currency": "EUR",
        "cutoff_date": "2025-08-01",
        "total_amount": "2500.00",
        "simulate_before_execute": True,
    }
    assert (plan.created_by.username, plan.description, plan.status) == ("ops", "August", "draft")

    staged = press(ops, url(plan, "stage"))
    asked = "Others are asked to approve it now: 1 finance_ops and 1 pay_admin."
    assert messages_of(staged) == [f"Staged: 24 items, 2,403.72 EUR. {asked}"]
    plan.refresh_from_db()
    assert plan.status == "staged"

    page = ops.get(url(plan, "approve"))
    assert "You asked for this or had a hand in it" in page.content.decode()
    assert not page.context["form"].is_bound

    assert messages_of(press(finance, url(plan, "approve"), comment="checked")) == [
        "Your approval counts; others are still needed."
    ]
    assert messages_of(press(pay, url(plan, "approve"))) == ["Approved: everybody who must agree has agreed."]

    done = press(finance, url(plan, "execute"))
    run = Run.objects.get()
    assert done["Location"] == reverse("admin:plans_run_change", args=[run.pk])
    jobs.execute_run(str(run.pk))
    plan.refresh_from_db()
    assert plan.status == "succeeded"
    assert len(bank.payments()) == 24

    press(pay, url(plan, "rollback"), reason="the wrong cutoff")
    back = Run.objects.get(direction="rollback")
    jobs.execute_run(str(back.pk))
    plan.refresh_from_db()
    assert plan.status == "rolled_back"
    assert {payment["status"] for payment in bank.payments()} == {"recalled"}
    told = [verb for verb in verbs() if verb.startswith("plan.") or verb in ("run.queued", "run.succeeded")]
    assert told == [
        *("plan.created", "plan.staged", "plan.approved"),
        *("run.queued", "run.succeeded", "run.queued", "run.succeeded"),
    ]


def test_editing_and_going_back_to_draft(
    world: World, draft: Callable[..., Plan], browse: Callable[..., Client], person: Callable[..., Actor]
) -> None:
    plan = draft(total="2500")
    ops = browse("ops")
    press(ops, url(plan, "edit"), name="Smaller", total_amount="1000", on_failure="continue")
    plan.refresh_from_db()
    assert (plan.name, plan.payload["total_amount"], plan.on_failure) == ("Smaller", "1000.00", "continue")
    assert plan.external_id == "plan-1"
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    assert messages_of(press(ops, url(plan, "draft"), reason="wrong day")) == ["The plan is a draft again."]
    plan.refresh_from_db()
    assert (plan.status, plan.revision) == ("draft", 2)
    assert not Payout.objects.filter(status="reserved").exists()


def test_rejecting_revoking_and_cancelling(
    world: World, draft: Callable[..., Plan], browse: Callable[..., Client], person: Callable[..., Actor]
) -> None:
    first, second = draft("plan-1", total="500"), draft("plan-2", total="500")
    for plan in (first, second):
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    finance, ops = browse("finance_ops"), browse("ops")
    press(finance, url(first, "approve"))
    press(finance, url(first, "revoke"), reason="too early")
    first.refresh_from_db()
    assert first.approvals == []
    assert press(finance, url(first, "reject")).status_code == 400
    press(finance, url(first, "reject"), reason="wrong cutoff")
    first.refresh_from_db()
    assert first.status == "rejected"
    press(ops, url(second, "cancel"), reason="not needed")
    second.refresh_from_db()
    assert second.status == "cancelled"
    assert not Payout.objects.filter(status="reserved").exists()


def test_pressing_twice_is_pressing_once(
    world: World, approved: Callable[..., Plan], browse: Callable[..., Client]
) -> None:
    plan = approved(total="500")
    client = browse("finance_ops")
    page = client.get(url(plan, "execute"))
    form = {
        "key": str(page.context["form"].initial["key"]),
        "digest": plan.digest,
        "typed": page.context["form"].typed,
    }
    answers = [client.post(url(plan, "execute"), form) for _ in range(3)]
    assert {answer["Location"] for answer in answers} == {
        reverse("admin:plans_run_change", args=[Run.objects.get().pk])
    }
    assert verbs().count("run.queued") == 1
    reused = client.post(url(plan, "rollback"), {**form, "typed": "0", "reason": "r"})
    assert reused.status_code == 409  # its own action: the key is free there, the plan is not


def test_the_same_form_at_the_same_moment(
    world: World,
    approved: Callable[..., Plan],
    browse: Callable[..., Client],
    connect_as: Callable[..., Any],
    person: Callable[..., Actor],
) -> None:
    plan = approved(total="500")
    client, key = browse("finance_ops"), str(uuid4())
    scope = f"{person('finance_ops').id} POST plans_plan_execute"
    first = connect_as("ops_app")
    with first.transaction():  # the first press is still running
        first.execute("select pg_advisory_xact_lock(hashtextextended(%s || chr(31) || %s, 0))", [scope, key])
        answer = client.post(url(plan, "execute"), {"key": key, "digest": plan.digest, "typed": "4"})
        assert messages_of(answer) == ["This is being done already."]
        assert not Run.objects.exists()
    assert client.post(url(plan, "execute"), {"key": key, "digest": plan.digest, "typed": "4"}).status_code == 302
    assert Run.objects.count() == 1


def test_a_key_is_good_for_one_content(world: World, draft: Callable[..., Plan], browse: Callable[..., Client]) -> None:
    plan = draft()
    client = browse("ops")
    key = str(uuid4())
    assert client.post(url(plan, "cancel"), {"key": key, "reason": "one"}).status_code == 302
    before = contents()
    other = client.post(url(plan, "cancel"), {"key": key, "reason": "two"})
    assert other.status_code == 422
    assert "This form was sent before" in other.content.decode()
    assert other.context["form"]["key"].value() != key  # who means it can send it again
    assert contents() == before


def test_execution_asks_for_the_number_of_items(
    world: World, approved: Callable[..., Plan], browse: Callable[..., Client]
) -> None:
    plan = approved(total="500")
    client = browse("pay_admin")
    before = contents()
    for typed in ("", "5", "execute"):
        answer = press(client, url(plan, "execute"), typed=typed)
        assert answer.status_code == 400
    assert contents() == before
    page = client.get(url(plan, "execute")).content.decode()
    assert "4 items, " in page
    assert "Type 4 to confirm" in page


def test_refusals_are_shown_and_write_nothing(
    world: World, approved: Callable[..., Plan], draft: Callable[..., Plan], browse: Callable[..., Client]
) -> None:
    plan = approved(total="500")
    ops, finance = browse("ops"), browse("finance_ops")
    other = draft("plan-2")
    before = contents()
    refused = [
        (send(ops, url(plan, "stage")), 409, "only a draft can be staged"),
        (send(ops, url(plan, "execute"), digest=plan.digest, typed="4"), 403, "This takes one of the roles"),
        (send(ops, url(plan, "rollback"), typed="0", reason="r"), 409, "never executed"),
        (send(finance, url(plan, "approve"), digest=plan.digest), 409, "You have approved this already"),
        (send(ops, url(plan, "approve"), digest=plan.digest), 403, "other people must approve it"),
        (send(finance, url(other, "approve"), digest="0" * 64), 409, "waits for no decision"),
        (send(finance, url(other, "revoke")), 409, "waits for no decision"),
        (send(finance, url(other, "execute"), digest="", typed=""), 400, "Digest"),
    ]
    for answer, status, text in refused:
        page = answer.content.decode()
        assert answer.status_code == status, page
        assert text in page
    assert contents() == before


def test_an_approval_is_for_what_was_seen(
    world: World, draft: Callable[..., Plan], browse: Callable[..., Client], person: Callable[..., Actor]
) -> None:
    plan = draft(total="500")
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    plan.refresh_from_db()
    client = browse("finance_ops")
    seen = client.get(url(plan, "approve")).context["form"].initial["digest"]
    drafts.return_to_draft(plan_id=plan.pk, reason="", actor=person("ops2", "ops"))
    drafts.edit_plan(
        plan_id=plan.pk,
        changes={"payload": {"currency": "EUR", "cutoff_date": "2025-08-01", "total_amount": "1000"}},
        actor=person("ops2", "ops"),
    )
    staging.stage_plan(plan_id=plan.pk, actor=person("ops2", "ops"))
    before = contents()
    answer = send(client, url(plan, "approve"), digest=seen)
    assert answer.status_code == 409
    assert "has changed since you saw it" in answer.content.decode()
    assert contents() == before


def test_a_plan_that_drifted_goes_back_to_be_approved(
    world: World, approved: Callable[..., Plan], browse: Callable[..., Client], superuser: object
) -> None:
    plan = approved(total="500")
    superuser.execute("set session_replication_role = replica")  # type: ignore[attr-defined]
    superuser.execute("update treasury_payouts set amount = amount + 1 where status = 'reserved'")  # type: ignore[attr-defined]
    client = browse("finance_ops")
    answer = press(client, url(plan, "execute"))
    assert answer["Location"] == reverse("admin:plans_plan_change", args=[plan.pk])
    (message,) = messages_of(answer)
    assert "no longer matches what was approved" in message
    assert "has changed since it was staged" in message
    plan.refresh_from_db()
    assert plan.status == "staged"
    assert not Run.objects.exists()


def test_the_draft_form_says_what_is_wrong(world: World, browse: Callable[..., Client]) -> None:
    client = browse("ops")
    before = contents()
    for wrong in (
        {"cutoff_date": "tomorrow"},
        {"cutoff_date": "2025-08-01", "total_amount": "-1"},
        {"cutoff_date": "2025-08-01", "total_amount": "1.001"},
        {"cutoff_date": "2025-08-01", "currency": "XXX"},
        {"cutoff_date": "2025-08-01", "required_approvals": "21"},
        {"cutoff_date": "2025-08-01", "not_before": "2025-08-02T10:00", "not_after": "2025-08-02T09:00"},
        {"cutoff_date": "2025-08-01", "name": ""},
    ):
        answer = press(client, reverse(NEW), **wrong)
        assert answer.status_code == 400, wrong
        assert answer.context["form"].errors
    assert contents() == before


def test_the_same_draft_again_is_the_same_plan(world: World, browse: Callable[..., Client]) -> None:
    client = browse("ops")
    facts = {"name": "August", "external_id": "august", "cutoff_date": "2025-08-01"}
    press(client, reverse(NEW), **facts)
    again = press(client, reverse(NEW), **facts)
    assert "drafted before" in messages_of(again)[0]
    clash = press(client, reverse(NEW), **{**facts, "name": "Other"})
    assert clash.status_code == 409
    assert "external_id august" in clash.content.decode()
    assert Plan.objects.count() == 1


def test_nothing_due_is_said(world: World, browse: Callable[..., Client]) -> None:
    client = browse("ops")
    press(client, reverse(NEW), cutoff_date="2020-01-01", external_id="nothing")
    plan = Plan.objects.get()
    answer = press(client, url(plan, "stage"))
    assert answer.status_code == 422
    assert "No payout in EUR" in answer.content.decode()


def test_buttons_fit_the_state_and_the_person(
    world: World, draft: Callable[..., Plan], browse: Callable[..., Client], person: Callable[..., Actor]
) -> None:
    plan = draft(total="500")

    def buttons(name: str) -> dict[str, bool]:
        page = browse(name).get(reverse("admin:plans_plan_change", args=[plan.pk]))
        return {button.action.name: not button.obstacle for button in page.context["buttons"]}

    assert buttons("ops") == {"stage": True, "edit": True, "cancel": True}
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    assert buttons("ops") == {"approve": False, "execute": False, "draft": True, "reject": False, "cancel": True}
    assert buttons("finance_ops") == {"approve": True, "execute": False, "draft": True, "reject": True, "cancel": True}
    assert buttons("auditor") == {}
    page = browse("ops").get(reverse("admin:plans_plan_change", args=[plan.pk])).content.decode()
    assert "Still needed: 1 finance_ops and 1 pay_admin." in page
    assert "that can be finance_ops" in page  # by name
    assert "nobody who could agree holds it now" in page  # there is no pay_admin yet
    press(browse("finance_ops"), url(plan, "approve"))
    assert buttons("finance_ops")["approve"] is False
    assert buttons("finance_ops")["revoke"] is True


def test_a_dead_redis_does_not_spoil_a_press(
    world: World, approved: Callable[..., Plan], browse: Callable[..., Client], settings: object
) -> None:
    plan = approved(total="500")
    settings.REDIS_URL = "unix:///nowhere/redis.sock"  # type: ignore[attr-defined]
    assert press(browse("finance_ops"), url(plan, "execute")).status_code == 302
    assert Run.objects.get().status == "queued"


def test_keys_are_kept_with_their_effect(world: World, browse: Callable[..., Client]) -> None:
    add_payouts(count=1, amount=1, actor=TESTER, prefix="ONE")
    press(browse("ops"), reverse(NEW), cutoff_date="2025-08-01")
    (stored,) = IdempotencyKey.objects.all()
    assert stored.scope.endswith("POST plans_plan_new-payout-batch")
