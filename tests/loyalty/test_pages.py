"""The pages of loyalty: what they show, and deeds from their form to the button that carries them out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from loyalty.models import Balance, Campaign, Program, Transaction
from opsconsole.approvals.models import Request
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor

pytestmark = pytest.mark.django_db(transaction=True)


def page(client: Client, row: Program | Balance | Campaign | Transaction, name: str = "change") -> str:
    """The page of a row, or of one of its buttons."""
    url = reverse(f"admin:loyalty_{row._meta.model_name}_{name}", args=[str(row.pk)])
    answer = client.get(url)
    assert answer.status_code == 200, (url, answer.status_code)
    return answer.content.decode()


def press(client: Client, row: Program | Balance | Campaign, name: str, **said: str) -> str:
    """Send the form of a button; the page that it leads to."""
    url = reverse(f"admin:loyalty_{row._meta.model_name}_{name}", args=[str(row.pk)])
    key = client.get(url).context["form"].initial["key"]
    answer = client.post(url, {"key": str(key), "reason": "because", **said}, follow=True)
    return answer.content.decode()


def test_an_adjustment_from_the_form_to_the_ledger(
    browse: Callable[..., Client], member: Callable[..., Balance], finance: Actor
) -> None:
    alice = member("alice", 500)
    marketing = browse("ops_marketing")
    assert "alice" in page(marketing, alice)
    assert "Others must agree first" in press(marketing, alice, "adjust", amount="20000")
    asked = Request.objects.get(action="loyalty.adjust")
    assert asked.title in page(marketing, alice)
    assert "carry-out" not in page(marketing, alice)
    decide_request(request_id=asked.pk, approved=True, comments="", signature="", actor=finance)
    assert "carry-out" in page(marketing, alice)
    assert "carry-out" not in page(browse("finance_ops"), alice)
    assert "The points are adjusted." in press(marketing, alice, "carry-out", typed="alice", request=str(asked.pk))
    alice.refresh_from_db()
    assert alice.points_balance == 20_500
    assert "carry-out" not in page(marketing, alice)


def test_a_program_and_its_budget(
    browse: Callable[..., Client], program: Program, member: Callable[..., Balance]
) -> None:
    marketing = browse("ops_marketing")
    member("alice", 960_000)
    assert "Budget nearly exhausted" in page(marketing, program)
    assert "Others must agree first" in press(marketing, program, "budget", budget_limit="2000000")
    assert "The budget is changed." in press(browse("finance_ops"), program, "budget", budget_limit="970000")
    refused = press(marketing, program, "budget", budget_limit="100")
    assert "More than that is spent or reserved already." in refused


def test_the_auditor_sees_and_finds_no_button(
    browse: Callable[..., Client], program: Program, member: Callable[..., Balance]
) -> None:
    alice = member("alice", 500)
    auditor = browse("auditor")
    for row in (program, alice, Transaction.objects.get()):
        shown = page(auditor, row)
        assert "ops-button-danger" not in shown
    for name in ("freeze", "adjust", "carry-out"):
        assert auditor.get(reverse(f"admin:loyalty_balance_{name}", args=[str(alice.pk)])).status_code == 403
    for model in ("program", "balance", "transaction"):
        assert auditor.get(reverse(f"admin:loyalty_{model}_changelist")).status_code == 200
        assert browse("dev").get(reverse(f"admin:loyalty_{model}_changelist")).status_code == 403


def test_a_campaign_by_mouse(
    browse: Callable[..., Client], program: Program, member: Callable[..., Balance], finance: Actor
) -> None:
    from loyalty.jobs.campaigns import execute_campaign, undo_campaign

    for number in range(5):
        member(f"m{number}", 500)
    member("poor", 5)
    marketing = browse("ops_marketing")
    form = reverse("admin:loyalty_campaign_new")
    said = {
        "key": str(marketing.get(form).context["form"].initial["key"]),
        "program": str(program.pk),
        "name": "Spring",
        "campaign_type": "bonus_points",
        "bonus_points": "10",
        "target_segment": '{">=": [{"var": "points_balance"}, 100]}',
        "start_date": "2026-01-01T00:00",
    }
    wrong = marketing.post(form, {**said, "target_segment": '{">=": [{"var": "shoe_size"}, 100]}'})
    assert wrong.status_code == 400
    assert "shoe_size" in wrong.content.decode()
    assert marketing.post(form, said, follow=True).status_code == 200
    campaign = Campaign.objects.get()
    assert "No preview" in page(marketing, campaign)
    assert "5 members would get 50 points." in press(marketing, campaign, "preview")
    assert "Awarded: m0 +10." in press(marketing, campaign, "test", members="m0")
    press(marketing, campaign, "preview")
    press(marketing, campaign, "schedule")
    asked = Request.objects.get(action="loyalty.launch")
    assert asked.title in page(marketing, campaign)
    decide_request(request_id=asked.pk, approved=True, comments="", signature="", actor=finance)
    execute_campaign(str(campaign.pk))
    shown = page(marketing, campaign)
    assert "completed" in shown
    assert "5 of 5 members" in shown or "4 of 4 members" in shown
    campaign.refresh_from_db()
    assert (campaign.users_awarded, campaign.total_points_awarded) == (5, 50)
    press(marketing, campaign, "undo", typed="Spring")
    undo_campaign(str(campaign.pk))
    assert "points taken back" in page(marketing, campaign).lower()
    assert Balance.objects.get(user_id="m0").points_balance == 500
    live = marketing.get(reverse("admin:loyalty_campaign_progress", args=[str(campaign.pk)]))
    assert live.headers["Ops-Live"] == "no"
