"""A grant on one object gives the sight of that one, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardian.shortcuts import assign_perm
from rest_framework.test import APIClient

from opsconsole.core.actors import Actor
from opsconsole.plans.models import Plan
from tests.api.conftest import approved, drafted, staged, treasury
from tests.api.test_envelope import is_problem
from tests.world import World

__all__ = ["approved", "drafted", "staged", "treasury"]

PLANS = "/api/ops/plans"


@pytest.fixture
def guest(api: Callable[..., APIClient]) -> APIClient:
    """Somebody with a role that has nothing to do with plans."""
    return api("guest", "trader")


def test_a_plan_granted_is_the_only_one_seen(
    guest: APIClient, person: Callable[..., Actor], drafted: Callable[..., dict[str, Any]]
) -> None:
    mine, other = drafted(), drafted(external_id="other")
    is_problem(guest.get(PLANS), 403, "denied")
    assign_perm("plans.view_plan", person("guest").user, Plan.objects.get(pk=mine["id"]))
    assert [plan["id"] for plan in guest.get(PLANS).json()["results"]] == [mine["id"]]
    for path in ("", "/steps", "/runs", "/journal"):
        assert guest.get(f"{PLANS}/{mine['id']}{path}").status_code == 200
        is_problem(guest.get(f"{PLANS}/{other['id']}{path}"), 404, "plan_not_found")


def test_who_may_look_may_not_touch(
    guest: APIClient, person: Callable[..., Actor], staged: Callable[..., dict[str, Any]]
) -> None:
    plan = staged()
    assign_perm("plans.view_plan", person("guest").user, Plan.objects.get(pk=plan["id"]))
    for verb in ("stage", "approve", "cancel", "execute", "rollback"):
        answer = guest.post(f"{PLANS}/{plan['id']}/{verb}", headers={"Idempotency-Key": "k"})
        is_problem(answer, 403, "denied")
    is_problem(guest.patch(f"{PLANS}/{plan['id']}", {"name": "mine"}), 403, "denied")
    assert Plan.objects.get().status == "staged"


def test_a_grant_to_execute_is_no_seat_in_the_policy(
    guest: APIClient, person: Callable[..., Actor], approved: Callable[..., dict[str, Any]]
) -> None:
    plan = approved()
    for permission in ("plans.view_plan", "plans.execute_plan"):
        assign_perm(permission, person("guest").user, Plan.objects.get(pk=plan["id"]))
    answer = guest.post(f"{PLANS}/{plan['id']}/execute", headers={"Idempotency-Key": "k"})
    is_problem(answer, 403, "not_an_executor")


def test_a_bank_granted_is_the_only_one_seen(guest: APIClient, person: Callable[..., Actor], treasury: World) -> None:
    is_problem(guest.get("/api/ops/banks"), 403, "denied")
    assign_perm("treasury.view_bank", person("guest").user, treasury.iso)
    assert [bank["code"] for bank in guest.get("/api/ops/banks").json()["results"]] == [treasury.iso.code]
    is_problem(guest.get(PLANS), 403, "denied")


def test_a_grant_ends_with_its_person(
    guest: APIClient, person: Callable[..., Actor], drafted: Callable[..., dict[str, Any]]
) -> None:
    plan, user = drafted(), person("guest").user
    assert user is not None
    assign_perm("plans.view_plan", user, Plan.objects.get(pk=plan["id"]))
    user.is_active = False
    user.save(update_fields=["is_active"])
    is_problem(guest.get(f"{PLANS}/{plan['id']}"), 401, "authentication_failed")
