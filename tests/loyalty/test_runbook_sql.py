"""The SQL of the runbooks, as an operator pastes it: it runs, does what it says, and is journalled where it changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from loyalty.models import Balance, Program
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def psql(connect_as: Callable[[str], psycopg.Connection[Any]]) -> Callable[..., list[dict[str, Any]]]:
    """Run a statement as the operator; its rows as dicts."""
    connected = connect_as("operator")

    def run(statement: str) -> list[dict[str, Any]]:
        cursor = connected.execute(statement)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()] if names else []

    return run


def direct(table: str) -> list[dict[str, Any]]:
    """What the journal has of direct SQL on a table."""
    found = Entry.objects.filter(verb="direct_sql", subject_kind=table).order_by("seq")
    return [json.loads(entry.body) for entry in found]


def test_an_emergency_freeze(psql: Callable[..., Any], member: Callable[..., Balance]) -> None:
    alice = member("alice", 500)
    psql(f"""
        UPDATE loyalty_balances
        SET is_frozen = TRUE,
            fraud_flags = fraud_flags || '["emergency_freeze_2026-11-21"]'::jsonb,
            updated_at = NOW()
        WHERE user_id = 'alice' AND program_id = '{alice.program_id}';
    """)
    psql(f"""
        UPDATE loyalty_balances
        SET locked = points_balance, updated_at = NOW()
        WHERE user_id = 'alice' AND program_id = '{alice.program_id}';
    """)
    alice.refresh_from_db()
    assert (alice.is_frozen, alice.locked, alice.fraud_flags) == (True, 500, ["emergency_freeze_2026-11-21"])
    assert [entry["after"].get("locked") for entry in direct("loyalty_balances")] == [None, 500]
    logged = psql("""
        SELECT *
        FROM loyalty_audit_logs
        WHERE entity_type = 'balance'
          AND entity_id IN (
            SELECT id FROM loyalty_balances WHERE user_id = 'alice'
          )
        ORDER BY created_at DESC
        LIMIT 20;
    """)
    assert [row["action"] for row in logged] == ["direct_sql", "direct_sql"]
    pattern = psql("""
        SELECT
          DATE(created_at) as date,
          event_type,
          COUNT(*) as txn_count,
          SUM(amount) as total_points
        FROM loyalty_transactions
        WHERE balance_id IN (
          SELECT id FROM loyalty_balances WHERE user_id = 'alice'
        )
          AND created_at >= NOW() - INTERVAL '7 days'
        GROUP BY DATE(created_at), event_type
        ORDER BY date DESC;
    """)
    assert [(row["event_type"], row["txn_count"], row["total_points"]) for row in pattern] == [("earn", 1, 500)]


def test_a_dispute(psql: Callable[..., Any], member: Callable[..., Balance]) -> None:
    member("alice", 500, origin_txn_id="order-1", key="earn:order-1")
    found = psql("""
        SELECT *
        FROM loyalty_transactions
        WHERE origin_txn_id = 'order-1'
          AND balance_id IN (
            SELECT id FROM loyalty_balances WHERE user_id = 'alice'
          );
    """)
    by_key = psql("""
        SELECT *
        FROM loyalty_transactions
        WHERE idempotency_key LIKE '%order-1%';
    """)
    assert [row["amount"] for row in found] == [row["amount"] for row in by_key] == [500]
    trail = psql("""
        SELECT *
        FROM loyalty_audit_logs
        WHERE entity_type = 'transaction'
          AND created_at >= NOW() - INTERVAL '1 hour'
          AND created_at <= NOW() + INTERVAL '1 hour'
        ORDER BY created_at DESC;
    """)
    assert [(row["action"], row["user_id"]) for row in trail] == [("earn", "alice")]


def test_a_budget_that_runs_out(psql: Callable[..., Any], program: Program, member: Callable[..., Balance]) -> None:
    member("alice", 950_000)
    [row] = psql("""
        SELECT
          id, name,
          budget_limit,
          budget_spent,
          ROUND((budget_spent / budget_limit * 100)::numeric, 2) as pct_used,
          budget_limit - budget_spent as remaining
        FROM loyalty_programs
        WHERE budget_spent / budget_limit >= 0.90;
    """)
    assert (row["pct_used"], row["remaining"]) == (95, 50_000)
    rate = psql(f"""
        SELECT
          DATE(created_at) as date,
          COUNT(*) as txn_count,
          SUM(amount) as points_awarded
        FROM loyalty_transactions lt
        JOIN loyalty_balances lb ON lt.balance_id = lb.id
        WHERE lb.program_id = '{program.pk}'
          AND lt.event_type = 'earn'
          AND lt.created_at >= NOW() - INTERVAL '7 days'
        GROUP BY DATE(created_at)
        ORDER BY date DESC;
    """)
    assert [row["points_awarded"] for row in rate] == [950_000]
    psql(f"""
        UPDATE loyalty_programs
        SET earn_rate = earn_rate * 0.5, -- 50% reduction
            updated_at = NOW()
        WHERE id = '{program.pk}';
    """)
    program.refresh_from_db()
    assert program.earn_rate == 0.5
    assert direct("loyalty_programs")[-1]["after"]["earn_rate"] == 0.5


def test_the_budget_trigger(psql: Callable[..., Any], program: Program, member: Callable[..., Balance]) -> None:
    alice = member("alice", 500)
    with pytest.raises(psycopg.errors.CheckViolation, match="^Program budget exhausted"):
        psql(f"""
            -- Set budget limit
            UPDATE loyalty_programs SET budget_limit = 1000 WHERE id = '{program.pk}';

            -- Try to exceed budget (should fail)
            INSERT INTO loyalty_transactions (balance_id, event_type, amount)
            VALUES ('{alice.pk}', 'earn', 2000);
        """)
    alice.refresh_from_db()
    assert alice.points_balance == 500
    psql(f"INSERT INTO loyalty_transactions (balance_id, event_type, amount) VALUES ('{alice.pk}', 'earn', 20);")
    alice.refresh_from_db()
    assert alice.points_balance == 520
    assert direct("loyalty_transactions")[-1]["after"]["amount"] == 20


def test_a_fraud_investigation(psql: Callable[..., Any], member: Callable[..., Balance]) -> None:
    for number in range(6):
        member(f"m{number}", 20_000, ip_address="203.0.113.7")
    earners = psql("""
        SELECT
          lb.user_id,
          COUNT(*) as txn_count,
          SUM(lt.amount) as total_points,
          ARRAY_AGG(DISTINCT lt.ip_address) as ip_addresses
        FROM loyalty_transactions lt
        JOIN loyalty_balances lb ON lt.balance_id = lb.id
        WHERE lt.created_at >= NOW() - INTERVAL '24 hours'
          AND lt.event_type = 'earn'
        GROUP BY lb.user_id
        HAVING COUNT(*) > 50 OR SUM(lt.amount) > 10000
        ORDER BY total_points DESC;
    """)
    assert len(earners) == 6
    [shared] = psql("""
        SELECT
          ip_address,
          COUNT(DISTINCT user_id) as user_count,
          SUM(amount) as total_points
        FROM loyalty_audit_logs lal
        JOIN loyalty_transactions lt ON lal.entity_id = lt.id
        WHERE lal.entity_type = 'transaction'
          AND lal.created_at >= NOW() - INTERVAL '24 hours'
        GROUP BY ip_address
        HAVING COUNT(DISTINCT user_id) > 5
        ORDER BY user_count DESC;
    """)
    assert (str(shared["ip_address"]), shared["user_count"], shared["total_points"]) == ("203.0.113.7", 6, 120_000)
    psql("""
        UPDATE loyalty_balances
        SET fraud_flags = fraud_flags || '["suspicious_pattern_detected", "under_investigation"]'::jsonb,
            updated_at = NOW()
        WHERE user_id IN ('m0', 'm1');
    """)
    psql("""
        UPDATE loyalty_balances
        SET is_frozen = TRUE,
            locked = points_balance, -- Lock all points
            fraud_flags = fraud_flags || '["confirmed_fraud"]'::jsonb,
            updated_at = NOW()
        WHERE user_id IN ('m0');
    """)
    frozen = Balance.objects.get(is_frozen=True)
    assert (frozen.user_id, frozen.locked) == ("m0", 20_000)
    assert frozen.fraud_flags == ["suspicious_pattern_detected", "under_investigation", "confirmed_fraud"]
    journalled = direct("loyalty_balances")
    assert {entry["actor"]["name"] for entry in journalled} == {"operator"}
    assert [sorted(entry["after"].keys() - {"updated_at"}) for entry in journalled] == [
        ["fraud_flags"],
        ["fraud_flags"],
        ["fraud_flags", "is_frozen", "locked"],
    ]


def test_what_the_migration_page_looks_for(psql: Callable[..., Any]) -> None:
    tables = psql("""
        SELECT table_name
        FROM information_schema.tables
        WHERE table_schema = 'public'
          AND table_name LIKE 'loyalty_%'
        ORDER BY table_name;
    """)
    expected = "programs balances transactions tiers rewards redemptions campaigns rules vouchers tier_snapshots"
    expected += " audit_logs approval_requests sira_feedback"
    assert {f"loyalty_{name}" for name in expected.split()} <= {row["table_name"] for row in tables}
    triggers = psql("""
        SELECT trigger_name, event_manipulation, event_object_table
        FROM information_schema.triggers
        WHERE trigger_schema = 'public'
          AND event_object_table LIKE 'loyalty_%';
    """)
    assert {"trigger_name": "loyalty_transactions_post", "event_manipulation": "INSERT"}.items() <= next(
        row for row in triggers if row["trigger_name"] == "loyalty_transactions_post"
    ).items()
    assert psql("SELECT COUNT(*) as upgrades_today FROM loyalty_tier_snapshots WHERE created_at >= CURRENT_DATE;")


def test_what_operators_may_not_do(psql: Callable[..., Any], member: Callable[..., Balance]) -> None:
    alice = member("alice", 500)
    for statement in (
        "UPDATE loyalty_balances SET points_balance = 1000000",
        "UPDATE loyalty_programs SET budget_spent = 0",
        "UPDATE loyalty_campaigns SET total_points_awarded = 0",
        "UPDATE loyalty_transactions SET amount = 1",
        "DELETE FROM loyalty_transactions",
        "DELETE FROM loyalty_balances",
        "TRUNCATE loyalty_balances CASCADE",
        "UPDATE loyalty_balances SET locked = points_balance + 1",
        f"INSERT INTO loyalty_balances (user_id, program_id, points_balance) VALUES ('x', '{alice.program_id}', 5)",
        f"INSERT INTO loyalty_transactions (balance_id, event_type, amount) VALUES ('{alice.pk}', 'earn', -5)",
        f"INSERT INTO loyalty_transactions (balance_id, event_type, amount) VALUES ('{alice.pk}', 'redeem', -501)",
        "INSERT INTO loyalty_transactions (balance_id, event_type, amount) VALUES (uuid7(), 'earn', 5)",
    ):
        with pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.InsufficientPrivilege)):
            psql(statement)
    alice.refresh_from_db()
    assert (alice.points_balance, alice.locked) == (500, 0)
