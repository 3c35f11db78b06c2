"""A grant on one bank, one account or one plan opens that one: in every list, page, search and body, by every door."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from guardian.shortcuts import assign_perm
from rest_framework.test import APIClient

from opsconsole.approvals import access as approvals_access
from opsconsole.approvals.models import Request
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.tokens import create_token
from opsconsole.identity.changes.rights import GrantChange
from opsconsole.plans import access as plans_access
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.services import break_glass, drafts, staging
from opsconsole.plans.services.drafts import Draft
from opsconsole.treasury import access
from opsconsole.treasury.models import (
    Account,
    Bank,
    BankFile,
    Break,
    Freeze,
    Instruction,
    Payout,
    Route,
    Sweep,
    Transfer,
)
from tests.access.conftest import Doors, savepoint
from tests.access.test_matrix import ask
from tests.api.unchanged import fingerprint
from tests.conftest import _make_user
from tests.world import ISO_IBAN

OTHER_IBAN = "DE02120300000000202051"  # nobody's


@dataclass(frozen=True, slots=True)
class Scene:
    """Two banks with everything on them, and the plans that did it."""

    sandbox: Bank
    filebank: Bank
    sweep: Plan
    freeze: Plan

    def account(self, bank: Bank) -> Account:
        """Its settlement account."""
        return Account.objects.get(bank=bank, kind="settlement")


@pytest.fixture(scope="module")
def scene(doors: Doors, django_db_blocker: Any) -> Iterator[Scene]:
    """The doors, with a sweep from one bank to the other and a frozen account."""
    with django_db_blocker.unblock():
        ops = Actor.of(User.objects.get(username="ops"))
        payload = {
            "currency": "EUR", "source_bank": "sandbox", "target_account": ISO_IBAN, "keep_minimum": "900000",
        }  # fmt: skip
        sweep = _draft(ops, "sweep", payload)
        staging.stage_plan(plan_id=sweep.pk, actor=ops)
        freeze = _draft(ops, "freeze", {"subject": "account", "id": ISO_IBAN, "reason": "taken over"})
        staging.stage_plan(plan_id=freeze.pk, actor=ops)
        run = break_glass.break_glass(plan_id=freeze.pk, incident="INC-9", reason="taken over", actor=ops)
        jobs.execute_run(str(run.pk))
        assert Freeze.objects.filter(account__isnull=False).count() == 1
        yield Scene(Bank.objects.get(code="sandbox"), Bank.objects.get(code="filebank"), sweep, freeze)


def _draft(actor: Actor, plan_type: str, payload: dict[str, Any]) -> Plan:
    draft = Draft(external_id=f"scope-{uuid4()}", name=plan_type, plan_type=plan_type, payload=payload)
    return drafts.create_plan(draft=draft, actor=actor)[0]


@pytest.fixture
def inside(scene: Scene, django_db_blocker: Any) -> Iterator[None]:
    """In the world, and back."""
    with django_db_blocker.unblock(), savepoint():
        yield
        transaction.set_rollback(True)


def guest(*grants: tuple[str, Model], rights: tuple[str, ...] = ()) -> Actor:
    """Somebody without a role that shows anything, with these grants; `rights` are theirs over everything."""
    user = _make_user(name=f"guest-{uuid4()}", roles=["trader"], actor=SYSTEM("test"))
    for permission, row in grants:
        assign_perm(permission, user, row)
    for right in rights:
        app, _dot, name = right.partition(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=name))
    return Actor.of(User.objects.get(pk=user.pk))


def browser(actor: Actor) -> Client:
    """The admin, as this person."""
    client = Client()
    client.force_login(actor.user, "django.contrib.auth.backends.ModelBackend")
    return client


def caller(actor: Actor) -> APIClient:
    """The API, as this person."""
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {create_token(actor.user)}")
    return client


def belongs(row: Any, accounts: set[Any]) -> bool:
    """Whether a row is about one of these accounts, said row by row and not by a query."""
    match row:
        case Account():
            return row.pk in accounts
        case Route() | Instruction() | Freeze():
            return row.account_id in accounts
        case Sweep():
            return bool({row.account_id, row.target_id} & accounts)
        case Transfer():
            return any(leg.account_id in accounts for leg in row.legs.all())
        case Break():
            return any(one.iban == row.line.account for one in Account.objects.filter(pk__in=accounts))
        case BankFile():
            ibans = {one.iban for one in Account.objects.filter(pk__in=accounts)}
            return all(line.account in ibans for line in row.lines.all())
    raise AssertionError(row)


OF_ACCOUNTS: tuple[type[Model], ...] = (Account, Route, Instruction, Transfer, Sweep, Freeze, BankFile, Break)
CLOSED: tuple[type[Model], ...] = (Payout, Plan, Run, Step, Request)
LISTS = {
    Bank: "banks", Account: "accounts", Route: "routes", Freeze: "freezes", Sweep: "sweeps", BankFile: "bank-files",
    Break: "breaks",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["bank", "account"])
@pytest.mark.parametrize("code", ["sandbox", "filebank"])
def test_what_a_grant_opens(scene: Scene, inside: None, kind: str, code: str) -> None:
    bank = Bank.objects.get(code=code)
    settlement = scene.account(bank)
    viewer = guest((f"treasury.view_{kind}", bank if kind == "bank" else settlement))
    accounts = set(bank.accounts.values_list("pk", flat=True)) if kind == "bank" else {settlement.pk}
    client, api = browser(viewer), caller(viewer)
    open_of = {model: {row.pk for row in model.objects.all() if belongs(row, accounts)} for model in OF_ACCOUNTS}
    open_of[Bank] = {bank.pk} if kind == "bank" else set()
    shut = 0
    for model, opened in open_of.items():
        shown = admin.site._registry[model]
        listed = client.get(reverse(f"admin:{shown.url_name('changelist')}"))
        if model is Bank and not opened:
            assert listed.status_code == 403
            assert api.get("/api/ops/banks").status_code == 403
        else:
            assert {row.pk for row in shown.visible(viewer)} == opened, model
            assert {row.pk for row in listed.context["cl"].result_list} <= opened
            if model in LISTS:
                answer = api.get(f"/api/ops/{LISTS[model]}").json()
                assert {row["id"] for row in answer["results"]} == {str(pk) for pk in opened}, model
        for row in [*model.objects.filter(pk__in=opened)[:2], *model.objects.exclude(pk__in=opened)[:2]]:
            page = client.get(reverse(f"admin:{shown.url_name('change')}", args=[row.pk]))
            expected = 200 if row.pk in opened else 404 if opened or model is not Bank else 403
            assert page.status_code == expected, (model, row)
            shut += expected != 200
    assert shut >= 4
    for model in CLOSED:
        assert (
            client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")).status_code == 403
        )


def test_the_world_has_something_of_each(scene: Scene, inside: None) -> None:
    of_sandbox, of_filebank = (
        set(bank.accounts.values_list("pk", flat=True)) for bank in (scene.sandbox, scene.filebank)
    )
    for model, accounts in (
        (Instruction, of_sandbox), (Transfer, of_sandbox), (Route, of_sandbox), (Sweep, of_sandbox),
        (Sweep, of_filebank), (Freeze, of_filebank), (Break, of_filebank), (BankFile, of_filebank),
    ):  # fmt: skip
        assert any(belongs(row, accounts) for row in model.objects.all()), model
    assert not any(belongs(row, of_sandbox) for row in BankFile.objects.all())


def test_the_menu_and_the_front_page(scene: Scene, inside: None) -> None:
    front = browser(guest(("treasury.view_bank", scene.filebank))).get(reverse("admin:index")).content.decode()
    for label in ("bank", "account", "instruction", "freeze"):
        assert reverse(f"admin:treasury_{label}_changelist") in front, label
    for closed in ("admin:treasury_payout_changelist", "admin:plans_plan_changelist", "admin:journal_entry_changelist"):
        assert reverse(closed) not in front, closed
    assert scene.filebank.name in front
    assert scene.sandbox.name not in front
    front = browser(guest(("plans.view_plan", scene.sweep))).get(reverse("admin:index")).content.decode()
    assert "Against the targets" not in front, "figures over all plans are no part of one plan"
    assert scene.sandbox.name not in front


def test_search_finds_what_the_lists_show(scene: Scene, inside: None) -> None:
    from opsconsole.console.search import search

    class Asked:
        method = "GET"
        path = "/admin/"

        def __init__(self, actor: Actor) -> None:
            self.user: Any = actor.user

    def found(actor: Actor, words: str) -> set[str]:
        return {one.title for one in search(Asked(actor), words)}  # type: ignore[arg-type] # what search reads of it

    viewer = guest(("treasury.view_bank", scene.filebank))
    assert scene.filebank.name in found(viewer, "filebank")
    assert found(viewer, "sandbox") == set()
    assert found(viewer, str(scene.account(scene.sandbox).pk)) == set()
    assert found(viewer, scene.sweep.external_id) == set()
    assert scene.sweep.name in found(guest(("plans.view_plan", scene.sweep)), scene.sweep.external_id)


def test_a_plan_opens_its_request_and_no_other(scene: Scene, inside: None) -> None:
    viewer = guest(("plans.view_plan", scene.sweep))
    opened = Request.objects.filter(subject_kind="plan", subject_id=str(scene.sweep.pk))
    assert set(approvals_access.visible_requests(viewer)) == set(opened) != set()
    other = Request.objects.exclude(subject_id=str(scene.sweep.pk)).first()
    assert other is not None
    api = caller(viewer)
    assert api.get(f"/api/approvals/{opened[0].pk}").status_code == 200
    assert api.get(f"/api/approvals/{other.pk}").status_code == 404
    for request, status in ((opened[0], 403), (other, 404)):
        answer = api.post(f"/api/approvals/{request.pk}/approve", {"approved": True}, format="json")
        assert answer.status_code == status


def test_a_grant_is_for_looking(scene: Scene, inside: None) -> None:
    viewer = guest(("treasury.view_bank", scene.filebank), ("treasury.view_bank", scene.sandbox))
    client, api = browser(viewer), caller(viewer)
    found, route = Break.objects.all()[0], Route.objects.all()[0]
    before = fingerprint(ask)
    assert api.post(f"/api/ops/breaks/{found.pk}/resolve", {"reason": "x"}, format="json").status_code == 403
    body = {"account_id": str(scene.account(scene.filebank).pk), "reason": "x"}
    assert api.patch(f"/api/ops/routes/{route.pk}", body, format="json").status_code == 403
    for name, row in (
        ("treasury_break_resolve", found), ("treasury_route_redirect", route),
        ("treasury_bank_change-gateway", scene.filebank),
        ("treasury_account_change-iban", scene.account(scene.filebank)),
    ):  # fmt: skip
        answer = client.post(reverse(f"admin:{name}", args=[row.pk]), {"key": str(uuid4()), "reason": "x"})
        assert answer.status_code == 403, name
        page = client.get(reverse(f"admin:treasury_{row._meta.model_name}_change", args=[row.pk]))
        assert "data-action=" not in page.content.decode(), name
    assert fingerprint(ask) == before


PAYLOADS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "freeze": lambda _code, iban: {"subject": "account", "id": iban, "reason": "x"},
    "pause_bank": lambda code, _iban: {"bank": code, "reason": "x"},
    "failover": lambda code, _iban: {"from_bank": "sandbox", "to_bank": code},
    "sweep": lambda _code, iban: {
        "currency": "EUR", "source_bank": "sandbox", "target_account": iban, "keep_minimum": "0",
    },
}  # fmt: skip
MINE = {
    "freeze": {"subject": "merchant", "id": "M-7", "reason": "y"},
    "pause_bank": {"bank": "sandbox", "reason": "y"},
    "failover": {"from_bank": "sandbox", "to_bank": "filebank", "corridors": ["EUR/*"]},
    "sweep": {"currency": "EUR", "source_bank": "sandbox", "target_account": ISO_IBAN, "keep_minimum": "5"},
}


@pytest.mark.parametrize("plan_type", sorted(PAYLOADS))
def test_a_plan_names_nothing_that_its_editor_may_not_see(scene: Scene, inside: None, plan_type: str) -> None:
    plan = _draft(Actor.of(User.objects.get(username="ops")), plan_type, MINE[plan_type])
    rights = tuple((f"plans.{name}", plan) for name in ("view_plan", "create_plan"))
    there, nowhere = PAYLOADS[plan_type]("filebank", ISO_IBAN), PAYLOADS[plan_type]("nobank", OTHER_IBAN)
    api = caller(guest(*rights, ("treasury.view_bank", scene.sandbox)))
    before = fingerprint(ask)
    answers = [
        api.patch(f"/api/ops/plans/{plan.pk}", {"payload": payload, "name": "mine"}, format="json")
        for payload in (there, nowhere)
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    told = [json.dumps(answer.json()["errors"], sort_keys=True) for answer in answers]
    assert told[0] == told[1], "what is there and may not be seen reads as what is not there"
    assert fingerprint(ask) == before
    sees = guest(*rights, ("treasury.view_bank", scene.sandbox), ("treasury.view_bank", scene.filebank))
    answer = caller(sees).patch(f"/api/ops/plans/{plan.pk}", {"payload": there, "name": "mine"}, format="json")
    assert answer.status_code == 200, answer.json()


def test_the_form_of_a_plan_offers_what_its_editor_may_see(scene: Scene, inside: None) -> None:
    ops = Actor.of(User.objects.get(username="ops"))
    for plan_type, fields in {
        "freeze": ["account"],
        "failover": ["from_bank", "to_bank"],
        "pause_bank": ["bank"],
    }.items():
        plan = _draft(ops, plan_type, MINE[plan_type])
        rights = tuple((f"plans.{name}", plan) for name in ("view_plan", "create_plan"))
        url = reverse("admin:plans_plan_edit", args=[plan.pk])
        for seen, unseen in ((scene.sandbox, scene.filebank), (scene.filebank, scene.sandbox)):
            page = browser(guest(*rights, ("treasury.view_bank", seen))).get(url)
            for name in fields:
                offered = json.dumps([str(label) for _value, label in page.context["form"].fields[name].choices])
                assert seen.name in offered
                assert unseen.name not in offered
        assert scene.sandbox.name in browser(ops).get(url).content.decode()


def test_a_right_on_a_plan_is_honoured_with_its_sight(scene: Scene, inside: None) -> None:
    plan = _draft(Actor.of(User.objects.get(username="ops")), "freeze", MINE["freeze"])
    before = guest()
    assert before.user is not None
    values = {"object": "plans.plan", "object_id": str(plan.pk), "permission": "stage_plan"}
    given = GrantChange().describe(str(before.user.pk), values)
    assert given.after["rights"] == "stage_plan, view_plan"
    stager = guest(("plans.view_plan", plan), ("plans.stage_plan", plan))
    page = browser(stager).get(reverse("admin:plans_plan_change", args=[plan.pk])).content.decode()
    assert set(re.findall(r'data-action="([^"]+)"', page)) == {"stage", "cancel"}
    assert caller(guest(("plans.stage_plan", plan))).post(f"/api/ops/plans/{plan.pk}/stage").status_code == 404
    assert caller(guest(("plans.view_plan", plan))).post(f"/api/ops/plans/{plan.pk}/stage").status_code == 403
    assert caller(stager).post(f"/api/ops/plans/{plan.pk}/stage").json()["status"] == "staged"


@pytest.mark.parametrize(
    ("kind", "subject", "nowhere", "payload"),
    [
        ("gateway", "filebank", "nobank", {"priority": 3}),
        ("iban", ISO_IBAN, OTHER_IBAN, {"iban": "DE91100000000123456789"}),
        ("account", "", "", {"bank": "filebank", "name": "x", "iban": OTHER_IBAN, "currency": "EUR"}),
    ],
)
def test_no_change_of_what_one_may_not_see(
    scene: Scene, inside: None, kind: str, subject: str, nowhere: str, payload: dict[str, Any]
) -> None:
    asker = guest(("treasury.view_bank", scene.sandbox), rights=("changes.request_treasury_change",))
    api = caller(asker)
    before = fingerprint(ask)
    answers = []
    for about, content in ((subject, payload), (nowhere, payload | ({"bank": "nobank"} if "bank" in payload else {}))):
        body = {"kind": kind, "subject": about, "payload": content, "reason": "x"}
        answers.append(api.post("/api/changes", body, format="json", headers={"Idempotency-Key": str(uuid4())}))
    assert [answer.status_code for answer in answers] == [404, 404], [answer.json() for answer in answers]
    assert answers[0].json()["code"] == answers[1].json()["code"] == "subject_not_found"
    assert fingerprint(ask) == before


def test_no_evidence_and_no_route_over_what_one_may_not_see(scene: Scene, inside: None) -> None:
    api = caller(guest(("plans.view_plan", scene.freeze), rights=("plans.export_evidence",)))
    assert api.get(f"/api/ops/plans/{scene.sweep.pk}/evidence").status_code == 404
    leader = guest(("treasury.view_bank", scene.sandbox), rights=("treasury.change_route",))
    api, route = caller(leader), Route.objects.get(bank=scene.sandbox)
    before = fingerprint(ask)
    for account in (scene.account(scene.filebank).pk, uuid4()):
        answer = api.patch(f"/api/ops/routes/{route.pk}", {"account_id": str(account), "reason": "x"}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (404, "account_not_found")
    assert fingerprint(ask) == before


def test_a_narrowed_credential_and_a_grant_to_a_role(scene: Scene, inside: None) -> None:
    group = Group.objects.get(name="trader")
    assign_perm("treasury.view_bank", group, scene.filebank)
    assign_perm("plans.view_plan", group, scene.sweep)
    own = ("treasury.view_bank", scene.sandbox)

    def seen(left: list[str] | None) -> tuple[set[str], int, list[bool]]:
        viewer = guest(own)
        assert viewer.user is not None
        if left is not None:
            viewer.user.narrow_to(left)
        codes = set(access.visible_banks(viewer).values_list("code", flat=True))
        rows = [viewer.may("treasury.view_bank", bank) for bank in (scene.sandbox, scene.filebank)]
        return codes, plans_access.granted_plans(viewer).count(), rows

    both = ({"sandbox", "filebank"}, 1, [True, True])
    assert seen(None) == both
    assert seen(["trader"]) == both
    assert seen([]) == seen(["dev"]) == ({"sandbox"}, 0, [True, False])


def test_a_grant_ends_with_its_person(scene: Scene, inside: None) -> None:
    viewer = guest(("treasury.view_bank", scene.sandbox), ("plans.view_plan", scene.sweep))
    assert viewer.user is not None
    viewer.user.is_active = False
    assert not plans_access.granted_plans(viewer).exists()
    assert not access.sees_bank(viewer, "sandbox")
