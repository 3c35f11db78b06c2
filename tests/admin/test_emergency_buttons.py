"""The buttons of the worst hour: calendars, break-glass and its review, a run that hangs, the evidence afterwards."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from guardian.shortcuts import assign_perm

from opsconsole.approvals.models import Review
from opsconsole.core.actors import Actor
from opsconsole.plans import jobs
from opsconsole.plans.models import Calendar, Plan, Run
from opsconsole.plans.services import execution
from tests.admin.conftest import contents, messages_of, press, send
from tests.journal.conftest import seal_all
from tests.plans.lamps import Lamps, approved, lamps, staged
from tests.plans.test_calendars import frozen

__all__ = ["lamps"]

pytestmark = pytest.mark.django_db(transaction=True)
People = Callable[..., Actor]
Browse = Callable[..., Client]
MakeLamps = Callable[..., Lamps]


def url(row: Any, name: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return str(answer.content.decode())


def test_a_calendar_is_made_and_ended(lamps: MakeLamps, browse: Browse, person: People) -> None:
    lamps()
    plan = approved(person("ops"), person("pay_admin"))
    client = browse("pay_admin")
    new = reverse("admin:plans_calendar_new")
    wrong = press(client, new, name="Weekend", reason="nobody watches", weekdays=["6"], time_zone="UTC")
    assert wrong.status_code == 400
    assert "from_time and until_time" in wrong.content.decode()
    said = press(
        client, new, name="Always", reason="nobody watches", weekdays=[str(day) for day in range(1, 8)],
        from_time="00:00", until_time="00:00", time_zone="Europe/Paris", plan_types=["lamps"],
    )  # fmt: skip
    assert messages_of(said) == ["The calendar is made."]
    calendar = Calendar.objects.get()
    page = text(client, url(calendar))
    assert "holds now" in page
    assert "When it holds next" in page
    assert "Always" in text(client, reverse("admin:plans_calendar_changelist"))
    shown = text(browse("finance_ops"), url(plan, "execute"))
    assert "The freeze calendar Always holds this plan, with no end in sight." in shown
    assert messages_of(press(client, url(calendar, "end"), reason="all clear")) == ["The calendar is ended."]
    assert 'data-action="end"' not in text(client, url(calendar))
    assert "The freeze calendar" not in text(browse("finance_ops"), url(plan, "execute"))


def test_the_glass_is_broken_with_a_typed_word_and_reviewed(lamps: MakeLamps, browse: Browse, person: People) -> None:
    lamps()
    plan = staged(person("ops"))
    client = browse("ops")
    assert 'data-action="break-glass"' in text(client, url(plan))
    assert 'data-action="break-glass"' not in text(browse("finance_ops"), url(plan))
    other = browse("finance_ops")
    before = contents()
    for said in ({"typed": "yes"}, {"incident": ""}, {"reason": ""}):
        facts = {"incident": "INC-7", "reason": "dark"} | said
        assert press(client, url(plan, "break-glass"), **facts).status_code == 400
    assert send(other, url(plan, "break-glass"), incident="x", reason="y").status_code == 403
    assert contents() == before
    done = press(client, url(plan, "break-glass"), incident="INC-7", reason="dark")
    assert messages_of(done) == ["The run is queued, everybody is told, and a review is due in 24 hours."]
    jobs.execute_run(str(Run.objects.get().pk))
    assert "ops executed this in an emergency (INC-7): dark" in text(client, url(plan))
    review = Review.objects.get()
    assert "You had a part in this" in text(client, url(review, "review"))
    assert press(client, url(review, "review"), verdict="approve", comment="me too").status_code == 403
    for name, state in (("pay_admin", "open"), ("finance_ops", "reviewed")):
        done = press(browse(name), url(review, "review"), verdict="approve", comment="it was dark")
        assert messages_of(done) == [f"The review is {state}."]
    page = text(browse("auditor"), url(review))
    assert page.count("it was dark") == 2
    assert "data-action=" not in page


def test_a_plan_that_nothing_holds_is_executed_as_usual(lamps: MakeLamps, browse: Browse, person: People) -> None:
    lamps()
    plan = approved(person("ops"), person("pay_admin"))
    assert "Nothing stands in the way" in text(browse("ops"), url(plan, "break-glass"))
    frozen(person("pay_admin"))
    page = text(browse("ops"), url(plan, "break-glass"))
    assert "The freeze calendar Year end holds this plan until" in page
    assert press(browse("ops"), url(plan, "break-glass"), incident="INC-7", reason="dark").status_code == 302


def test_a_run_is_forced_to_fail(lamps: MakeLamps, browse: Browse, person: People) -> None:
    lamps()
    plan = approved(person("ops"), person("pay_admin"))
    run = execution.execute_plan(plan_id=plan.pk, actor=person("ops"))
    client = browse("ops")
    assert 'data-action="force-fail"' in text(client, url(run))
    assert 'data-action="force-fail"' not in text(browse("finance_ops"), url(run))
    assert press(client, url(run, "force-fail"), reason="hangs", typed="no").status_code == 400
    done = press(client, url(run, "force-fail"), reason="hangs")
    assert messages_of(done) == ["The run is failed; the plan is failed."]
    assert 'data-action="force-fail"' not in text(client, url(run))


def test_the_evidence_is_among_the_downloads(lamps: MakeLamps, browse: Browse, person: People) -> None:
    lamps()
    plan = staged(person("ops"))
    name = f"evidence-{plan.pk}.zip"
    seal_all()
    assert name in text(browse("auditor"), url(plan))
    assert name not in text(browse("ops"), url(plan))
    answer = browse("auditor").get(f"{url(plan, 'file')}?name={name}")
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as pack:
        assert "journal.jsonl" in pack.namelist()
    assert browse("ops").get(f"{url(plan, 'file')}?name={name}").status_code == 404


def test_undoing_asks_for_its_approvals(lamps: MakeLamps, browse: Browse, person: People) -> None:
    lamps(rollback=True)
    plan = approved(person("ops"), person("pay_admin"))
    jobs.execute_run(str(execution.execute_plan(plan_id=plan.pk, actor=person("ops")).pk))
    before = text(browse("ops"), url(plan, "rollback"))
    assert "Undoing this takes approvals of its own: 1 finance_ops and 1 pay_admin" in before
    assert "undoes nothing yet" in before
    answer = press(browse("ops"), url(plan, "rollback"), reason="day has come")
    assert "Undoing this takes approvals of its own" in messages_of(answer)[0]
    assert answer["Location"].startswith("/admin/approvals/request/")
    page = text(browse("finance_ops"), answer["Location"])
    assert "Roll back: Light them" in page
    assert "day has come" in page
    assert "undoes 2 steps" in page
    meanwhile = text(browse("ops"), url(plan))
    assert "Approvals to undo it" in meanwhile
    assert "that can be pay_admin" in meanwhile  # by name
    assert "are not complete" in text(browse("ops"), url(plan, "rollback"))
    plan.refresh_from_db()
    assert plan.status == "succeeded"


def test_a_grant_on_one_plan_opens_just_that_one(lamps: MakeLamps, browse: Browse, person: People) -> None:
    lamps()
    mine = approved(person("ops"), person("pay_admin"))
    other = approved(person("ops"), person("pay_admin"), external_id="lamps-2")
    runs = [execution.execute_plan(plan_id=plan.pk, actor=person("ops")) for plan in (mine, other)]
    for run in runs:
        jobs.execute_run(str(run.pk))
    guest = browse("guest", "trader")
    for model in (Plan, Run):
        assert guest.get(reverse(f"admin:plans_{model._meta.model_name}_changelist")).status_code == 403
    assign_perm("plans.view_plan", person("guest").user, mine)
    guest = browse("guest")
    for rows, name in (([mine, runs[0], mine.steps.first()], 200), ([other, runs[1], other.steps.first()], 404)):
        for row in rows:
            assert guest.get(url(row)).status_code == name, row
    for model, count in ((Plan, 1), (Run, 1), (type(mine.steps.first()), 2)):
        page = guest.get(reverse(f"admin:plans_{model._meta.model_name}_changelist"))
        assert page.context["cl"].result_count == count, model
    assert guest.get(url(runs[0], "progress")).status_code == 200
    assert guest.get(url(runs[1], "progress")).status_code == 404
    assert "data-action=" not in guest.get(url(mine)).content.decode()
    assert guest.get(reverse("admin:plans_calendar_changelist")).status_code == 403
    seal_all()
    name = f"evidence-{mine.pk}.zip"
    assert guest.get(f"{url(mine, 'file')}?name={name}").status_code == 404
    assign_perm("plans.export_evidence", person("guest").user, mine)
    assert browse("guest").get(f"{url(mine, 'file')}?name={name}").status_code == 200
