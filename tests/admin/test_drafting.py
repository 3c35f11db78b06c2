"""Plans drafted in the browser: a form for each type, JSON for those who prefer it, and copies of plans that ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from opsconsole.plans.models import Plan, Run
from opsconsole.plans.types import registered
from tests.admin.conftest import contents, press, verbs
from tests.world import World


def new(plan_type: str) -> str:
    return reverse(f"admin:plans_plan_new-{plan_type.replace('_', '-')}")


# What somebody fills in for a type, and the payload that comes of it; {} where the form's own beginning will do.
FILLED: dict[str, Callable[[World], tuple[dict[str, Any], dict[str, Any]]]] = {
    "payout_batch": lambda _world: (
        {"currency": "EUR", "cutoff_date": "2025-08-01", "total_amount": "500"},
        {"currency": "EUR", "cutoff_date": "2025-08-01", "total_amount": "500.00", "simulate_before_execute": True},
    ),
    "sweep": lambda world: (
        {"source_bank": "filebank", "target_account": world.account.iban, "keep_minimum": "1000"},
        {"currency": "EUR", "source_bank": "filebank", "target_account": world.account.iban},
    ),
    "failover": lambda _world: (
        {"from_bank": "sandbox", "to_bank": "filebank", "corridors": ["EUR/*"]},
        {"from_bank": "sandbox", "to_bank": "filebank", "corridors": ["EUR/*"]},
    ),
    "freeze": lambda world: (
        {"subject": "account", "account": str(world.account.pk), "reason": "a letter from the court"},
        {"subject": "account", "id": str(world.account.pk), "reason": "a letter from the court"},
    ),
    "pause_bank": lambda _world: (
        {"bank": "sandbox", "reason": "it answers nothing but errors"},
        {"bank": "sandbox", "reason": "it answers nothing but errors"},
    ),
}


def test_every_type_has_a_form_that_is_tested() -> None:
    assert {plan_type.name for plan_type in registered()} == set(FILLED)


@pytest.mark.parametrize("plan_type", sorted(FILLED))
def test_a_form_for_each_type(world: World, browse: Callable[..., Client], plan_type: str) -> None:
    client = browse("ops")
    filled, payload = FILLED[plan_type](world)
    made = press(client, new(plan_type), **filled)
    assert made.status_code == 302, made.context["form"].errors
    plan = Plan.objects.get()
    assert (plan.plan_type, plan.status) == (plan_type, "draft")
    assert {name: plan.payload[name] for name in payload} == payload
    assert verbs()[-1] == "plan.created"
    edit = reverse("admin:plans_plan_edit", args=[plan.pk])
    assert press(client, edit, name="Another name").status_code == 302
    was, plan = plan, Plan.objects.get()
    assert (plan.name, plan.payload) == ("Another name", was.payload)


@pytest.mark.parametrize(
    ("plan_type", "filled", "field"),
    [
        ("payout_batch", {"total_amount": "-1"}, "total_amount"),
        ("payout_batch", {"cutoff_date": "tomorrow"}, "cutoff_date"),
        ("sweep", {"source_bank": "", "target_account": "nowhere"}, "target_account"),
        ("sweep", {"source_bank": "", "keep_minimum": "0"}, "source_accounts"),
        ("failover", {"from_bank": "sandbox", "to_bank": "sandbox"}, "to_bank"),
        ("freeze", {"subject": "account", "reason": "x"}, "account"),
        ("freeze", {"subject": "beneficiary", "id": "DE00123", "reason": "x"}, "id"),
        ("pause_bank", {"bank": "sandbox"}, "reason"),
    ],
)
def test_errors_stand_at_their_fields(
    world: World, browse: Callable[..., Client], plan_type: str, filled: dict[str, str], field: str
) -> None:
    client, before = browse("ops"), contents()
    refused = press(client, new(plan_type), **filled)
    assert refused.status_code in (400, 422)
    assert field in refused.context["form"].errors, refused.context["form"].errors
    assert contents() == before


def test_a_form_begins_with_what_its_address_says(world: World, browse: Callable[..., Client]) -> None:
    page = browse("ops").get(new("freeze"), {"subject": "beneficiary", "id": "DE25370400449046584330", "key": "x"})
    form = page.context["form"]
    assert (form["subject"].value(), form["id"].value()) == ("beneficiary", "DE25370400449046584330")
    assert form["key"].value() != "x"


def test_json_for_those_who_have_it_at_hand(world: World, browse: Callable[..., Client]) -> None:
    client = browse("ops")
    url = reverse("admin:plans_plan_new-json")
    payload = {"currency": "EUR", "cutoff_date": "2025-08-01"}
    common = {"name": "By hand", "plan_type": "payout_batch"}
    before = contents()
    for wrong, told in (
        ("{", "This is no JSON"),
        ("[]", "This must be an object"),
        (json.dumps({**payload, "currency": "?"}), "currency: must be a currency"),
        (json.dumps({**payload, "colour": "red"}), "colour: is not a field"),
    ):
        refused = press(client, url, **common, payload_json=wrong)
        assert refused.status_code in (400, 422)
        assert told in str(refused.context["form"].errors)
    assert contents() == before
    assert press(client, url, **common, payload_json=json.dumps(payload)).status_code == 302
    assert Plan.objects.get().payload["cutoff_date"] == "2025-08-01"


def test_a_plan_that_ended_is_begun_again(
    world: World, executed: Callable[..., tuple[Plan, Run]], browse: Callable[..., Client]
) -> None:
    plan, _run = executed(total="500")
    client = browse("finance_ops")
    assert press(client, reverse("admin:plans_plan_duplicate", args=[plan.pk])).status_code == 302
    again = Plan.objects.exclude(pk=plan.pk).get()
    assert again.external_id != plan.external_id
    assert (again.status, again.payload, again.name) == ("draft", plan.payload, "Payouts (again)")
    assert again.created_by.username == "finance_ops"
    page = client.get(reverse("admin:plans_plan_change", args=[again.pk])).content.decode()
    assert 'data-action="duplicate"' not in page
