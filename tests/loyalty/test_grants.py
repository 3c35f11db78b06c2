"""A grant on one program opens that program with everything in it, and a right on it counts there and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from guardian.shortcuts import assign_perm, get_user_perms
from rest_framework.test import APIClient

from loyalty.models import (
    Balance,
    BudgetAlert,
    Campaign,
    FraudHit,
    FraudRule,
    Program,
    TierSnapshot,
    Transaction,
    Voucher,
)
from loyalty.services import points, programs
from opsconsole.approvals import access as approvals_access
from opsconsole.approvals.gate import Asked
from opsconsole.approvals.models import Request
from opsconsole.changes.services.decisions import approve_change
from opsconsole.changes.services.requests import request_change
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.roles import ROLES
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry
from tests.conftest import _make_user, make_person
from tests.loyalty import doors
from tests.loyalty.desk_doors import _hit

pytestmark = pytest.mark.django_db

TESTER = SYSTEM("test")
RIGHTS = tuple(name for name, _label in Program._meta.permissions)
LISTS = {
    "program": "programs", "balance": "balances", "transaction": "transactions", "voucherbatch": "voucher-batches",
    "reward": "rewards", "redemption": "redemptions", "rule": "rules", "fraudhit": "fraud-hits", "dispute": "disputes",
    "budgetalert": "budget-alerts", "campaign": "campaigns", "tier": "tiers",
}  # fmt: skip


@pytest.fixture
def world(db: None) -> Program:
    """The program Club with all there can be, beside others; answers with Club."""
    doors.furnish({role: make_person(role) for role in ROLES})
    small = Program.objects.get(name="Small club")
    for program in (small, Program.objects.get(name="Club")):
        marketing = make_person("ops_marketing")
        programs.suspend_program(program_id=program.pk, reason="fraud", actor=marketing)
        member = Balance.objects.get(program=program, user_id="alice")
        points.adjust_points(balance_id=member.pk, amount=20_000, reason="lost", actor=marketing)
    rule = FraudRule.objects.get(code="frequent_redeemer")
    _hit(balance=Balance.objects.get(program=small).pk, rule=rule.pk, actor=TESTER)
    return Program.objects.get(name="Club")


def guest(*rights: str, on: Program) -> Actor:
    """Somebody whose role shows nothing, who sees this program and may do this in it."""
    user = _make_user(name=f"guest-{uuid4()}", roles=["trader"], actor=TESTER)
    for right in ("view_program", *rights):
        assign_perm(f"loyalty.{right}", user, on)
    return Actor.of(User.objects.get(pk=user.pk))


def browser(actor: Actor) -> Client:
    client = Client()
    client.force_login(actor.user, "django.contrib.auth.backends.ModelBackend")
    return client


def caller(actor: Actor) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {create_token(actor.user)}")
    return client


def program_of(row: Any) -> Any:
    """The program of a row, said row by row and not by a query."""
    if isinstance(row, Program):
        return row.pk
    if isinstance(row, Voucher):
        return row.batch.program_id
    return row.program_id if hasattr(row, "program_id") else row.balance.program_id


def shown_of_loyalty() -> dict[type[Model], Any]:
    """The admins of all that is of some program."""
    everything = admin.site._registry.items()
    return {model: it for model, it in everything if model._meta.app_label == "loyalty" and model is not FraudRule}


def test_what_a_grant_opens(world: Program) -> None:
    viewer = guest(on=world)
    client, api = browser(viewer), caller(viewer)
    shut = 0
    for model, shown in shown_of_loyalty().items():
        rows = list(model._default_manager.all())
        opened = {row.pk for row in rows if program_of(row) == world.pk}
        assert {row.pk for row in shown.visible(viewer)} == opened, model
        assert opened or model in (BudgetAlert, TierSnapshot), model
        assert client.get(reverse(f"admin:{shown.url_name('changelist')}")).status_code == 200
        if (name := LISTS.get(str(model._meta.model_name))) is not None:
            listed = api.get(f"/api/{name}?page_size=100").json()["results"]
            assert {row["id"] for row in listed} == {str(pk) for pk in opened}, model
        inside, outside = ([row for row in rows if (row.pk in opened) is seen][:2] for seen in (True, False))
        for row, status in [*((row, 200) for row in inside), *((row, 404) for row in outside)]:
            page = client.get(reverse(f"admin:{shown.url_name('change')}", args=[row.pk]))
            assert page.status_code == status, (model, row)
            assert "Small club" not in page.content.decode()
        shut += len(outside)
    assert shut >= 6
    assert client.get(reverse("admin:loyalty_fraudrule_changelist")).status_code == 403


def test_requests_are_open_with_what_they_are_about(world: Program) -> None:
    opened = set()
    for request in Request.objects.all():
        model = {one._meta.db_table: one for one in (Program, Balance, Campaign)}[request.subject_kind]
        if program_of(model._default_manager.get(pk=request.subject_id)) == world.pk:
            opened.add(request.pk)
    assert {Request.objects.get(pk=pk).subject_kind for pk in opened} == {
        "loyalty_programs", "loyalty_balances", "loyalty_campaigns",
    }  # fmt: skip
    viewer = guest(on=world)
    assert {one.pk for one in approvals_access.visible_requests(viewer)} == opened
    api = caller(viewer)
    for request in Request.objects.all():
        seen = request.pk in opened
        assert api.get(f"/api/approvals/{request.pk}").status_code == (200 if seen else 404)
        said = api.post(f"/api/approvals/{request.pk}/approve", {"approved": True}, format="json")
        assert said.status_code == (403 if seen else 404)
    assert caller(make_person("trader")).get("/api/approvals").status_code == 403


def test_a_right_on_a_program_counts_wherever_it_is_asked(world: Program) -> None:
    looks, acts = guest(on=world), guest(*RIGHTS, on=world)
    pressed = 0
    for model, shown in shown_of_loyalty().items():
        for row in model._default_manager.all():
            if program_of(row) == world.pk:
                for action in shown.row_actions:
                    assert action.allowed(acts, row), (model, action.name)
                    assert not action.allowed(looks, row), (model, action.name)
                    pressed += 1
        offered = {action.name for action in shown.list_actions() if action.allowed(acts, None)}
        assert offered == {one.name for one in shown.list_actions()} - ({"new"} if model is Program else set()), model
        assert {action.name for action in shown.list_actions() if action.allowed(looks, None)} <= {"look-up"}
    assert pressed > 30


def test_verdicts_on_several_hits_of_the_program_alone(world: Program) -> None:
    hits = {program_of(hit): hit for hit in FraudHit.objects.filter(status="open").select_related("balance")}
    mine, other = hits.pop(world.pk), hits.popitem()[1]
    judge, onlooker = guest("decide_fraud", on=world), browser(guest(on=world))
    assign_perm("loyalty.view_program", judge.user, Program.objects.get(pk=program_of(other)))
    client, form = browser(judge), reverse("admin:loyalty_fraudhit_dismiss-several")
    queue = client.get(reverse("admin:loyalty_fraudhit_changelist")).content.decode()
    assert all(word in queue for word in ("dismiss_ticked", "confirm_ticked", 'data-action="dismiss-several"'))
    assert [pk for pk, _label in client.get(form).context["form"].fields["hits"].choices] == [str(mine.pk)]
    said = {"key": str(uuid4()), "comment": "a wedding"}
    before = Entry.objects.count()
    assert client.post(form, {**said, "hits": [str(mine.pk), str(other.pk)]}).status_code == 400
    assert onlooker.post(form, {**said, "hits": [str(mine.pk)]}).status_code == 403
    assert Entry.objects.count() == before
    assert client.post(form, {**said, "hits": [str(mine.pk)]}).status_code == 302
    assert dict(FraudHit.objects.filter(pk__in=[mine.pk, other.pk]).values_list("pk", "status")) == {
        mine.pk: "dismissed",
        other.pk: "open",
    }


class TestCarryingOut:
    @pytest.mark.parametrize("who", ["ops", "risk_manager"])
    def test_who_may_ask_for_a_program_to_be_stopped_stops_it_once_two_teams_agree(
        self, program: Program, api: Callable[..., APIClient], who: str
    ) -> None:
        for door, state in (("suspend", "suspended"), ("resume", "active")):
            where, why = f"/api/programs/{program.pk}/{door}", {"reason": "fraud spike"}
            asked = api(who).post(where, why, format="json").json()["approvalRequestId"]
            for team in ("ops_marketing", "finance_ops"):
                assert api(team).post(f"/api/approvals/{asked}/approve", {"approved": True}).status_code == 200
            done = api(who).post(where, why, format="json", headers={"X-Approval-Request-Id": asked})
            assert (done.status_code, done.json()["status"]) == (200, state)
            assert Request.objects.get(pk=asked).status == "consumed"

    def test_nobody_is_asked_for_what_the_asker_could_not_carry_out(
        self, program: Program, member: Callable[..., Balance]
    ) -> None:
        alice = member("alice", 500)
        api = caller(guest("adjust_points", "change_program", on=program))
        before = Entry.objects.count()
        adjust, why = f"/api/balances/{alice.pk}/adjust", {"reason": "lost"}
        for answer in (
            api.post(adjust, {"amount": 20_000, **why}, format="json"),
            api.put(f"/api/programs/{program.pk}", {"budgetLimit": 2_000_000, **why}, format="json"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "not_an_executor")
        assert not Request.objects.exists()
        assert Entry.objects.count() == before
        assert api.post(adjust, {"amount": 100, **why}, format="json").status_code == 201  # which needs nobody else
        assert Transaction.objects.filter(event_type="adjust").count() == 1

    def test_a_role_that_was_taken_away_meanwhile_carries_nothing_out(
        self, member: Callable[..., Balance], marketing: Actor
    ) -> None:
        alice, user = member("alice", 500), marketing.user
        assert user is not None
        asked = points.adjust_points(balance_id=alice.pk, amount=20_000, reason="lost", actor=marketing)
        assert isinstance(asked, Asked)
        finance = caller(make_person("finance_ops"))
        assert finance.post(f"/api/approvals/{asked.request.pk}/approve", {"approved": True}).status_code == 200
        api = caller(marketing)
        user.groups.clear()
        agreed, again = {"X-Approval-Request-Id": str(asked.request.pk)}, {"amount": 20_000, "reason": "lost"}
        answer = api.post(f"/api/balances/{alice.pk}/adjust", again, format="json", headers=agreed)
        assert answer.status_code == 404
        assert not Transaction.objects.filter(event_type="adjust").exists()


def test_a_right_on_a_program_is_given_like_any_other(program: Program, marketing: Actor) -> None:
    people = {name: make_person(name, *roles) for name, *roles in (
        ("admin",), ("admin2", "admin"), ("pay_admin",), ("shop", "trader"),
    )}  # fmt: skip
    what = {"object": "loyalty.program", "object_id": str(program.pk), "permission": "earn_points"}
    change = request_change(kind="grant", subject="shop", payload=what, reason="their till", actor=people["admin"])
    for name in ("admin2", "pay_admin"):
        change = approve_change(change_id=change.pk, digest=change.digest, signature="", comment="", actor=people[name])
    assert change.status == "applied"
    assert sorted(get_user_perms(people["shop"].user, program)) == ["earn_points", "view_program"]
    api, said = caller(people["shop"]), {"userId": "alice", "points": 5}
    assert api.post(f"/api/programs/{program.pk}/earn", said, format="json").status_code == 201
    assert api.post(f"/api/programs/{program.pk}/redeem", said, format="json").status_code == 403
    other = Program.objects.create(name="Other", budget_limit=9)
    assert api.post(f"/api/programs/{other.pk}/earn", said, format="json").status_code == 404
    assert not Balance.objects.filter(program=other).exists()
