"""What Prometheus is told of treasury, and that telling it costs next to nothing however many payouts there are."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from opsconsole.core.actors import Actor
from opsconsole.core.database import as_owner
from opsconsole.core.metrics import FactCollector, registered
from opsconsole.core.operations import operation
from opsconsole.treasury import jobs
from tests.world import TESTER, World

pytestmark = pytest.mark.django_db(transaction=True)

OURS = {
    "ops_payouts",
    "ops_payouts_amount",
    "ops_instructions",
    "ops_settlement_oldest_seconds",
    "ops_banks",
    "ops_account_balance",
    "ops_ledger_imbalance",
}


def scraped() -> dict[str, dict[tuple[str, ...], float]]:
    """Each metric with its samples by the values of their labels, in the order of the labels' names."""
    registry = CollectorRegistry()
    registry.register(FactCollector())
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        family.name: {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in family.samples
        }
        for family in families
    }


def test_tells_every_state_zero_included(world: World) -> None:
    said = scraped()
    assert said["ops_metric_errors"] == {(): 0}
    assert said["ops_payouts"] == {
        ("payable",): 3,
        **{(state,): 0 for state in ("held", "reserved", "sending", "sent", "settled", "failed", "returned")},
    }
    assert said["ops_payouts_amount"] == {("EUR", "payable"): 300.03}
    assert said["ops_instructions"] == {("planned",): 0, ("sending",): 0, ("sent",): 0}
    assert said["ops_settlement_oldest_seconds"] == {("sandbox",): 0, ("filebank",): 0}
    assert said["ops_banks"] == {("active",): 2, ("paused",): 0}
    assert said["ops_ledger_imbalance"] == {("EUR",): 0}
    assert said["ops_account_balance"]["Sandbox Bank settlement", "sandbox", "EUR", "settlement"] == 1000


def test_all_of_ours_are_there_before_there_is_any_data() -> None:
    assert {fact.name for fact in registered()} >= OURS
    assert scraped()["ops_payouts"][("failed",)] == 0


@operation
def add_many(*, actor: Actor) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into treasury_payouts (external_id, beneficiary_name, iban, bic, amount, currency, due_date)
            select 'BULK-' || n, 'Bulk', 'DE25370400449046584330', 'COBADEFFXXX', 1, 'EUR', '2025-01-01'
            from generate_series(1, 50000) n
            """
        )


def test_costs_no_scan_of_the_payouts(world: World) -> None:
    """Whatever a scrape asks, its plan does not read the payouts one by one: they are tallied."""
    add_many(actor=TESTER)
    jobs.add_up_tallies()
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from treasury_tallies")
        assert cursor.fetchone()[0] == 1
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("analyze")
    with CaptureQueriesContext(connection) as asked:
        assert scraped()["ops_payouts"][("payable",)] == 50_003
    said = [query["sql"].strip() for query in asked.captured_queries]
    queries = [query for query in said if query.lower().startswith(("select", "with"))]
    assert any("treasury_tallies" in query for query in queries)
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute("explain " + query.replace("%", "%%"), [])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert not re.search(r"Seq Scan on treasury_payouts\b", plan), f"{query}\n{plan}"
