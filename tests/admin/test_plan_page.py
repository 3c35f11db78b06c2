"""The page of a plan: what differs from before, exactly what is approved, what is in doubt, and its files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from opsconsole.core.actors import Actor
from opsconsole.core.admin.pages import Facts, Notice, Table
from opsconsole.plans import jobs
from opsconsole.plans.admin import plans as plans_admin
from opsconsole.plans.admin import revisions, runs
from opsconsole.plans.admin.impact import detail_sections
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import drafts, execution, staging
from opsconsole.plans.states import RunState, Waiting
from tests.sandbox_bank.process import BankProcess
from tests.world import TESTER, World, route_through, set_probing

MOST_QUERIES = 45


def url(plan: Plan, name: str = "change") -> str:
    return reverse(f"admin:plans_plan_{name}", args=[plan.pk])


@pytest.fixture
def restaged(draft: Callable[..., Plan], person: Callable[..., Actor]) -> Callable[..., Plan]:
    """A plan of 500 that is taken back, edited, and staged again."""

    def make(**changes: Any) -> Plan:
        ops, plan = person("ops"), draft(total="500")
        staging.stage_plan(plan_id=plan.pk, actor=ops)
        drafts.return_to_draft(plan_id=plan.pk, reason="not yet", actor=ops)
        if changes:
            payload = {**plan.payload, **changes.pop("payload", {})}
            drafts.edit_plan(plan_id=plan.pk, changes={"payload": payload, **changes}, actor=ops)
        staging.stage_plan(plan_id=plan.pk, actor=ops)
        return Plan.objects.get(pk=plan.pk)

    return make


def test_what_has_changed_since_it_was_staged_before(
    world: World, restaged: Callable[..., Plan], browse: Callable[..., Client]
) -> None:
    plan = restaged(payload={"total_amount": "300"}, name="Payouts, fewer", on_failure="continue")
    found = revisions.comparison(plan)
    assert found
    assert found.before == 1
    assert {(change.name, change.was, change.now) for change in found.facts} == {
        ("name", "Payouts", "Payouts, fewer"),
        ("on failure", "stop", "continue"),
        ("total amount", "500.00", "300.00"),
    }
    assert ("count", 4, 2) in {(change.name, change.was, change.now) for change in found.impact}
    assert [payload["payout"] for _seq, payload in found.steps.removed] == ["PAY-00001", "PAY-00021"]
    assert (found.steps.added, found.steps.changed) == ([], [])
    page = browse("auditor").get(url(plan)).content.decode()
    assert "Changed since revision 1" in page
    assert '<del class="ops-was">500.00</del>' in page
    assert '<ins class="ops-is">300.00</ins>' in page
    assert "0 steps added, 2 removed, 0 changed" in page
    content = browse("auditor").get(url(plan, "content")).content.decode()
    assert "Steps removed" in content
    assert "PAY-00020" in content


def test_a_step_that_changed_is_shown_field_by_field(
    world: World, restaged: Callable[..., Plan], superuser: Any, browse: Callable[..., Client]
) -> None:
    plan = restaged(payload={"total_amount": "500"}, name="Another")
    superuser.execute("set session_replication_role = replica")
    superuser.execute(
        'update ops_plan_steps set payload = payload || \'{"amount": "1.23"}\' where revision = 1 and seq = 1'
    )
    found = revisions.comparison(plan)
    assert found
    ((seq, was, now),) = found.steps.changed
    assert (seq, was["amount"], now["payout"]) == (1, "1.23", was["payout"])
    content = browse("auditor").get(url(plan, "content")).content.decode()
    assert "Steps changed" in content
    assert '<del class="ops-was">1.23</del>' in content


def test_the_same_again_says_so(world: World, restaged: Callable[..., Plan], browse: Callable[..., Client]) -> None:
    plan = restaged()
    assert "Exactly the same as revision 1." in browse("auditor").get(url(plan)).content.decode()


def test_a_first_revision_has_nothing_to_compare(
    world: World, approved: Callable[..., Plan], draft: Callable[..., Plan]
) -> None:
    assert revisions.comparison(approved(total="300")) is None
    assert revisions.comparison(draft("plan-2")) is None


def test_every_step_that_is_approved_page_by_page(
    world: World, approved: Callable[..., Plan], browse: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = approved(total="1000")
    monkeypatch.setattr(plans_admin, "STEPS_ON_PAGE", 4)
    client, seen = browse("auditor"), 0
    address: str | None = url(plan, "content")
    while address:
        page = client.get(address)
        assert plan.digest in page.content.decode()
        table = next(one for one in page.context["sections"] if isinstance(one, Table) and "#" in one.columns)
        seen += len(table.lines)
        address = table.more.url if table.more and "from=" in table.more.url else None
    assert seen == plan.estimated_impact["steps"] == 9  # type: ignore[index] # it is staged
    assert client.get(url(plan, "content"), {"from": "x'"}).status_code == 200
    assert client.get(url(plan, "content"), {"from": "9" * 30}).status_code == 200


def test_the_page_knows_when_it_is_out_of_date(
    world: World, draft: Callable[..., Plan], person: Callable[..., Actor], browse: Callable[..., Client]
) -> None:
    plan, client = draft(total="300"), browse("auditor")
    tokens = []
    for move in (
        lambda: staging.stage_plan(plan_id=plan.pk, actor=person("ops")),
        lambda: drafts.return_to_draft(plan_id=plan.pk, reason="", actor=person("ops")),
        lambda: staging.stage_plan(plan_id=plan.pk, actor=person("ops")),
    ):
        move()
        answer = client.get(url(plan, "state"))
        tokens.append(answer.content.decode())
        page = client.get(url(plan)).content.decode()
        assert (f'data-token="{tokens[-1]}"' in page) == (tokens[-1].startswith("staged"))
    assert len(set(tokens)) == 3
    assert "no-store" in answer["Cache-Control"]
    assert browse("dev").get(url(plan, "state")).status_code == 403


def test_steps_in_doubt_come_first_with_what_is_asked(
    world: World,
    bank: BankProcess,
    approved: Callable[..., Plan],
    person: Callable[..., Actor],
    browse: Callable[..., Client],
) -> None:
    set_probing(bank=world.http.pk, probing=False, actor=TESTER)
    plan = approved(total="150")
    bank.arm("drop_after_accept", times=10)
    run = execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    assert isinstance(run, Run)
    for _ in range(2):
        jobs.execute_run(str(run.pk))
    step = plan.steps.get(status="unknown")
    page = browse("finance_ops").get(url(plan))
    first = next(section for section in page.context["sections"] if isinstance(section, Notice | Table))
    assert first.title == "Steps in doubt"
    assert reverse("admin:plans_step_resolve", args=[step.pk]) in page.content.decode()
    assert step.key in page.content.decode()
    assert reverse("admin:plans_step_resolve", args=[step.pk]) not in browse("auditor").get(url(plan)).content.decode()
    run.refresh_from_db()
    assert "says what became of the steps in doubt" in runs.why_it_stands(run)


def test_why_a_run_stands_in_plain_words() -> None:
    def told(**facts: Any) -> str:
        return runs.why_it_stands(Run(**facts))

    assert told(status=RunState.SUCCEEDED, result={"steps": {}}) == ""
    assert "It stopped before sending more: no money" in told(status=RunState.FAILED, result={"halted": "no money"})
    assert told(status=RunState.FAILED, result={"error": "late."}) == "It was ended: late."
    assert "dry run did not agree" in told(status=RunState.FAILED, result={"disagreements": ["5, not 6"]})
    assert "A person ended it" in told(status=RunState.CANCELLED)
    assert "what became of the steps" in told(status=RunState.RUNNING, waiting_for=Waiting.PERSON)


def test_wishes_tell_when_they_were_asked_and_when_they_took_effect() -> None:
    asked = timezone.now().replace(hour=3, minute=0, second=1)
    run = Run(pause_asked_at=asked, paused_at=asked + timedelta(seconds=2), cancel_asked_at=asked)
    told = str(runs.wishes_of(run))
    assert "pause: asked 03:00:01, in effect 03:00:03" in told
    assert "end: asked 03:00:01, in effect not yet" in told
    assert runs.wishes_of(Run()) == "–"


def test_a_file_for_a_bank_can_be_had_from_the_page(
    world: World,
    executed: Callable[..., tuple[Plan, Run]],
    browse: Callable[..., Client],
) -> None:
    route_through(route=world.route.pk, account=world.iso_account, actor=TESTER)
    plan, _run = executed(total="500")
    client = browse("auditor")
    page = client.get(url(plan)).content.decode()
    name = "plan-1-1.xml"
    assert name in page
    got = client.get(url(plan, "file"), {"name": name})
    assert got["Content-Type"] == "application/xml"
    assert f'filename="{name}"' in got["Content-Disposition"]
    step = plan.steps.get(direction="execute")
    file = b"".join(got.streaming_content)
    assert hashlib.sha256(file).hexdigest() == step.result["reference"]
    assert b"pain.001.001.09" in file
    for wrong in ("", "other.xml", "../../../etc/passwd"):
        assert client.get(url(plan, "file"), {"name": wrong}).status_code == 404
    assert browse("dev").get(url(plan, "file"), {"name": name}).status_code == 403


def test_whatever_a_plan_type_says_becomes_facts_and_tables() -> None:
    sections = detail_sections(
        {
            "nothing": {},
            "routes": [{"corridor": "EUR/FR", "from": {"bank": "a"}, "amount": "1234.5"}],
            "by_bank": {"a": {"count": 1}, "b": {"count": 2}},
            "target": {"bank": "a", "sum": "1000.00"},
            "deep": [{"list": [{"x": [1, {"y": None}]}]}],
            "note": "plain",
            "flags": ["one", "two"],
        }
    )
    kinds = {str(section.title): type(section) for section in sections}
    assert kinds == {
        "More about the impact": Facts,
        "Routes": Table,
        "By bank": Table,
        "Target": Facts,
        "Deep": Table,
    }
    for section in sections:
        shown = str([list(row) for row in section.rows]) if isinstance(section, Table | Facts) else ""
        assert "{'" not in shown
        assert "{&#x27;" not in shown


def test_a_page_asks_no_more_for_more_steps(
    world: World, executed: Callable[..., tuple[Plan, Run]], browse: Callable[..., Client]
) -> None:
    client = browse("auditor")
    asked = []
    for number, total in enumerate(("200", "2000")):
        plan, run = executed(f"plan-{number}", total=total)
        client.get(url(plan))
        for address in (url(plan), url(plan, "content"), reverse("admin:plans_run_change", args=[run.pk])):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address).status_code == 200
            asked.append(len(queries))
    assert asked[:3] == asked[3:]
    assert max(asked) <= MOST_QUERIES
