"""Changes over HTTP: asked for, read, decided, applied, refused as problems; and people who leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from opsconsole.changes.kinds.base import registered
from opsconsole.changes.models import Change
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.core.tokens import create_token, user_of_token
from tests.changes.conftest import ADDRESS, NEW_SECRET, OLD_SECRET, alter, everything_written, nothing_changes, verbs
from tests.world import TESTER, World

pytestmark = pytest.mark.django_db
People = dict[str, Actor]


@pytest.fixture
def call(people: People) -> Callable[..., Any]:
    """`call("ops", "GET", "/api/changes")`, with a body and headers where there are any."""

    def make(name: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {create_token(people[name].user)}")
        return client.generic(
            method,
            path,
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers=headers,
        )

    return make


ASKED = {
    "kind": "gateway",
    "subject": "sandbox",
    "payload": {"base_url": ADDRESS, "secret": NEW_SECRET},
    "reason": "letter of the bank",
}


def test_the_whole_way(world: World, call: Callable[..., Any]) -> None:
    made = call("finance_ops", "POST", "/api/changes", ASKED, **{"Idempotency-Key": "c-1"})
    assert made.status_code == 201, made.content
    body = made.json()
    assert body["status"] == "requested"
    assert body["before"]["base_url"] == "http://127.0.0.1:9"
    assert body["after"]["secret"].startswith("sha256:")
    assert body["slots"]["open"] == [{"roles": ["finance_ops"], "count": 1}, {"roles": ["pay_admin"], "count": 1}]
    again = call("finance_ops", "POST", "/api/changes", ASKED, **{"Idempotency-Key": "c-1"})
    assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")
    assert Change.objects.count() == 1
    other = {**ASKED, "reason": "another"}
    assert call("finance_ops", "POST", "/api/changes", other, **{"Idempotency-Key": "c-1"}).status_code == 422

    url = f"/api/changes/{body['id']}"
    seen = call("auditor", "GET", url)
    assert seen.json()["approval_id"]
    assert call("finance_ops", "POST", f"{url}/approve", {}).json()["code"] == "separation_of_duties"
    first = call("finance_ops2", "POST", f"{url}/approve", {"digest": body["digest"], "comment": "called the bank"})
    assert (first.status_code, first.json()["status"]) == (200, "requested")
    inbox = call("pay_admin", "GET", "/api/approvals?mine=1").json()["results"]
    assert [one["action"] for one in inbox] == ["change.gateway"]
    shown = call("pay_admin", "GET", f"/api/approvals/{inbox[0]['id']}").json()
    assert shown["content"]["after"]["base_url"] == ADDRESS
    last = call("pay_admin", "POST", f"{url}/approve", {})
    assert (last.status_code, last.json()["status"]) == (200, "applied")
    world.http.refresh_from_db()
    assert world.http.base_url == ADDRESS
    for answer in (made, seen, first, last):
        assert NEW_SECRET not in answer.content.decode()
        assert OLD_SECRET not in answer.content.decode()
    assert NEW_SECRET not in str(shown)
    assert NEW_SECRET not in everything_written()
    ended = call("pay_admin2", "POST", f"{url}/apply")
    assert (ended.status_code, ended.json()["code"], ended.json()["state"]) == (409, "change_ended", "applied")


def test_a_stale_one_is_a_conflict_that_is_kept(world: World, call: Callable[..., Any]) -> None:
    body = call("finance_ops", "POST", "/api/changes", ASKED).json()
    url = f"/api/changes/{body['id']}"
    call("finance_ops2", "POST", f"{url}/approve", {})
    alter(row=world.http, values={"base_url": "http://127.0.0.1:10"}, actor=TESTER)
    answer = call("pay_admin", "POST", f"{url}/approve", {}, **{"Idempotency-Key": "last"})
    assert (answer.status_code, answer.json()["code"]) == (409, "change_stale")
    assert answer["Content-Type"] == "application/problem+json"
    again = call("pay_admin", "POST", f"{url}/approve", {}, **{"Idempotency-Key": "last"})
    assert (again.status_code, again["Idempotency-Replayed"]) == (409, "true")
    now = call("auditor", "GET", url).json()
    assert (now["status"], now["failure"] != "") == ("stale", True)


def test_reject_and_cancel(world: World, call: Callable[..., Any]) -> None:
    asked = {**ASKED, "payload": {"priority": 3}}
    first, second = (call("finance_ops", "POST", "/api/changes", asked).json()["id"] for _n in range(2))
    assert call("pay_admin", "POST", f"/api/changes/{first}/reject", {}).status_code == 400
    assert call("pay_admin", "POST", f"/api/changes/{first}/reject", {"reason": "no"}).json()["status"] == "rejected"
    assert call("ops", "POST", f"/api/changes/{second}/cancel", {"reason": "no"}).status_code == 403
    gone = call("finance_ops", "POST", f"/api/changes/{second}/cancel", {"reason": "a mistake"})
    assert gone.json()["status"] == "cancelled"


def test_the_list_is_narrowed(world: World, call: Callable[..., Any]) -> None:
    call("finance_ops", "POST", "/api/changes", {**ASKED, "payload": {"priority": 3}})
    call(
        "pay_admin",
        "POST",
        "/api/changes",
        {"kind": "roles", "subject": "dev", "payload": {"add": ["ops"]}, "reason": "x"},
    )

    def found(name: str, query: str) -> int:
        return len(call(name, "GET", f"/api/changes?{query}").json()["results"])

    assert found("auditor", "") == 2
    assert found("auditor", "kind=roles") == 1
    assert found("auditor", "status=requested&status=approved") == 2
    assert found("auditor", "status=applied") == 0
    assert found("pay_admin", "mine=1") == 1
    assert found("dev", "") == 1  # what is about them
    assert call("auditor", "GET", "/api/changes?colour=blue").status_code == 400
    mine = call("dev", "GET", "/api/changes").json()["results"][0]["id"]
    assert call("dev", "GET", f"/api/changes/{mine}").status_code == 200
    theirs = Change.objects.get(kind="gateway").pk
    assert call("dev", "GET", f"/api/changes/{theirs}").status_code == 404


def test_the_kinds_with_an_example_each(world: World, call: Callable[..., Any]) -> None:
    kinds = call("auditor", "GET", "/api/change-kinds").json()["results"]
    assert [kind["name"] for kind in kinds] == [kind.name for kind in registered()]
    for kind in kinds:
        assert kind["example"]["kind"] == kind["name"]
        known = {member["name"] for member in kind["members"]}
        assert set(kind["example"]["payload"]) <= known
    assert call("dev", "GET", "/api/change-kinds").status_code == 403


@pytest.mark.parametrize("kind", [kind.name for kind in registered()])
def test_every_example_reads(kind: str) -> None:
    (one,) = [known for known in registered() if known.name == kind]
    values = one.read(one.example)
    assert set(values) >= set(one.example)


def test_a_token_is_handed_over_once(world: World, call: Callable[..., Any]) -> None:
    asked = {"kind": "token", "subject": "dev", "payload": {"days": 90}, "reason": "nightly report"}
    url = f"/api/changes/{call('admin', 'POST', '/api/changes', asked).json()['id']}"
    call("admin2", "POST", f"{url}/approve", {})
    assert call("pay_admin", "POST", f"{url}/approve", {}).json()["status"] == "approved"
    with_key = {"Idempotency-Key": "take"}
    given = call("dev", "POST", f"{url}/apply", **with_key)
    assert given.status_code == 200
    token = given.json()["token"]
    owner = user_of_token(token)
    assert owner is not None
    assert owner.username == "dev"
    assert token not in everything_written()
    assert call("dev", "POST", f"{url}/apply", **with_key).status_code == 409
    assert "token" not in call("dev", "GET", url).json()


@pytest.mark.parametrize("path", ["", "/{id}", "/{id}/approve", "/{id}/reject", "/{id}/cancel", "/{id}/apply"])
def test_strangers_are_refused(world: World, call: Callable[..., Any], path: str) -> None:
    known = call("finance_ops", "POST", "/api/changes", {**ASKED, "payload": {"priority": 3}}).json()["id"]
    url = f"/api/changes{path.format(id=known)}"
    body = ASKED if not path else {} if path.endswith("approve") else {"reason": "x"}
    token = create_token(User.objects.get(username="dev"))
    client = APIClient()
    with nothing_changes():
        assert client.generic("GET" if path == "/{id}" else "POST", url).status_code == 401
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        if path != "/{id}":
            assert client.post(url, body, format="json").status_code in (403, 404)


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {**ASKED, "kind": "nothing"}, {**ASKED, "payload": []}, {**ASKED, "payload": {"bic": {}}},
        {**ASKED, "payload": {"base_url": ["x"]}}, {**ASKED, "colour": 1}, {**ASKED, "payload": {"priority": 10**30}},
        {**ASKED, "payload": {"fee_per_payment": "NaN"}}, {**ASKED, "subject": {}},
        {"kind": "policy", "subject": "plan.sweep", "payload": {"slots": [[]]}, "reason": "x"},
        {"kind": "policy", "subject": "plan.sweep", "payload": {"slots": [{"roles": [1], "count": 1}]}, "reason": "x"},
        {"kind": "policy", "subject": "plan.sweep", "payload": {"thresholds": [{"of": 1, "over": []}]}, "reason": "x"},
        {"kind": "policy", "subject": "plan.sweep", "payload": {"ttl_hours": "1e5"}, "reason": "x"},
        {"kind": "roles", "subject": "dev", "payload": {"add": "ops"}, "reason": "x"},
        {"kind": "grant", "subject": "dev", "payload": {"object": "x.y", "object_id": "1"}, "reason": "x"},
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words(world: World, call: Callable[..., Any], body: Any) -> None:
    answer = call("pay_admin", "POST", "/api/changes", body)
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert not Change.objects.exists()


def test_people_and_offboarding(world: World, people: People, call: Callable[..., Any]) -> None:
    listed = call("auditor", "GET", "/api/users?page_size=200").json()["results"]
    assert [one["username"] for one in listed] == sorted(one["username"] for one in listed)
    ops2 = next(one for one in listed if one["username"] == "ops2")
    assert ops2["roles"] == ["ops"]
    url = f"/api/users/{ops2['id']}"
    create_token(people["ops2"].user)
    taken = call("pay_admin", "POST", f"{url}/take-away", {"roles": ["ops"], "reason": "moved on"})
    assert taken.json()["ended"]["roles"] == 1
    gone = call("admin", "POST", f"{url}/offboard", {"reason": "left"}, **{"Idempotency-Key": "o"})
    assert (gone.status_code, gone.json()["active"], gone.json()["ended"]["tokens"]) == (200, False, 1)
    assert (
        call("admin", "POST", f"{url}/offboard", {"reason": "left"}, **{"Idempotency-Key": "o"}).json() == gone.json()
    )
    assert verbs(verb="user.offboarded") == ["user.offboarded"]
    call("admin", "POST", f"/api/users/{people['admin2'].id}/offboard", {"reason": "left"})
    last = call("pay_admin", "POST", f"/api/users/{people['admin'].id}/offboard", {"reason": "left"})
    assert (last.status_code, last.json()["code"]) == (422, "last_admin")
