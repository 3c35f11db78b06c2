"""Drafts: written once, corrected by name, taken back and staged again; and whose hand was in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsconsole.approvals.errors import SeparationOfDuties
from opsconsole.approvals.models import Decision, Request
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from opsconsole.plans.errors import ExternalIdTaken, NoDecisionOpen, PlanInvalid, PlanNotFound
from opsconsole.plans.models import Plan, Step
from opsconsole.plans.services import decisions, drafts, staging
from opsconsole.plans.services.drafts import Draft
from tests.world import TESTER, World, add_payouts, counts

People = Callable[..., Actor]
DRAFT = Draft(
    external_id="plan-1",
    name="Payouts",
    plan_type="payout_batch",
    payload={"currency": "EUR", "cutoff_date": "2025-08-01", "total_amount": 500},
)


def verbs(plan: Plan) -> list[str]:
    """What the journal says of the plan, oldest first."""
    found = Entry.objects.filter(subject_kind="ops_plans", subject_id=str(plan.pk)).order_by("seq")
    return list(found.values_list("verb", flat=True))


def approve(plan: Plan, *people: Actor) -> Plan:
    """Have people approve."""
    for actor in people:
        plan = decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=actor)
    return plan


# Once


def test_the_same_draft_again_is_the_same_plan(person: People, world: World) -> None:
    plan, new = drafts.create_plan(draft=DRAFT, actor=person("ops"))
    assert new
    for actor in (person("ops"), person("finance_ops")):
        assert drafts.create_plan(draft=DRAFT, actor=actor) == (plan, False)
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    assert drafts.create_plan(draft=DRAFT, actor=person("ops"))[0].status == "staged"  # whatever became of it
    assert verbs(plan).count("plan.created") == Plan.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Other"},
        {"description": "x"},
        {"payload": {**DRAFT.payload, "total_amount": 501}},
        {"required_approvals": 3},
        {"on_failure": "rollback"},
        {"not_after": datetime(2030, 1, 1, tzinfo=UTC)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_same_id_with_other_content_is_taken(person: People, world: World, change: dict[str, Any]) -> None:
    plan, _ = drafts.create_plan(draft=DRAFT, actor=person("ops"))
    with pytest.raises(ExternalIdTaken):
        drafts.create_plan(draft=Draft(**{**vars_of(DRAFT), **change}), actor=person("ops"))
    assert (Plan.objects.count(), verbs(plan)) == (1, ["plan.created"])


def vars_of(draft: Draft) -> dict[str, Any]:
    """A draft as a dict."""
    return {name: getattr(draft, name) for name in Draft.__slots__}


def test_the_same_amount_in_another_spelling_is_the_same_content(person: People, world: World) -> None:
    plan, _ = drafts.create_plan(draft=DRAFT, actor=person("ops"))
    spelled = Draft(**{**vars_of(DRAFT), "payload": {**DRAFT.payload, "total_amount": "500.00"}})
    assert drafts.create_plan(draft=spelled, actor=person("ops")) == (plan, False)


def test_a_plan_is_drafted_by_a_person(person: People, world: World) -> None:
    for actor in (person("auditor"), SYSTEM("test")):
        with pytest.raises(Denied):
            drafts.create_plan(draft=DRAFT, actor=actor)
    assert not Plan.objects.exists()


# Corrected


def test_an_edit_is_journalled_with_what_changed(draft: Callable[..., Plan], person: People, world: World) -> None:
    plan = draft(total="500")
    edited = drafts.edit_plan(
        plan_id=plan.pk,
        changes={"name": "August", "payload": {**plan.payload, "total_amount": 300}},
        actor=person("finance_ops"),
    )
    assert (edited.name, edited.payload["total_amount"]) == ("August", "300.00")
    content = Entry.objects.get(verb="plan.edited").content
    assert content["before"] == {"name": "Payouts", "payload": plan.payload}
    assert content["after"] == {"name": "August", "payload": edited.payload}


def test_an_edit_that_changes_nothing_makes_nobody_an_editor(
    draft: Callable[..., Plan], person: People, world: World
) -> None:
    plan = draft()
    drafts.edit_plan(plan_id=plan.pk, changes={"name": plan.name}, actor=person("finance_ops"))
    drafts.edit_plan(plan_id=plan.pk, changes={}, actor=person("finance_ops"))
    assert verbs(plan) == ["plan.created"]
    plan = staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    assert approve(plan, person("finance_ops")).approvals != []


def test_author_editor_and_stager_cannot_approve(draft: Callable[..., Plan], person: People, world: World) -> None:
    plan = draft()
    editor, stager = person("editor", "finance_ops"), person("stager", "pay_admin")
    drafts.edit_plan(plan_id=plan.pk, changes={"name": "Mine too"}, actor=editor)
    plan = staging.stage_plan(plan_id=plan.pk, actor=stager)
    for actor in (person("ops"), editor, stager):
        with pytest.raises(SeparationOfDuties):
            approve(plan, actor)
    assert not Decision.objects.exists()
    assert approve(plan, person("finance_ops"), person("pay_admin")).status == "approved"


@pytest.mark.parametrize("bad", [{"payload": {"currency": "EUR"}}, {"payload": {"colour": "red"}}, "window"])
def test_an_edit_that_does_not_hold_together_changes_nothing(
    draft: Callable[..., Plan], person: People, world: World, bad: Any
) -> None:
    plan = draft()
    now = datetime.now(UTC)
    changes = {"not_before": now, "not_after": now - timedelta(days=1)} if bad == "window" else bad
    with pytest.raises(PlanInvalid):
        drafts.edit_plan(plan_id=plan.pk, changes=changes, actor=person("ops"))
    assert verbs(plan) == ["plan.created"]


def test_staged_content_is_immutable(draft: Callable[..., Plan], person: People, world: World) -> None:
    plan = draft()
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    with pytest.raises(WrongState):
        drafts.edit_plan(plan_id=plan.pk, changes={"name": "x"}, actor=person("ops"))
    with pytest.raises(WrongState):
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    assert Plan.objects.get().name == "Payouts"


def test_who_may_not_see_a_plan_does_not_find_it(draft: Callable[..., Plan], person: People, world: World) -> None:
    plan = draft()
    with pytest.raises(PlanNotFound):
        drafts.edit_plan(plan_id=plan.pk, changes={"name": "x"}, actor=person("dev"))
    with pytest.raises(Denied):
        drafts.edit_plan(plan_id=plan.pk, changes={"name": "x"}, actor=person("auditor"))


# The quorum


@pytest.mark.parametrize(("asked", "needed"), [(None, 2), (1, 2), (2, 2), (3, 3), (5, 5)])
def test_the_quorum_is_raised_and_never_lowered(
    draft: Callable[..., Plan], person: People, world: World, asked: int | None, needed: int
) -> None:
    plan = draft(required_approvals=asked)
    assert plan.required_approvals == needed
    plan = staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    assert plan.required_approvals == needed
    people = [person("finance_ops"), person("pay_admin")]
    people += [person(f"extra-{number}", "finance_ops") for number in range(needed - 2)]
    for number, actor in enumerate(people, start=1):
        plan = approve(plan, actor)
        assert plan.status == ("approved" if number == needed else "staged")
    assert len(plan.approvals) == needed


# Back to draft


def test_the_same_content_staged_again_keeps_its_approvals(
    approved: Callable[..., Plan], person: People, world: World
) -> None:
    plan = approved()
    digest, request = plan.digest, Request.objects.get().pk
    plan = drafts.return_to_draft(plan_id=plan.pk, reason="a second look", actor=person("ops"))
    assert (plan.status, plan.approvals, plan.revision) == ("draft", [], 2)
    assert counts("treasury_payouts") == {"payable": 40}
    assert set(Step.objects.filter(revision=1).values_list("status", flat=True)) == {"skipped"}
    with pytest.raises(NoDecisionOpen):
        approve(plan, person("pay_admin2", "pay_admin"))
    plan = staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    assert (plan.status, plan.digest, len(plan.approvals)) == ("approved", digest, 2)
    assert Request.objects.get().pk == request


@pytest.mark.parametrize("change", ["an edit", "another payout"])
def test_other_content_voids_the_approvals(
    approved: Callable[..., Plan], person: People, world: World, change: str
) -> None:
    plan = approved()
    digest = plan.digest
    if change == "an edit":
        drafts.edit_plan(plan_id=plan.pk, changes={"name": "x"}, back_to_draft=True, actor=person("ops"))
    else:
        drafts.return_to_draft(plan_id=plan.pk, reason="", actor=person("ops"))
        add_payouts(count=1, amount=7, actor=TESTER, prefix="EXTRA")
    plan = staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    assert (plan.status, plan.approvals) == ("staged", [])
    assert plan.digest != digest
    assert counts("approvals_requests") == {"void": 1, "pending": 1}


def test_an_approver_who_stages_again_loses_their_say(
    approved: Callable[..., Plan], person: People, world: World
) -> None:
    plan = approved()
    drafts.return_to_draft(plan_id=plan.pk, reason="", actor=person("ops"))
    plan = staging.stage_plan(plan_id=plan.pk, actor=person("finance_ops"))
    assert plan.status == "staged"
    assert [one["user"] for one in plan.approvals] == ["pay_admin"]
    assert approve(plan, person("finance_ops2", "finance_ops")).status == "approved"


def test_taking_back_and_changing_is_one_piece(approved: Callable[..., Plan], person: People, world: World) -> None:
    plan = approved()
    with pytest.raises(PlanInvalid):
        drafts.edit_plan(plan_id=plan.pk, changes={"payload": {}}, back_to_draft=True, actor=person("ops"))
    plan.refresh_from_db()
    assert (plan.status, plan.revision, len(plan.approvals)) == ("approved", 1, 2)
    edited = drafts.edit_plan(
        plan_id=plan.pk, changes={"name": "Corrected"}, back_to_draft=True, actor=person("finance_ops")
    )
    assert (edited.status, edited.revision, edited.name) == ("draft", 2, "Corrected")
    assert verbs(plan)[-2:] == ["plan.draft", "plan.edited"]
    assert counts("treasury_payouts") == {"payable": 40}


def test_a_draft_is_not_taken_back(draft: Callable[..., Plan], person: People, world: World) -> None:
    plan = draft()
    with pytest.raises(WrongState):
        drafts.return_to_draft(plan_id=plan.pk, reason="", actor=person("ops"))
