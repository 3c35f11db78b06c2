"""Whoever was granted one plan, or one bank, is led nowhere that they may not go."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from guardian.shortcuts import assign_perm

from opsconsole.core.actors import Actor
from opsconsole.core.admin.display import row_url
from opsconsole.core.models import User
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.treasury.models import Account, Bank, Instruction, Transfer
from tests.world import World

Executed = Callable[..., tuple[Plan, Run]]
LINK = re.compile(r'href="(/admin/[^"#]+/)(?:\?[^"]*)?"')


def links_of(client: Client, row: Model) -> set[str]:
    """Where the page of this row leads, its lists and its buttons included."""
    answer = client.get(row_url(row))
    assert answer.status_code == 200, row
    return set(LINK.findall(answer.content.decode().partition('id="content"')[2]))


def guest(person: Callable[..., Actor], permission: str, row: Model) -> Client:
    """Somebody who holds one right on one row, and nothing else."""
    assign_perm(permission, person("guest").user, row)
    client = Client()
    client.force_login(User.objects.get(username="guest"), "django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def plans(world: World, executed: Executed) -> tuple[Plan, Plan]:
    """Two that were executed, of the same payouts' account."""
    return executed(total="200")[0], executed("plan-2", total="200")[0]


def test_one_plan(plans: tuple[Plan, Plan], person: Callable[..., Actor]) -> None:
    mine, other = plans
    client = guest(person, "plans.view_plan", mine)
    found: set[str] = set()
    rows: list[Any] = [mine, Run.objects.get(plan=mine), Step.objects.filter(plan=mine)[0]]
    for row in rows:
        found |= links_of(client, row)
    assert row_url(mine) in found
    assert row_url(Step.objects.filter(plan=mine)[0]) in found
    assert not any(str(other.pk) in url or "/treasury/" in url or "/journal/" in url for url in found)
    assert {url: client.get(url).status_code for url in found if client.get(url).status_code != 200} == {}


def test_one_bank(plans: tuple[Plan, Plan], person: Callable[..., Actor]) -> None:
    bank = Bank.objects.get(code="sandbox")
    client = guest(person, "treasury.view_bank", bank)
    instruction, transfer = Instruction.objects.filter(bank=bank)[0], Transfer.objects.exclude(plan=None)[0]
    found: set[str] = set()
    for row in (bank, Account.objects.filter(bank=bank, kind="settlement")[0], instruction, transfer):
        found |= links_of(client, row)
    assert row_url(bank) in found
    assert not any("/plans/" in url or "/payout/" in url for url in found)
    assert {url: client.get(url).status_code for url in found if client.get(url).status_code != 200} == {}


def test_whoever_may_is_led_on(plans: tuple[Plan, Plan], browse: Callable[..., Client]) -> None:
    client = browse("pay_admin")
    instruction = Instruction.objects.filter(plan=plans[0])[0]
    assert {row_url(instruction.plan), row_url(instruction.payout)} <= links_of(client, instruction)


def test_pages_name_what_they_are_about(plans: tuple[Plan, Plan], browse: Callable[..., Client]) -> None:
    plan, run = plans[0], Run.objects.get(plan=plans[0])
    client = browse("pay_admin")
    page = client.get(row_url(run)).content.decode()
    assert f"Execute: {plan.name}" in page.partition("<title>")[2].partition("</title>")[0]
    assert str(run.pk) not in re.sub(r'(href|data-live)="[^"]*"', "", page)
    entries = client.get("/admin/journal/entry/", {"subject_id": str(plan.pk)}).content.decode()
    assert f">plan {plan.name}<" in entries
    french = client.get(row_url(plan), headers={"accept-language": "fr"}).content.decode()
    assert "en attente → approuvé" in french  # states of the request, in a story of the plan
    assert "approuvé → utilisé" in french
