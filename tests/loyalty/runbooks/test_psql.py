"""Runbooks 1, 6 and 8 with psql, and the two statements of all eight that no PostgreSQL takes as they stand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from loyalty.models import Balance, Program
from loyalty.services import tiers
from loyalty.services.tiers import TierFacts
from loyalty.states import CampaignState
from opsconsole.core.actors import Actor
from tests.loyalty.campaigns.conftest import Desk, execute, fresh
from tests.loyalty.runbooks.shell import Shell
from tests.loyalty.test_runbook_sql import direct

pytestmark = pytest.mark.django_db(transaction=True)

CONFIGURATION = """
psql -d molam_connect -c "
SELECT id, name, campaign_type, target_segment, bonus_points,
       start_date, end_date, status
FROM loyalty_campaigns
WHERE id = '<campaign_id>';
"
"""
IMPACT = """
psql -d molam_connect -c "
SELECT
  COUNT(*) as target_users,
  <bonus_points> * COUNT(*) as estimated_cost,
  lp.budget_limit - lp.budget_spent as budget_remaining
FROM loyalty_balances lb
JOIN loyalty_programs lp ON lb.program_id = lp.id
WHERE lp.id = '<program_id>'
  AND <segment_conditions>;
"
"""
SCHEDULE = """
psql -d molam_connect -c "
UPDATE loyalty_campaigns
SET status = 'scheduled', start_date = NOW()
WHERE id = '<campaign_id>';
"
"""
EXECUTION = """
psql -d molam_connect -c "
SELECT
  id, name, status, users_awarded, total_points_awarded, executed_at
FROM loyalty_campaigns
WHERE id = '<campaign_id>';
"
"""
BUDGET = """
psql -d molam_connect -c "
SELECT budget_spent, budget_limit, (budget_spent / budget_limit * 100) as pct_used
FROM loyalty_programs
WHERE id = '<program_id>';
"
"""
SAMPLE = """
psql -d molam_connect -c "
SELECT user_id, points_balance, updated_at
FROM loyalty_balances
WHERE program_id = '<program_id>'
  AND updated_at >= '<campaign_executed_at>'
LIMIT 5;
"
"""
TRAIL = """
psql -d molam_connect -c "
SELECT *
FROM loyalty_audit_logs
WHERE entity_type = 'transaction'
  AND created_at >= '<transaction_date>' - INTERVAL '1 hour'
  AND created_at <= '<transaction_date>' + INTERVAL '1 hour'
ORDER BY created_at DESC;
"
"""
UPGRADES = """
psql -d molam_connect -c "
SELECT COUNT(*) as upgrades_today
FROM loyalty_tier_snapshots
WHERE created_at >= CURRENT_DATE;
"
"""
STUCK = """
psql -d molam_connect -c "
SELECT id, name, status, start_date, created_at
FROM loyalty_campaigns
WHERE status = 'scheduled'
  AND start_date < NOW() - INTERVAL '2 hours';
"
"""
FAIL = """
psql -d molam_connect -c "
UPDATE loyalty_campaigns
SET status = 'failed',
    updated_at = NOW()
WHERE id = '<campaign_id>';
"
"""
LOAD = """
psql -d molam_connect -c "
SELECT pid, usename, application_name, state, query_start,
       NOW() - query_start as duration, query
FROM pg_stat_activity
WHERE datname = 'molam_connect'
  AND state != 'idle'
  AND NOW() - query_start > INTERVAL '1 second'
