"""The books that the database keeps: every invariant is attacked by raw SQL, singly and in bulk, and by rivals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection

from loyalty.models import Balance, Program
from tests.conftest import dsn_as
from tests.treasury.conftest import refusal

pytestmark = pytest.mark.django_db(transaction=True)

INSERT = "insert into loyalty_transactions (balance_id, event_type, amount) "


@pytest.fixture
def db(connect_as: Callable[[str], psycopg.Connection[Any]]) -> psycopg.Connection[Any]:
    """The owner's connection: the books bind it too."""
    return connect_as("ops_owner")


def points_of(user: str) -> int:
    return Balance.objects.get(user_id=user).points_balance


def test_one_statement_moves_many_balances(
    db: psycopg.Connection[Any], member: Callable[..., Balance], program: Program
) -> None:
    for number in range(3):
        member(f"m{number}", 100)
    db.execute(
        INSERT + "select id, 'earn', 10 from loyalty_balances union all select id, 'redeem', -5 from loyalty_balances"
    )
    assert [points_of(f"m{number}") for number in range(3)] == [105] * 3
    program.refresh_from_db()
    assert program.budget_spent == 330
    with (
        db.cursor() as cursor,
        cursor.copy("copy loyalty_transactions (balance_id, event_type, amount) from stdin") as copy,
    ):
        for balance in Balance.objects.all():
            copy.write_row((balance.pk, "bonus", 7))
    assert points_of("m0") == 112


def test_a_bulk_is_refused_whole(db: psycopg.Connection[Any], member: Callable[..., Balance], program: Program) -> None:
    alice, bob = member("alice", 100), member("bob", 100)
    db.execute("update loyalty_balances set is_frozen = true where user_id = 'bob'")
    values = f"values ('{alice.pk}', 'earn', 5), ('{bob.pk}', 'earn', 5)"
    assert refusal(db, INSERT + values) == "balance_is_frozen"
    assert refusal(db, INSERT + f"values ('{alice.pk}', 'earn', 5), (uuid7(), 'earn', 5)") == "transaction_of_a_balance"
    over = f"values ('{alice.pk}', 'earn', 600000), ('{alice.pk}', 'earn', 600000)"
    assert refusal(db, INSERT + over) == "program_budget_exhausted"
    short = f"values ('{alice.pk}', 'redeem', -60), ('{alice.pk}', 'redeem', -60)"
    assert refusal(db, INSERT + short) == "points_cover_locked"
    assert points_of("alice") == 100
    # What corrects a frozen member still goes through.
    db.execute(INSERT + f"values ('{bob.pk}', 'adjust', -40)")
    assert points_of("bob") == 60


def test_keys_are_a_programs_own(db: psycopg.Connection[Any], member: Callable[..., Balance], program: Program) -> None:
    alice = member("alice", 100, key="k")
    bob = member("bob", 100)
    keyed = "insert into loyalty_transactions (balance_id, event_type, amount, idempotency_key) "
    assert refusal(db, keyed + f"values ('{alice.pk}', 'earn', 5, 'k')") == "loyalty_keys_pkey"
    assert refusal(db, keyed + f"values ('{alice.pk}', 'earn', 5, 'n'), ('{bob.pk}', 'earn', 5, 'n')") == (
        "loyalty_keys_pkey"
    )
    assert points_of("alice") == 100


def test_reversals(db: psycopg.Connection[Any], member: Callable[..., Balance]) -> None:
    alice, bob = member("alice", 100), member("bob", 500)
    [(earned,)] = db.execute("select id from loyalty_transactions where balance_id = %s", [alice.pk]).fetchall()
    back = "insert into loyalty_transactions (balance_id, event_type, amount, reverses_id) "
    assert refusal(db, back + f"values ('{bob.pk}', 'reverse', -5, '{earned}')") == "reversal_of_same_member"
    assert refusal(db, back + f"values ('{alice.pk}', 'reverse', 5, '{earned}')") == "reversal_within_original"
    twice = f"values ('{alice.pk}', 'reverse', -60, '{earned}'), ('{alice.pk}', 'reverse', -41, '{earned}')"
    assert refusal(db, back + twice) in ("reversal_within_original", "points_cover_locked")
    assert refusal(db, back + f"values ('{alice.pk}', 'reverse', -5, uuid7())") == "reversal_of_a_transaction"
    assert refusal(db, INSERT + f"values ('{alice.pk}', 'reverse', -5)") == "reversal_names_what_it_reverses"
    assert points_of("alice") == 100


@pytest.mark.parametrize(
    "statement",
    [
        "update loyalty_balances set points_balance = 7",
        "update loyalty_balances set program_id = uuid7()",
        "update loyalty_balances set id = uuid7()",
        "update loyalty_programs set budget_spent = 0",
        "update loyalty_programs set budget_limit = 50",
        "update loyalty_programs set status = 'closed'",
        "update loyalty_transactions set amount = amount * 2",
        "update loyalty_transactions set ip_address = '10.0.0.1'",
        "update loyalty_transactions set ip_address = null",
        "delete from loyalty_transactions",
        "delete from loyalty_balances",
        "truncate loyalty_transactions",
        "delete from loyalty_keys",
    ],
)
def test_what_nobody_may_change(
    statement: str,
    superuser: psycopg.Connection[Any],
    connect_as: Callable[[str], psycopg.Connection[Any]],
    member: Callable[..., Balance],
) -> None:
    member("alice", 100, key="k", ip_address="203.0.113.7")
    for whoever in (superuser, connect_as("ops_owner"), connect_as("ops_app")):
        with pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.InsufficientPrivilege)):
            whoever.execute(statement)
    superuser.execute("set role ops_owner")  # as a DBA who is no owner by name becomes one
    with pytest.raises(psycopg.errors.IntegrityError):
        superuser.execute(statement)
    assert points_of("alice") == 100


def test_the_owner_moves_points_as_everybody_does(
    connect_as: Callable[[str], psycopg.Connection[Any]], member: Callable[..., Balance]
) -> None:
    alice = member("alice", 100)
    connect_as("ops_owner").execute(INSERT + f"values ('{alice.pk}', 'earn', 5)")
    assert points_of("alice") == 105


def test_rivals_in_bulk_and_singly_never_deadlock(member: Callable[..., Balance], program: Program) -> None:
    for number in range(40):
        member(f"m{number}", 10)
    until = time.monotonic() + 1.5
    failures: list[str] = []
    done = [0] * 6

    def work(place: int) -> None:
        statements = (
            INSERT + "select id, 'earn', 1 from loyalty_balances order by random()",
            INSERT + "select id, 'earn', 1 from loyalty_balances order by random() limit 1",
        )
        with psycopg.connect(dsn_as("ops_app", direct=True), autocommit=True) as line:
            while time.monotonic() < until:
                try:
                    line.execute(statements[place % 2])
                    done[place] += 1
                except psycopg.Error as error:
                    failures.append(str(error))

    rivals = [threading.Thread(target=work, args=(place,)) for place in range(6)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert failures == []
    assert min(done) > 0
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from loyalty_balances b where points_balance <>"
            " (select sum(amount) from loyalty_transactions t where t.balance_id = b.id)"
        )
        assert cursor.fetchone()[0] == 0
        cursor.execute("select sum(amount) from loyalty_transactions")
        given = cursor.fetchone()[0]
    program.refresh_from_db()
    assert program.budget_spent == given
