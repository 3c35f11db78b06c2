"""`freeze`: accounts, beneficiaries and merchants, by one plan and by several, done once and undone exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.conf import settings

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.plans.errors import NothingToDo, PlanInvalid
from opsconsole.plans.models import Plan, Step
from opsconsole.plans.services import execution
from opsconsole.plans.services.execution import ApprovalWanted, Drifted
from opsconsole.plans.types import type_named
from opsconsole.treasury.models import Account, Freeze, Payout
from opsconsole.treasury.services import freezes
from tests.treasury.closing.conftest import carry_out, requests_of, rolled_back, rows, told
from tests.treasury.conftest import refusal
from tests.world import PAYEES, World, counts

pytestmark = pytest.mark.django_db(transaction=True)

People = Callable[..., Actor]
Connect = Callable[[str], psycopg.Connection[Any]]
BATCH = {"currency": "EUR", "cutoff_date": "2025-08-01"}


def payload(kind: str, world: World) -> dict[str, Any]:
    """A freeze of each kind."""
    subject = {"account": str(world.account.pk), "beneficiary": PAYEES[0], "merchant": "shop-7"}[kind]
    return {"subject": kind, "id": subject, "reason": "case 2025-118"}


@pytest.fixture
def merchants(world: World) -> None:
    """Every fourth payout is of a merchant."""
    for payout in Payout.objects.filter(iban=PAYEES[1]):
        payout.merchant = "shop-7"
        payout.save(update_fields=["merchant"])


@pytest.mark.parametrize("kind", ["account", "beneficiary", "merchant"])
def test_the_whole_story(
    world: World, merchants: None, approved: Callable[..., Plan], person: People, kind: str
) -> None:
    plan = approved("freeze", payload(kind, world))
    before = rows()
    run = carry_out(plan, person("finance_ops"))
    assert (plan.status, run.status) == ("succeeded", "succeeded")
    made = Freeze.objects.get()
    assert (made.kind, made.subject, made.reason) == (kind, payload(kind, world)["id"], "case 2025-118")
    assert (made.plan_id, made.set_by, made.is_live) == (plan.pk, "finance_ops", True)
    assert Account.objects.get(pk=world.account.pk).status == ("frozen" if kind == "account" else "active")
    (entry,) = told("freeze.set")
    assert (entry.subject_id, entry.content["reason"]) == (str(made.pk), "case 2025-118")
    assert len(told("account.frozen")) == (kind == "account")

    wanted = execution.roll_back_plan(plan_id=plan.pk, actor=person("ops"))
    assert isinstance(wanted, ApprovalWanted)
    assert requests_of(plan)["plan.freeze.rollback"] == "pending"
    assert Freeze.objects.get().is_live
    back = rolled_back(plan, person)
    assert (plan.status, back.status) == ("rolled_back", "succeeded")
    made.refresh_from_db()
    assert (made.is_live, made.lifted_by) == (False, "pay_admin")
    assert made.lifted_step is not None
    after = rows()
    assert len(after.pop("treasury_freezes")) == 1
    del before["treasury_freezes"]
    assert after == before
    assert len(told("freeze.lifted")) == 1


@pytest.mark.parametrize("kind", ["account", "beneficiary", "merchant"])
def test_two_plans_freeze_one_subject(
    world: World, merchants: None, done: Callable[..., Any], staged: Callable[..., Plan], person: People, kind: str
) -> None:
    first, _ = done("freeze", payload(kind, world), "first")
    second = staged("freeze", payload(kind, world), "second")
    assert [warning["code"] for warning in second.estimated_impact["warnings"]][0] == "already_frozen"
    assert "first" in second.estimated_impact["warnings"][0]["message"]
    done("freeze", payload(kind, world), "third")
    assert Freeze.objects.filter(lifted_at=None).count() == 2
    back = rolled_back(first, person)
    assert back.result["changed"][0]["still_frozen"] is True
    assert [one.plan.external_id for one in Freeze.objects.filter(lifted_at=None)] == ["third"]
    assert Account.objects.get(pk=world.account.pk).status == ("frozen" if kind == "account" else "active")
    assert told("account.unfrozen") == []
    rolled_back(Plan.objects.get(external_id="third"), person)
    assert not Freeze.objects.filter(lifted_at=None).exists()
    assert Account.objects.get(pk=world.account.pk).status == "active"
    assert len(told("account.frozen")) == len(told("account.unfrozen")) == (kind == "account")


def test_an_account_that_was_found_frozen_stays_so(
    world: World, done: Callable[..., Any], staged: Callable[..., Plan], person: People
) -> None:
    Account.objects.filter(pk=world.account.pk).update(status="frozen")  # by hand, by no plan
    first, _ = done("freeze", payload("account", world), "first")
    second, _ = done("freeze", payload("account", world), "second")
    assert [one.found_frozen for one in Freeze.objects.all()] == [True, True]
    for plan in (first, second):
        assert rolled_back(plan, person).status == "succeeded"
        assert Account.objects.get(pk=world.account.pk).status == "frozen"
    assert told("account.frozen", "account.unfrozen") == []


@pytest.mark.parametrize("kind", ["account", "beneficiary", "merchant"])
def test_nothing_frozen_is_reserved_and_the_impact_says_how_many(
    world: World, merchants: None, done: Callable[..., Any], staged: Callable[..., Plan], kind: str
) -> None:
    done("freeze", payload(kind, world))
    if kind == "account":
        with pytest.raises(NothingToDo, match="40 have no open route"):
            staged("payout_batch", BATCH)
        return
    plan = staged("payout_batch", BATCH)
    assert plan.estimated_impact["count"] == 30
    (warning,) = [one for one in plan.estimated_impact["warnings"] if one["code"] == "frozen"]
    assert warning["message"].startswith("10 due payouts (")
    frozen = PAYEES[0] if kind == "beneficiary" else PAYEES[1]
    assert set(Payout.objects.filter(iban=frozen).values_list("status", flat=True)) == {"payable"}


def test_an_account_of_ours_that_is_frozen_is_not_paid_either(
    world: World, done: Callable[..., Any], staged: Callable[..., Plan]
) -> None:
    Payout.objects.filter(external_id="PAY-00000").update(iban=world.iso_account.iban)
    done("freeze", payload("account", world) | {"id": world.iso_account.iban})
    plan = staged("payout_batch", BATCH)
    assert plan.estimated_impact["count"] == 39
    assert Payout.objects.get(external_id="PAY-00000").status == "payable"


@pytest.mark.parametrize("kind", ["beneficiary", "merchant"])
def test_frozen_since_it_was_approved_is_a_drift(
    world: World, merchants: None, approved: Callable[..., Plan], done: Callable[..., Any], person: People, kind: str
) -> None:
    batch = approved("payout_batch", BATCH)
    done("freeze", payload(kind, world))
    drifted = execution.execute_plan(plan_id=batch.pk, actor=person("finance_ops"))
    assert isinstance(drifted, Drifted)
    assert drifted.reasons == ["10 payments are to a beneficiary, or of a merchant, that is frozen by now."]
    batch.refresh_from_db()
    assert (batch.status, batch.estimated_impact["count"], batch.approvals) == ("staged", 30, [])


def test_says_what_it_stops(world: World, merchants: None, staged: Callable[..., Plan]) -> None:
    staged("payout_batch", BATCH | {"total_amount": "1000"})
    impact = staged("freeze", payload("beneficiary", world), "f").estimated_impact
    assert impact["frozen"] == PAYEES[0]
    assert impact["count"] == 10
    assert {line["status"] for line in impact["payments"]} == {"waiting for a plan", "in a plan that is staged"}
    assert [one["plan"] for one in impact["plans"]] == ["payout_batch"]
    unknown = {"subject": "merchant", "id": "nobody", "reason": "r"}
    assert staged("freeze", unknown, "n").estimated_impact["warnings"][0]["code"] == "unknown_subject"
    last = staged("freeze", payload("account", world), "a").estimated_impact
    assert [one["code"] for one in last["warnings"]] == []
    assert (last["accounts"][0]["account"], last["accounts"][0]["count"]) == (world.account.iban, 40)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"subject": "bank"}, {"subject"}),
        ({"subject": None, "id": None, "reason": None}, {"subject", "id", "reason"}),
        ({"subject": "account", "id": "DE89370400440532013001"}, {"id"}),
        ({"subject": "account", "id": "0198c0de-0000-7000-8000-000000000000"}, {"id"}),
        ({"id": "DE89370400440532013001"}, {"id"}),
        ({"subject": "merchant", "id": "x" * 101, "reason": ""}, {"id", "reason"}),
        ({"subject": "merchant", "id": "a\nb", "more": 1}, {"id", "more"}),
    ],
)
def test_every_wrong_field_is_named(
    world: World, staged: Callable[..., Plan], change: dict[str, Any], fields: set[str]
) -> None:
    with pytest.raises(PlanInvalid) as refused:
        staged("freeze", payload("beneficiary", world) | change)
    assert set(refused.value.fields["errors"]["payload"]) == fields


def test_blanks_in_an_iban_are_no_other_iban(world: World, staged: Callable[..., Plan]) -> None:
    plan = staged("freeze", payload("beneficiary", world) | {"id": "de25 3704 0044 9046 5843 30"})
    assert plan.payload["id"] == PAYEES[0]


def test_nobody_freezes_by_hand(world: World, done: Callable[..., Any], person: People) -> None:
    plan, _ = done("freeze", payload("account", world))
    step, before = Step.objects.get(plan=plan), rows()
    for name in ("pay_admin", "ops", "auditor"):
        for service in (freezes.freeze, freezes.lift):
            with pytest.raises(Denied):
                service(step=step, actor=person(name))
    assert rows() == before


def test_the_same_steps_twice_are_done_once(world: World, done: Callable[..., Any], person: People) -> None:
    plan, _ = done("freeze", payload("account", world))
    rolled_back(plan, person)
    before, plan_type = rows(), type_named("freeze")
    forward, back = Step.objects.filter(plan=plan).order_by("direction")
    assert plan_type.execute([forward]) == plan_type.probe([forward])
    assert plan_type.compensate([back]) == plan_type.probe([back])
    assert rows() == before
    assert (len(told("freeze.set")), len(told("freeze.lifted"))) == (1, 1)


@pytest.mark.parametrize("role", ["ops_app", settings.DB_OPERATOR_ROLE, settings.DB_OWNER_ROLE])
def test_what_the_database_refuses_whoever_writes(
    world: World, done: Callable[..., Any], connect_as: Connect, role: str
) -> None:
    done("freeze", payload("account", world))
    db = connect_as(role)
    assert refusal(db, "update treasury_accounts set status = 'active'") == "account_has_live_freeze"
    assert refusal(db, "delete from treasury_freezes") == "freeze_is_only_lifted"
    for change in ("subject = 'x'", "reason = 'x'", "kind = 'merchant'", "set_by = 'x'"):
        assert refusal(db, f"update treasury_freezes set {change}") == "treasury_freezes_fixed", change
    assert refusal(db, "update treasury_freezes set lifted_at = now()") == "lifted_freeze_says_by_whom"
    assert refusal(db, "update treasury_alterations set after = '{}'") == "treasury_alterations_append_only"
    db.execute("update treasury_freezes set lifted_at = now(), lifted_by = 'in the worst hour'")
    assert refusal(db, "update treasury_freezes set lifted_at = null, lifted_by = ''") == "freeze_is_only_lifted"
    db.execute("update treasury_accounts set status = 'active'")
    assert counts("treasury_accounts") == {"active": 8}


def test_a_freeze_that_was_lifted_by_hand_is_said(
    world: World, done: Callable[..., Any], connect_as: Connect, person: People
) -> None:
    plan, _ = done("freeze", payload("beneficiary", world))
    connect_as(settings.DB_OPERATOR_ROLE).execute("update treasury_freezes set lifted_at = now(), lifted_by = 'me'")
    back = rolled_back(plan, person)
    assert (back.status, back.result["left_as_it_was"][0]["code"]) == ("partial", "not_frozen")
    assert len(told("direct_sql")) == 1