ORDER BY duration DESC;
"
"""
POOL = """
psql -d molam_connect -c "
SELECT count(*) as active_connections
FROM pg_stat_activity
WHERE datname = 'molam_connect';
"
"""
NOW = """
psql -U postgres -d molam_connect -c "SELECT NOW();"
"""


def test_a_launch_from_the_review_to_the_sample(shell: Shell, desk: Desk) -> None:
    """Runbook 1; what the worker does in between, it does by itself."""
    start = timezone.now() + timedelta(days=1)
    campaign = desk.agreed(start_date=start)
    [row] = shell.rows(CONFIGURATION, campaign_id=campaign.pk)
    assert (row["name"], row["bonus_points"], row["status"], row["end_date"]) == ("Spring", "10", "scheduled", "")
    assert row["start_date"].startswith(start.strftime("%Y-%m-%d %H:%M"))

    assert shell.changed(SCHEDULE, campaign_id=campaign.pk) == "UPDATE 1"
    [entry] = direct("loyalty_campaigns")
    assert set(entry["after"]) == {"start_date"}
    assert fresh(campaign).start_date <= timezone.now()

    campaign = execute(campaign)
    [row] = shell.rows(EXECUTION, campaign_id=campaign.pk)
    assert (row["status"], row["users_awarded"], row["total_points_awarded"]) == ("completed", "25", "250")
    sample = shell.rows(SAMPLE, program_id=campaign.program_id, campaign_executed_at=row["executed_at"])
    assert [one["points_balance"] for one in sample] == ["10"] * 5
    [row] = shell.rows(BUDGET, program_id=campaign.program_id)
    assert float(row["budget_spent"]) == 250
    assert float(row["pct_used"]) == 0.025


def test_a_draft_that_is_scheduled_by_sql_is_not_launched_unapproved(shell: Shell, desk: Desk) -> None:
    campaign = desk.draft()
    assert shell.changed(SCHEDULE, campaign_id=campaign.pk) == "UPDATE 1"
    assert fresh(campaign).status == CampaignState.SCHEDULED
    [entry] = direct("loyalty_campaigns")
    assert (entry["actor"]["name"], entry["after"]["status"]) == ("operator", "scheduled")
    campaign = execute(campaign)
    assert campaign.users_awarded == 0
    assert campaign.failure


def test_two_statements_that_no_postgresql_takes(shell: Shell, desk: Desk) -> None:
    """They run with what they lack: a GROUP BY, and a word that says what the text is."""
    filled = {"bonus_points": 10, "program_id": desk.program.pk, "segment_conditions": "lb.points_balance >= 0"}
    refused = shell.run(IMPACT, **filled)
    assert refused.returncode == 1
    assert "must appear in the GROUP BY clause" in refused.stderr
    [row] = shell.rows(IMPACT.replace(";", "\nGROUP BY lp.id;"), **filled)
    assert (row["target_users"], row["estimated_cost"]) == ("25", "250")
    assert float(row["budget_remaining"]) == 1_000_000

    now = timezone.now().isoformat()
    refused = shell.run(TRAIL, transaction_date=now)
    assert refused.returncode == 1
    assert "invalid input syntax for type interval" in refused.stderr
    assert (
        shell.rows(TRAIL.replace("'<transaction_date>'", "timestamptz '<transaction_date>'"), transaction_date=now)
        == []
    )


def test_a_worker_that_failed(
    shell: Shell, program: Program, member: Callable[..., Balance], marketing: Actor, desk: Desk
) -> None:
    """Runbook 6: upgrades of today; a campaign that nobody executed is found, and marked failed."""
    tiers.define_tier(program_id=program.pk, facts=TierFacts("Silver", 1, 100), actor=marketing)
    member("alice", 500)
    tiers.evaluate_tiers(program_id=program.pk, actor=marketing)
    assert shell.rows(UPGRADES) == [{"upgrades_today": "1"}]

    waits = desk.agreed(name="Late", start_date=timezone.now() - timedelta(hours=1))
    assert shell.rows(STUCK) == []
    stuck = desk.agreed(name="Stuck", start_date=timezone.now() - timedelta(hours=3))
    assert [row["name"] for row in shell.rows(STUCK)] == ["Stuck"]
    assert shell.changed(FAIL, campaign_id=stuck.pk) == "UPDATE 1"
    assert (fresh(stuck).status, fresh(waits).status) == ("failed", "scheduled")
    [entry] = direct("loyalty_campaigns")
    assert (entry["before"]["status"], entry["after"]["status"]) == ("scheduled", "failed")
    assert shell.rows(STUCK) == []


def test_slow_answers(shell: Shell, connect_as: Callable[[str], psycopg.Connection[Any]]) -> None:
    """Runbook 8: who looks on sees the slow query of the application, word by word."""
    slow = connect_as("ops_app")
    asked = threading.Thread(target=slow.execute, args=["select pg_sleep(2.5)"])
    asked.start()
    time.sleep(1.2)
    load = shell.rows(LOAD)
    asked.join()
    assert [row["query"] for row in load] == ["select pg_sleep(2.5)"]
    assert (load[0]["usename"], load[0]["state"]) == ("ops_app", "active")
    assert load[0]["duration"].startswith("00:00:0")
    [row] = shell.rows(POOL)
    assert int(row["active_connections"]) >= 2
    assert connection.settings_dict["NAME"] in shell.environment["TEST_DATABASE"]


def test_the_database_answers(shell: Shell) -> None:
    """Runbook 7, as its own superuser."""
    [row] = shell.rows(NOW)
    assert row["now"].startswith(f"{timezone.now():%Y-%m-%d}")
