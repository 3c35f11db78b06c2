"""/metrics: facts read when asked, every label with its zero, and one that cannot be read costs no other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.utils.log import log_response
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.test import APIClient

from opsconsole.core import metrics
from opsconsole.core.heartbeats import beat, retire
from opsconsole.core.metrics import Fact
from opsconsole.plans.states import PlanState, RunState
from opsconsole.plans.types import registered
from tests.api.conftest import drafted, treasury

__all__ = ["drafted", "treasury"]

pytestmark = pytest.mark.django_db


def scrape(visitor: Client) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample: name and label values -> value."""
    answer = visitor.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, tuple(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("ops_")
    }


def test_every_state_is_told_zero_included(client: Client) -> None:
    found = scrape(client)
    for state in PlanState:
        for kind in registered():
            assert found["ops_plans", (state.value, kind.name)] == 0
    for state in (RunState.SUCCEEDED, RunState.FAILED, RunState.PARTIAL, RunState.CANCELLED):
        assert found["ops_plan_runs_total", (state.value,)] == 0
    assert found["ops_metric_errors", ()] == 0


def test_facts_follow_the_database(client: Client, drafted: Callable[..., dict[str, Any]]) -> None:
    drafted()
    drafted(external_id="another")
    assert scrape(client)["ops_plans", ("draft", "payout_batch")] == 2


def test_a_fact_that_cannot_be_read_costs_no_other(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise DatabaseError("no such table")

    monkeypatch.setitem(metrics._facts, "ops_broken", Fact("ops_broken", "Never there.", "gauge", (), broken))
    found = scrape(client)
    assert found["ops_metric_errors", ()] == 1
    assert ("ops_broken", ()) not in found
    assert ("ops_plans", ("draft", "payout_batch")) in found


@pytest.mark.django_db(transaction=True)
def test_the_silence_of_workers_is_heard_even_when_none_ever_spoke(client: Client) -> None:
    assert scrape(client)["ops_worker_silence_seconds", ("worker",)] == math.inf
    beat("worker:test:1", kind="worker")
    assert scrape(client)["ops_worker_silence_seconds", ("worker",)] < 60
    retire("worker:test:1")
    assert scrape(client)["ops_worker_silence_seconds", ("worker",)] == math.inf
    assert scrape(client)["ops_worker_silence_seconds", ("scheduler",)] == math.inf


def test_a_token_can_be_asked_for(client: Client) -> None:
    with override_settings(METRICS_TOKEN="scrape-me"):
        refused = client.get("/metrics")
        assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Bearer")
        assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer scrape-me"}).status_code == 200


def test_probes_take_no_other_method(client: Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.post(path).status_code == 405


def test_a_console_that_is_not_ready_says_so_to_the_probe_alone(
    client: Client, caplog: pytest.LogCaptureFixture, rf: RequestFactory
) -> None:
    assert client.get("/readyz").status_code == 503
    log_response("Gone", request=rf.get("/elsewhere"), response=HttpResponse(status=503))
    assert [record.request.path for record in caplog.records if record.name == "django.request"] == ["/elsewhere"]


def test_no_metric_tells_a_secret(client: Client, api: Callable[..., APIClient], treasury: Any) -> None:
    text = client.get("/metrics").content.decode()
    assert treasury.account.iban not in text
