"""What every answer has, whatever it answers: a request id, and a problem where it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from opsconsole.core.actors import Actor
from opsconsole.core.tokens import create_token
from opsconsole.plans import access

UUID4 = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PLANS = "/api/ops/plans"


def is_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The body of an answer that is this problem."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:opsconsole:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer["Request-Id"] != ""
    return body


@pytest.mark.parametrize("given", ["abc-123", "0198c0de:7/8+9=_.x", "x" * 128])
def test_a_request_id_is_kept(api: Callable[..., APIClient], given: str) -> None:
    assert api("ops").get(PLANS, headers={"Request-Id": given})["Request-Id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "id;drop", "é", "a\tb", '"quoted"'])
def test_a_malformed_request_id_is_replaced(api: Callable[..., APIClient], given: str) -> None:
    answer = api(None).get(PLANS, headers={"Request-Id": given})
    assert UUID4.fullmatch(answer["Request-Id"])
    assert answer.json()["request_id"] == answer["Request-Id"]


def test_every_request_gets_an_id_of_its_own(visitor: Client) -> None:
    assert len({visitor.get("/healthz")["Request-Id"] for _ in range(5)}) == 5


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/api/ops/plans/not-a-uuid", "/api/ops/plans/", "/api/%00"])
def test_an_unknown_address_is_a_problem(visitor: Client, path: str) -> None:
    is_problem(visitor.get(path), 404, "not_found")
    is_problem(visitor.post(path), 404, "not_found")


def test_outside_the_api_a_page_is_a_page(visitor: Client) -> None:
    assert "json" not in visitor.get("/nothing")["Content-Type"]


def test_who_does_not_say_who_they_are(visitor: Client) -> None:
    for header in ({}, {"Authorization": "Basic b3BzOm9wcw=="}, {"Authorization": ""}):
        answer = visitor.get(PLANS, headers=header)
        is_problem(answer, 401, "not_authenticated")
        assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "credentials",
    ["Bearer", "Bearer ", "Bearer a b", "Bearer " + "0" * 64, "bearer x", "Bearer \xff\xfe", "Bearer " + "x" * 5000],
)
def test_a_token_of_no_use(visitor: Client, credentials: str) -> None:
    answer = visitor.get(PLANS, headers={"Authorization": credentials})
    is_problem(answer, 401, "authentication_failed")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_token_ends_with_its_time_and_with_its_user(person: Callable[..., Actor], visitor: Client) -> None:
    user = person("ops").user
    assert user is not None
    old = {"Authorization": f"Bearer {create_token(user, expiry=timedelta(seconds=-1))}"}
    live = {"Authorization": f"Bearer {create_token(user)}"}
    is_problem(visitor.get(PLANS, headers=old), 401, "authentication_failed")
    assert user.auth_token_set.count() == 2  # looking at a token is no reason to delete one
    assert visitor.get(PLANS, headers=live).status_code == 200
    user.is_active = False
    user.save(update_fields=["is_active"])
    is_problem(visitor.get(PLANS, headers=live), 401, "authentication_failed")


def test_a_token_lives_as_long_as_the_settings_say(person: Callable[..., Actor], settings: Any) -> None:
    user = person("ops").user
    assert user is not None
    create_token(user)
    token = user.auth_token_set.get()
    assert token.expiry - token.created == pytest.approx(settings.REST_KNOX["TOKEN_TTL"], abs=timedelta(seconds=5))


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options", "trace"])
def test_another_method(api: Callable[..., APIClient], method: str) -> None:
    answer = api("ops").generic(method.upper(), PLANS)
    is_problem(answer, 405, "method_not_allowed")
    assert answer["Allow"] == "GET, HEAD, POST"


def test_a_method_that_nobody_knows(api: Callable[..., APIClient]) -> None:
    is_problem(api("ops").generic("BREW", PLANS), 405, "method_not_allowed")


def test_head_is_get_without_a_body(api: Callable[..., APIClient]) -> None:
    answer = api("ops").head(PLANS)
    assert (answer.status_code, answer.content) == (200, b"")


def test_nothing_but_json_is_spoken(api: Callable[..., APIClient]) -> None:
    is_problem(api("ops").get(PLANS, headers={"Accept": "text/html"}), 406, "not_acceptable")
    assert api("ops").get(PLANS, headers={"Accept": "text/html, */*;q=0.1"}).status_code == 200


def test_a_host_that_is_not_ours(visitor: Client) -> None:
    is_problem(visitor.get(PLANS, headers={"Host": "evil.example"}), 400, "bad_request")


def test_a_fault_of_ours_says_nothing_but_its_request_id(
    api: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_actor: Actor) -> None:
        raise RuntimeError("the secret is hunter2")

    monkeypatch.setattr(access, "visible_plans", broken)
    client = api("ops")
    client.raise_request_exception = False
    answer = client.get(PLANS, headers={"Request-Id": "trace-me"})
    assert is_problem(answer, 500, "fault")["request_id"] == "trace-me"
    for leaked in (b"hunter2", b"RuntimeError", b"Traceback", b"opsconsole/"):
        assert leaked not in answer.content


def test_the_state_that_refuses_is_told(api: Callable[..., APIClient], staged: Callable[..., dict[str, Any]]) -> None:
    plan = staged()
    body = is_problem(api("ops").post(f"{PLANS}/{plan['id']}/stage"), 409, "wrong_state")
    assert (body["state"], body["wanted"]) == ("staged", "staged")
