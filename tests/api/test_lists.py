"""Lists: pages by cursor, and filters that answer 400 to what they do not understand."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import Subject, record
from opsconsole.plans.models import Plan
from tests.api.test_envelope import is_problem
from tests.world import TESTER

PLANS = "/api/ops/plans"
MANY = 120


@operation
def draft_many(*, count: int, author: Actor, actor: Actor) -> None:
    """So many drafts, all of the same instant: the hardest case for a cursor by time."""
    Plan.objects.bulk_create(
        Plan(
            external_id=f"plan-{number:03}",
            name=f"Payouts {number:03}",
            plan_type="payout_batch",
            payload={},
            required_approvals=2,
            body_digest="",
            created_by=author.user,
        )
        for number in range(count)
    )
    record(actor, "plans.made", Subject("test", "plans"))


@pytest.fixture
def many(person: Callable[..., Actor]) -> None:
    """A hundred and twenty plans."""
    draft_many(count=MANY, author=person("ops"), actor=TESTER)


def walk(client: APIClient, path: str, link: str = "next") -> list[list[str]]:
    """The external ids of each page, following a link until there is none."""
    pages = []
    url: str | None = path
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.json()
        body = answer.json()
        assert sorted(body) == ["next", "previous", "results"]
        pages.append([row["external_id"] for row in body["results"]])
        url = body[link]
    return pages


@pytest.mark.parametrize("size", [7, 50, 120, 200])
def test_the_pages_hold_every_plan_once(api: Callable[..., APIClient], many: None, size: int) -> None:
    pages = walk(api("ops"), f"{PLANS}?page_size={size}")
    found = [name for page in pages for name in page]
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    assert len(found) == len(set(found)) == MANY
    assert found == list(Plan.objects.order_by("-id").values_list("external_id", flat=True))


def test_back_and_forth(api: Callable[..., APIClient], many: None) -> None:
    client = api("ops")
    forth = walk(client, f"{PLANS}?page_size=25")
    last = client.get(f"{PLANS}?page_size=25").json()
    while last["next"]:
        last = client.get(last["next"]).json()
    back = walk(client, last["previous"], link="previous")
    assert list(reversed(back)) == forth[:-1]


def test_fifty_on_a_page(api: Callable[..., APIClient], many: None) -> None:
    assert len(api("ops").get(PLANS).json()["results"]) == 50


def test_a_page_stands_while_plans_come_in(
    api: Callable[..., APIClient], many: None, drafted: Callable[..., dict[str, Any]]
) -> None:
    client = api("ops")
    first = client.get(f"{PLANS}?page_size=100").json()
    drafted()
    second = client.get(first["next"]).json()
    names = [row["external_id"] for row in first["results"] + second["results"]]
    assert len(names) == len(set(names)) == MANY


@pytest.mark.parametrize("size", ["0", "-1", "201", "1e2", "ten", "", "1 ", "9" * 40, "٣"])
def test_a_size_that_is_none(api: Callable[..., APIClient], size: str) -> None:
    assert "page_size" in is_problem(api("ops").get(PLANS, {"page_size": size}), 400, "page_invalid")["errors"]


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "%%%",
        "",
        base64.b64encode(b"p=nonsense").decode(),
        base64.b64encode(b"o=-5").decode(),
        base64.b64encode(b"o=999999999").decode(),
        base64.b64encode(b"p=0001-01-01T00:00:00+23:59").decode(),
        base64.b64encode(b"p=9999-12-31T23:59:59-23:59").decode(),
        base64.b64encode(b"p=%00").decode(),
        base64.b64encode(b"\xff\xfe").decode(),
    ],
)
def test_a_cursor_that_no_list_gave(api: Callable[..., APIClient], many: None, cursor: str) -> None:
    answer = api("ops").get(PLANS, {"cursor": cursor})
    if answer.status_code != 200:  # an empty page or the first one harms nobody
        is_problem(answer, 400, "page_invalid")


@pytest.mark.parametrize(
    "query",
    [
        {"status": "nonsense"},
        {"status": ["draft", "nonsense"]},
        {"plan_type": "teleport"},
        {"created_after": "yesterday"},
        {"created_before": "2025-13-01T00:00:00Z"},
        {"search": "a\x00b"},
        {"external_id": "\x00"},
        {"stauts": "draft"},
        {"ordering": "name"},
        {"page": "2"},
        {"plan_type": ["payout_batch", "bank_pause"]},
        {"external_id": ""},
        {"search": " "},
        {"created_after": ""},
    ],
    ids=str,
)
def test_a_filter_of_no_sense(api: Callable[..., APIClient], query: dict[str, Any]) -> None:
    errors = is_problem(api("ops").get(PLANS, query), 400, "invalid")["errors"]
    assert list(errors) == list(query)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/approvals", "mine"),
        ("/api/changes", "mine"),
        ("/api/ops/freezes", "live"),
        ("/api/balances", "frozen"),
        ("/api/fraud-hits", "overdue"),
        ("/api/rewards", "active"),
    ],
)
def test_a_wish_that_is_neither_true_nor_false(api: Callable[..., APIClient], path: str, name: str) -> None:
    client = api("finance_ops")
    for meant in ("true", "False", "1", "0"):
        assert client.get(path, {name: meant}).status_code == 200
    for meaningless in ("perhaps", "2", "yes", " true"):
        assert list(is_problem(client.get(path, {name: meaningless}), 400, "invalid")["errors"]) == [name]


@pytest.mark.parametrize("path", [f"{PLANS}?created_after=", "/api/journal?since="])
@pytest.mark.parametrize("when", ["0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "2025-08-01T00:00:00Z"])
def test_times_at_the_edge_are_no_fault_of_ours(api: Callable[..., APIClient], path: str, when: str) -> None:
    answer = api("ops").get(path + when)
    if answer.status_code != 200:
        is_problem(answer, 400, "out_of_range")


def test_filters_narrow(api: Callable[..., APIClient], staged: Callable[..., dict[str, Any]], many: None) -> None:
    plan, client = staged(), api("ops")

    def found(**query: Any) -> list[str]:
        return [row["external_id"] for row in client.get(PLANS, {"page_size": 200, **query}).json()["results"]]

    assert found(status="staged") == [plan["external_id"]]
    assert len(found(status=["staged", "draft"])) == MANY + 1
    assert found(status="failed") == []
    assert len(found(plan_type="payout_batch")) == MANY + 1
    assert found(external_id="plan-007") == ["plan-007"]
    assert sorted(found(search="payouts 01")) == [f"plan-{number:03}" for number in range(10, 20)]
    assert plan["external_id"] in found(created_after=plan["created_at"])
    assert plan["external_id"] not in found(created_before=plan["created_at"])


def test_steps_and_runs_come_in_pages_too(
    api: Callable[..., APIClient], approved: Callable[..., dict[str, Any]]
) -> None:
    plan, client = approved(), api("finance_ops")
    base = f"{PLANS}/{plan['id']}"
    run = client.post(f"{base}/execute", headers={"Idempotency-Key": "k"}).json()["run_id"]
    page = client.get(f"{base}/steps?page_size=10").json()
    assert [step["seq"] for step in page["results"]] == list(range(1, 11))
    page = client.get(page["next"]).json()
    assert [step["seq"] for step in page["results"]] == list(range(11, 21))
    assert [row["id"] for row in client.get(f"{base}/runs").json()["results"]] == [run]
    assert len(client.get(f"{base}/runs/{run}/steps?status=pending&page_size=200").json()["results"]) == 24
    is_problem(client.get(f"{base}/runs/{run}/steps?status=nonsense"), 400, "invalid")
    detail = client.get(f"{base}/runs/{run}").json()
    assert (detail["progress"]["total"], detail["progress"]["percent"], detail["steps"]) == (24, 0, [])


def test_the_plan_types_are_a_list_like_any_other(api: Callable[..., APIClient]) -> None:
    body = api("ops").get("/api/ops/plan-types").json()
    assert (body["next"], body["previous"]) == (None, None)
    assert "payout_batch" in [kind["name"] for kind in body["results"]]
