"""Idempotency-Key: one effect and one answer for one key, also for two requests at the same instant."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from opsconsole.core.idempotency import RequestKey, claim, fingerprint
from opsconsole.core.models import IdempotencyKey
from opsconsole.journal.models import Entry
from opsconsole.plans.models import Plan, Run
from tests.api.conftest import RUNBOOK_PLAN
from tests.api.test_envelope import is_problem
from tests.api.unchanged import Ask, unchanged
from tests.world import TESTER, World, add_payouts

PLANS = "/api/ops/plans"
ROUNDS = 50


def keyed(key: str) -> dict[str, str]:
    """The header."""
    return {"Idempotency-Key": key}


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make the calls at the same instant, each on a thread and a connection of its own."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            gate.wait(10)
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


@contextmanager
def held(key: RequestKey) -> Iterator[None]:
    """Somebody's first request under this key is still running while the block is."""
    started, over = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with connections["default"].cursor() as cursor:
                cursor.execute("begin")
                assert claim(key) is None
                started.set()
                over.wait(20)
                cursor.execute("rollback")
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert started.wait(10)
    try:
        yield
    finally:
        over.set()
        thread.join()


# The four cases


def test_missing_where_one_is_needed(api: Callable[..., APIClient], approved: Callable[..., dict[str, Any]]) -> None:
    plan = approved()
    is_problem(api("finance_ops").post(f"{PLANS}/{plan['id']}/execute"), 400, "idempotency_key_missing")
    assert not Run.objects.exists()


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb"])
def test_malformed(api: Callable[..., APIClient], approved: Callable[..., dict[str, Any]], key: str) -> None:
    plan = approved()
    answer = api("finance_ops").post(f"{PLANS}/{plan['id']}/execute", headers=keyed(key))
    is_problem(answer, 400, "idempotency_key_malformed" if key else "idempotency_key_missing")
    assert not Run.objects.exists()


def test_the_same_again_gets_the_stored_answer_and_status(
    api: Callable[..., APIClient], approved: Callable[..., dict[str, Any]]
) -> None:
    plan, client = approved(), api("finance_ops")
    first = client.post(f"{PLANS}/{plan['id']}/execute", headers=keyed("k"))
    assert (first.status_code, "Idempotency-Replayed" in first) == (202, False)
    entries = Entry.objects.count()
    for _ in range(3):
        again = client.post(f"{PLANS}/{plan['id']}/execute", headers=keyed("k"))
        assert (again.status_code, again.json(), again["Idempotency-Replayed"]) == (202, first.json(), "true")
    assert (Run.objects.count(), Entry.objects.count()) == (1, entries)


def test_a_stored_creation_is_still_a_creation(api: Callable[..., APIClient], treasury: World) -> None:
    client = api("ops")
    first = client.post(PLANS, RUNBOOK_PLAN, headers=keyed("k"))
    again = client.post(PLANS, RUNBOOK_PLAN, headers=keyed("k"))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert client.post(PLANS, RUNBOOK_PLAN).status_code == 200  # without the key it is the same plan asked for again


def test_the_same_json_in_another_order_is_the_same_request(api: Callable[..., APIClient], treasury: World) -> None:
    client = api("ops")
    client.post(PLANS, RUNBOOK_PLAN, headers=keyed("k"))
    again = client.post(PLANS, dict(reversed(RUNBOOK_PLAN.items())), headers=keyed("k"))
    assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")


@pytest.mark.django_db(transaction=True)
def test_another_request_under_the_key(
    api: Callable[..., APIClient], approved: Callable[..., dict[str, Any]], ask: Ask
) -> None:
    one, client = approved(), api("finance_ops")
    client.post(f"{PLANS}/{one['id']}/execute", headers=keyed("k"))
    add_payouts(count=3, amount=1, actor=TESTER, prefix="MORE")
    other = approved(external_id="other")
    with unchanged(ask):
        body = client.post(f"{PLANS}/{one['id']}/execute", {"other": 1}, headers=keyed("k"))
        path = client.post(f"{PLANS}/{other['id']}/execute", headers=keyed("k"))
    is_problem(body, 422, "idempotency_key_reused")
    is_problem(path, 422, "idempotency_key_reused")


