"""Plans in French: refusals, drift, obstacles and warnings on the pages; English in the journal and the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from opsconsole.approvals.models import Policy
from opsconsole.changes.models import Change
from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from opsconsole.plans.models import Plan
from opsconsole.plans.services import execution, freezing, staging
from opsconsole.plans.services.freezing import CalendarDraft
from tests.admin.conftest import messages_of, press
from tests.world import World

People = Callable[..., Actor]
Browse = Callable[..., Client]


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """A request leaves its language behind in the thread; the tests after these are in English."""
    with override(settings.LANGUAGE_CODE):
        yield


@pytest.fixture
def french(browse: Browse) -> Browse:
    """A browser whose user reads French."""

    def make(name: str) -> Client:
        client = browse(name)
        client.defaults["HTTP_ACCEPT_LANGUAGE"] = "fr"
        return client

    return make


def page(plan: Plan, name: str) -> str:
    return reverse(f"admin:plans_plan_{name}", args=[plan.pk])


def said(text: object) -> str:
    """A text with ordinary spaces, as it is written in the tests."""
    return str(text).replace("\xa0", " ")


def read(client: Client, url: str) -> str:
    return said(client.get(url).content.decode())


def test_a_drift_is_told_in_french_and_kept_in_english(
    world: World, approved: Callable[..., Plan], french: Browse, connect_as: Callable[[str], psycopg.Connection[object]]
) -> None:
    plan = approved(total="500")
    free = "update treasury_payouts set status = 'payable', plan_id = null where external_id = 'PAY-00000'"
    connect_as(settings.DB_OPERATOR_ROLE).execute(free)
    (message,) = messages_of(press(french("finance_ops"), page(plan, "execute")))
    assert message.startswith("Le plan ne correspond plus à ce qui a été approuvé. Il a été préparé à nouveau")
    assert "payouts" not in message
    reason = Entry.objects.get(verb="plan.draft").content["reason"]
    assert reason.startswith("drifted: 3 payouts are ready to be paid, not 4.")


def test_a_refusal_is_told_in_french(
    world: World, draft: Callable[..., Plan], person: People, french: Browse, browse: Browse
) -> None:
    plan = staging.stage_plan(plan_id=draft().pk, actor=person("ops"))
    client = french("ops")
    assert "Manque encore : 1 finance_ops et 1 pay_admin." in read(client, page(plan, "change"))
    refused = client.post(page(plan, "stage"), {"key": "0199d3a5-5c1e-7c3f-9a51-0f6f1f1f2a10"})
    assert "État du plan : préparé ; seul un brouillon peut être préparé." in said(refused.content.decode())
    with override("fr"), pytest.raises(Exception, match="^The plan is staged; only an approved plan") as caught:
        execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
    with override("fr"):
        told = said(caught.value.told)
    assert told.startswith("État du plan : préparé ; seul un plan approuvé peut être exécuté.")
    assert told.endswith(" Manque encore : 1 finance_ops et 1 pay_admin.")
    assert caught.value.message == (
        "The plan is staged; only an approved plan can be executed. Still needed: 1 finance_ops and 1 pay_admin."
    )


def test_warnings_are_read_in_french_and_approved_in_english(
    world: World, draft: Callable[..., Plan], person: People, french: Browse, browse: Browse
) -> None:
    now = timezone.now()
    calendar = CalendarDraft(name="Month’s end", reason="audit", starts_at=now, ends_at=now + timedelta(hours=2))
    with override("fr"):
        freezing.create_calendar(draft=calendar, actor=person("pay_admin"))
        plan = staging.stage_plan(plan_id=draft().pk, actor=person("ops"))
    assert plan.estimated_impact is not None
    (warning,) = plan.estimated_impact["warnings"]
    assert warning["message"].startswith("The calendar “Month’s end” (audit) keeps this plan from being executed from ")
    assert set(warning["facts"]) == {"name", "reason", "starts", "ends"}
    translated, stored = "Le calendrier « Month’s end » (audit) empêche d’exécuter ce plan du", "keeps this plan from"
    overview = read(french("finance_ops"), page(plan, "change"))
    assert translated in overview
    assert stored not in overview
    assert plan.estimated_impact["irreversible"] not in overview
    for name in ("content", "approve"):  # what the digest covers stays within reach
        full = read(french("finance_ops"), page(plan, name))
        assert translated in full
        assert "Tel que couvert par les approbations, en anglais" in full
        assert stored in full
        assert plan.estimated_impact["irreversible"] in full
    english = read(browse("finance_ops"), page(plan, "content"))
    assert stored in english
    assert "As approvals cover it" not in english


def test_what_a_kind_of_change_objects_to_is_told_in_french(world: World, french: Browse) -> None:
    policy = Policy.objects.get(action="plan.payout_batch", active=True)
    url = reverse("admin:approvals_policy_change-policy", args=[policy.pk])
    refused = press(french("admin"), url, slots="some people", ttl_hours="0.01", reason="letter")
    errors = refused.context["form"].errors
    assert [said(error) for error in errors["slots"]] == [
        "'some people' n’est pas un accord requis ; il s’écrit : 1 ops or finance_ops"
    ]
    assert errors["ttl_hours"] == ["doit aller de dix minutes (0.17) à trente jours (720)"]
    assert "La modification n’est pas valable." in str(errors["__all__"])
    assert not Change.objects.exists()
