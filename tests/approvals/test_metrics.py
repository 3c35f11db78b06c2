"""What Prometheus is told."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from prometheus_client import CollectorRegistry, generate_latest

from opsconsole.approvals import defaults
from opsconsole.approvals.models import Request, Wait
from opsconsole.core.actors import Actor
from opsconsole.core.metrics import FactCollector
from tests.approvals.conftest import PAYOUT, SYSTEM_TEST, People, approve, ask, make_subject, reject, revoke

pytestmark = pytest.mark.django_db


def scraped() -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(FactCollector())
    lines = [line for line in generate_latest(registry).decode().splitlines() if line.startswith("ops_approval")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_every_action_is_there_from_the_start() -> None:
    told = scraped()
    for action in defaults.POLICIES:
        assert told[f'ops_approvals_pending{{action="{action}"}}'] == 0
        assert told[f'ops_approval_wait_seconds_count{{action="{action}"}}'] == 0
        assert told[f'ops_approval_wait_seconds_sum{{action="{action}"}}'] == 0
    assert told["ops_approvals_oldest_pending_seconds"] == 0


def test_pending_ones_are_counted_and_timed(request_: Request, requester: Actor) -> None:
    ask(actor=requester, subject_id=make_subject(actor=SYSTEM_TEST))
    told = scraped()
    assert told[f'ops_approvals_pending{{action="{PAYOUT}"}}'] == 2
    assert told["ops_approvals_oldest_pending_seconds"] >= 0


def test_a_wait_is_measured_once(request_: Request, requester: Actor, person: People) -> None:
    finance, admin = person("finance_ops"), person("pay_admin")
    approve(request_, finance)
    assert not Wait.objects.exists()
    decided = approve(request_, admin)
    revoke(request_, finance)
    approve(request_, finance)
    other = reject(ask(actor=requester, subject_id=make_subject(actor=SYSTEM_TEST)), admin)

    told = scraped()
    waited = sum((row.decided_at - row.created_at).total_seconds() for row in (decided, other))
    assert told[f'ops_approval_wait_seconds_count{{action="{PAYOUT}"}}'] == 2
    assert told[f'ops_approval_wait_seconds_sum{{action="{PAYOUT}"}}'] == pytest.approx(waited, abs=0.001)
    assert told[f'ops_approvals_pending{{action="{PAYOUT}"}}'] == 0


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from approvals_requests where action = 'x' and status = 'pending'",
        "select min(created_at) from approvals_requests where status = 'pending'",
    ],
)
def test_a_scrape_reads_the_index_and_not_the_table(query: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("set local enable_seqscan = off")
        cursor.execute(f"explain {query}")
        plan: Any = "\n".join(row[0] for row in cursor.fetchall())
    assert "Index" in plan
    assert "Seq Scan" not in plan