@pytest.mark.django_db(transaction=True)
def test_in_flight_is_said_at_once(
    api: Callable[..., APIClient], approved: Callable[..., dict[str, Any]], ask: Ask
) -> None:
    plan, client = approved(), api("finance_ops")
    path = f"{PLANS}/{plan['id']}/execute"
    user = client.get(f"{PLANS}/{plan['id']}").wsgi_request.user
    scope = f"{user.pk} POST api/ops/plans/<uuid:plan_id>/execute"
    with held(RequestKey(scope, "k", fingerprint(path=path, body={}))), unchanged(ask):
        is_problem(client.post(path, headers=keyed("k")), 409, "idempotency_key_in_flight")
    assert client.post(path, headers=keyed("k")).status_code == 202


# At the same instant


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_the_same_instant(api: Callable[..., APIClient], treasury: World) -> None:
    clients = [api("ops"), api("ops")]
    seen: Counter[tuple[int, ...]] = Counter()
    for number in range(ROUNDS):
        body = RUNBOOK_PLAN | {"external_id": f"plan-{number}"}

        def create(client: APIClient, body: dict[str, Any] = body, key: str = f"key-{number}") -> Any:
            return client.post(PLANS, body, headers=keyed(key))

        answers = at_once(*(lambda client=client: create(client) for client in clients))
        statuses = tuple(sorted(answer.status_code for answer in answers))
        seen[statuses] += 1
        made = [answer for answer in answers if answer.status_code == 201]
        assert len({answer.json()["id"] for answer in made}) == 1
        assert sum("Idempotency-Replayed" not in answer for answer in made) == 1
        for answer in answers:
            if answer.status_code == 409:
                is_problem(answer, 409, "idempotency_key_in_flight")
    assert set(seen) <= {(201, 201), (201, 409)}, seen
    assert seen[201, 409], "no two requests ever met"
    assert Plan.objects.count() == IdempotencyKey.objects.count() == ROUNDS
    assert Entry.objects.filter(verb="plan.created").count() == ROUNDS


@pytest.mark.django_db(transaction=True)
def test_the_same_plan_under_two_keys_at_the_same_instant(api: Callable[..., APIClient], treasury: World) -> None:
    clients = [api("ops"), api("ops")]
    for number in range(10):
        body = RUNBOOK_PLAN | {"external_id": f"plan-{number}"}
        answers = at_once(
            *(
                lambda client=client, which=which, body=body: client.post(PLANS, body, headers=keyed(f"{which}"))
                for client, which in zip(clients, (f"a-{number}", f"b-{number}"), strict=True)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 201]
        assert len({answer.json()["id"] for answer in answers}) == 1
    assert Plan.objects.count() == 10


# Whose key it is


def test_a_key_is_its_persons_and_its_routes(
    api: Callable[..., APIClient], staged: Callable[..., dict[str, Any]]
) -> None:
    plan = staged()
    first = api("finance_ops").post(f"{PLANS}/{plan['id']}/approve", headers=keyed("k"))
    second = api("pay_admin").post(f"{PLANS}/{plan['id']}/approve", headers=keyed("k"))
    third = api("finance_ops").post(f"{PLANS}/{plan['id']}/execute", headers=keyed("k"))
    assert [answer.status_code for answer in (first, second, third)] == [200, 200, 202]
    assert second.json()["status"] == "approved"
    assert "Idempotency-Replayed" not in third


# What a refusal does to a key


def test_a_refused_request_leaves_its_key_free(
    api: Callable[..., APIClient], staged: Callable[..., dict[str, Any]]
) -> None:
    plan, client = staged(), api("finance_ops")
    path = f"{PLANS}/{plan['id']}/execute"
    is_problem(client.post(path, headers=keyed("k")), 409, "wrong_state")
    assert not IdempotencyKey.objects.exists()
    for name in ("finance_ops", "pay_admin"):
        api(name).post(f"{PLANS}/{plan['id']}/approve")
    assert client.post(path, headers=keyed("k")).status_code == 202


def test_a_refusal_with_an_effect_is_stored(
    api: Callable[..., APIClient], approved: Callable[..., dict[str, Any]]
) -> None:
    plan, client = approved(), api("finance_ops")
    path = f"{PLANS}/{plan['id']}/execute"
    with connection.cursor() as cursor:
        cursor.execute("update treasury_payouts set status = 'payable', plan_id = null where external_id = 'PAY-00000'")
    first = client.post(path, headers=keyed("k"))
    is_problem(first, 409, "plan_drifted")
    assert Plan.objects.get().status == "staged"
    entries = Entry.objects.count()
    again = client.post(path, headers=keyed("k"))
    assert (again.status_code, again["Content-Type"]) == (409, "application/problem+json")
    assert (again.json(), again["Idempotency-Replayed"]) == (first.json(), "true")
    assert Entry.objects.count() == entries
