"""A change that no operation made is journalled with role, old and new values; a service write is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from opsconsole.core.actors import Actor
from opsconsole.core.database import as_owner
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from opsconsole.journal.selectors import entries_of
from opsconsole.journal.sql import CaptureDirectSql
from opsconsole.journal.verify import verify
from opsconsole.plans.models import Plan, Run
from tests.journal.conftest import WRITER, seal_all

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = """
    create table probe_accounts (
      id uuid primary key default uuid7(), name text, balance numeric(12, 2) default 0, token_hash bytea,
      payload jsonb not null default '{}', changed_at timestamptz);
    create table probe_limits (bank text, currency text, most integer, primary key (bank, currency));
"""


@pytest.fixture(autouse=True)
def probe(empty_journal: None, settings: Any) -> Iterator[None]:
    """Two captured tables that the application and the operator may change."""
    rights = "select, insert, update, delete, truncate"
    captures = [
        CaptureDirectSql("probe_accounts", hidden=("token_hash",)),
        CaptureDirectSql("probe_limits", key=("bank", "currency")),
    ]
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(TABLE)
        for capture in captures:
            cursor.execute(capture.sql)
        for role in (settings.DB_APP_ROLE, settings.DB_OPERATOR_ROLE):
            cursor.execute(f"grant {rights} on probe_accounts, probe_limits to {role}")
    yield
    with as_owner(), connection.cursor() as cursor:
        for capture in captures:
            cursor.execute(capture.reverse_sql)
        cursor.execute("drop table probe_accounts, probe_limits")


@pytest.fixture
def psql(connect_as: Any, settings: Any) -> psycopg.Connection[Any]:
    """A person with psql."""
    return connect_as(settings.DB_OPERATOR_ROLE)


def captured() -> list[Entry]:
    return list(Entry.objects.filter(verb="direct_sql").order_by("seq"))


@operation
def by_service(*, statement: str, actor: Actor) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


ADD = "insert into probe_accounts (name, balance) values ('a', 10), ('b', 20)"


def test_an_update_by_the_operator(psql: Any, settings: Any) -> None:
    by_service(statement=ADD, actor=WRITER)
    row_id = psql.execute("update probe_accounts set balance = 5.50 where name = 'a' returning id").fetchone()[0]
    (entry,) = captured()
    operator = settings.DB_OPERATOR_ROLE
    assert (entry.actor_kind, entry.actor_id, entry.actor_name) == ("database", operator, operator)
    assert (entry.subject_kind, entry.subject_id) == ("probe_accounts", str(row_id))
    assert entry.content["before"] == {"balance": 10.00}
    assert entry.content["after"] == {"balance": 5.50}
    assert '"after": {"balance": 5.50}' in entry.body, "the number is as the column shows it"
    assert seal_all() == 1
    assert verify().sound


def test_insert_and_delete_keep_the_whole_row(psql: Any) -> None:
    row_id = psql.execute("insert into probe_accounts (name) values ('new') returning id").fetchone()[0]
    psql.execute("delete from probe_accounts")
    added, removed = captured()
    whole = {
        "id": str(row_id),
        "name": "new",
        "balance": 0.0,
        "token_hash": "(hidden)",
        "payload": {},
        "changed_at": None,
    }
    assert (added.content["before"], added.content["after"]) == (None, whole)
    assert (removed.content["before"], removed.content["after"]) == (whole, None)
    assert added.subject_id == removed.subject_id == str(row_id)


def test_every_row_of_a_statement_has_its_entry(psql: Any) -> None:
    by_service(statement=ADD, actor=WRITER)
    assert psql.execute("update probe_accounts set balance = balance + 1").rowcount == 2
    assert [entry.content["after"] for entry in captured()] == [{"balance": 11.0}, {"balance": 21.0}]


def test_what_changes_nothing_leaves_nothing(psql: Any) -> None:
    by_service(statement=ADD, actor=WRITER)
    assert psql.execute("update probe_accounts set balance = balance").rowcount == 2
    assert captured() == []


def test_what_is_rolled_back_leaves_nothing(psql: Any) -> None:
    by_service(statement=ADD, actor=WRITER)
    with psql.transaction(force_rollback=True):
        assert psql.execute("update probe_accounts set balance = 1").rowcount == 2
    assert captured() == []


def test_a_hidden_column_is_not_told(psql: Any) -> None:
    by_service(statement=ADD, actor=WRITER)
    psql.execute("update probe_accounts set token_hash = '\\x736563726574' where name = 'a'")
    psql.execute("update probe_accounts set token_hash = '\\x68757368', name = 'c' where name = 'a'")
    first, second = captured()
    assert first.content["before"] == first.content["after"] == {"token_hash": "(hidden)"}
    assert second.content["before"] == {"token_hash": "(hidden)", "name": "a"}
    assert second.content["after"] == {"token_hash": "(hidden)", "name": "c"}
    assert not any("736563726574" in entry.body or "68757368" in entry.body for entry in captured())


def test_keys_of_several_columns_and_changed_keys(psql: Any) -> None:
    psql.execute("insert into probe_limits values ('b1', 'EUR', 5)")
    psql.execute("update probe_limits set bank = 'b2'")
    psql.execute("insert into probe_limits values ('b2', 'EUR', 7) on conflict (bank, currency) do update set most = 7")
    added, renamed, raised = captured()
    assert (added.subject_id, renamed.subject_id, raised.subject_id) == ("b1,EUR", "b1,EUR", "b2,EUR")
    assert renamed.content["after"] == {"bank": "b2"}
    assert (raised.content["before"], raised.content["after"]) == ({"most": 5}, {"most": 7})


def test_merge_and_copy_are_caught(psql: Any) -> None:
    with psql.cursor().copy("copy probe_limits from stdin") as copy:
        copy.write("b1\tEUR\t5\nb1\tUSD\t6\n")
    psql.execute(
        "merge into probe_limits l using (values ('EUR', 9)) n (currency, most) on l.currency = n.currency"
        " when matched then update set most = n.most"
    )
    assert [entry.subject_id for entry in captured()] == ["b1,EUR", "b1,USD", "b1,EUR"]
    assert captured()[2].content["after"] == {"most": 9}


def test_a_service_write_is_not_captured() -> None:
    by_service(statement=ADD, actor=WRITER)
    by_service(statement="update probe_accounts set balance = 1", actor=WRITER)
    by_service(statement="delete from probe_accounts where name = 'a'", actor=WRITER)
    assert captured() == []
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from probe_accounts")
        assert cursor.fetchone() == (1,)


def test_the_applications_role_outside_an_operation_is_captured(settings: Any) -> None:
    by_service(statement=ADD, actor=WRITER)
    with connection.cursor() as cursor:
        cursor.execute("update probe_accounts set balance = 1 where name = 'a'")
    (entry,) = captured()
    assert entry.actor_id == settings.DB_APP_ROLE


def test_a_person_cannot_pass_for_a_service(psql: Any, settings: Any) -> None:
    by_service(statement=ADD, actor=WRITER)
    psql.execute("set ops.context = 'opsconsole.plans.services.execute_plan'")
    psql.execute("set ops.actor = 'somebody'")
    psql.execute("set ops.request_id = 'r-1'")
    psql.execute("update probe_accounts set balance = 1 where name = 'a'")
    (entry,) = captured()
    assert entry.actor_id == settings.DB_OPERATOR_ROLE
    assert entry.content["request_id"] == "r-1"


def test_a_person_cannot_shadow_what_the_capture_uses(psql: Any) -> None:
    """Functions and tables of one's own in a temporary schema do not get between the trigger and the journal."""
    by_service(statement=ADD, actor=WRITER)
    psql.execute("create temp table journal_entries (body text)")
    psql.execute("create function pg_temp.to_jsonb(anyelement) returns jsonb language sql as 'select null::jsonb'")
    psql.execute("create function pg_temp.ops_is_service() returns boolean language sql as 'select true'")
    psql.execute("set search_path = pg_temp, public, pg_catalog")
    psql.execute("update public.probe_accounts set balance = 1 where name = 'a'")
    (entry,) = captured()
    assert entry.content["after"] == {"balance": 1.0}


def test_the_owner_is_captured_too(connect_as: Any, settings: Any) -> None:
    by_service(statement=ADD, actor=WRITER)
    connect_as(settings.DB_OWNER_ROLE).execute("update probe_accounts set balance = 1 where name = 'a'")
    assert [entry.actor_id for entry in captured()] == [settings.DB_OWNER_ROLE]


@pytest.mark.parametrize("role", ["DB_APP_ROLE", "DB_OPERATOR_ROLE", "DB_OWNER_ROLE"])
def test_truncate_is_refused(role: str, connect_as: Any, settings: Any) -> None:
    by_service(statement=ADD, actor=WRITER)
    psql = connect_as(getattr(settings, role))
    with pytest.raises(psycopg.errors.CheckViolation, match="use DELETE") as refused:
        psql.execute("truncate probe_accounts")
    assert refused.value.diag.constraint_name == "probe_accounts_direct_truncate"
    assert psql.execute("select count(*) from probe_accounts").fetchone() == (2,)


def test_the_restore_of_a_backup_is_left_alone(superuser: Any) -> None:
    superuser.execute("set session_replication_role = replica")
    superuser.execute(ADD)
    superuser.execute("truncate probe_accounts")
    assert captured() == []


RUNBOOK = """
UPDATE ops_plan_runs
SET status = 'failed', result = '{"error": "timeout"}'
WHERE id = 'RUN_ID' AND status = 'running';
"""


@operation
def start_a_run(*, actor: Actor) -> Run:
    """A plan with a run that hangs, as the service would write them."""
    now = timezone.now()
    plan = Plan.objects.create(
        external_id="stuck",
        name="Stuck",
        plan_type="payout_batch",
        payload={},
        required_approvals=2,
        body_digest="0",
        created_by=actor.user,
    )
    run = Run.objects.create(plan=plan, requested_by=actor.name, revision=1, deadline_at=now)
    Run.objects.filter(pk=run.pk).update(status="running", started_at=now)
    return run


def test_the_runbooks_update_of_a_stuck_run(psql: Any, person: Any, settings: Any) -> None:
    run = start_a_run(actor=person("ops"))
    assert captured() == []
    assert psql.execute(RUNBOOK.replace("RUN_ID", str(run.pk))).rowcount == 1
    (entry,) = captured()
    assert (entry.subject_kind, entry.subject_id) == ("ops_plan_runs", str(run.pk))
    assert (entry.actor_kind, entry.actor_name) == ("database", settings.DB_OPERATOR_ROLE)
    assert entry.content["before"] == {"status": "running", "result": None}
    assert entry.content["after"] == {"status": "failed", "result": {"error": "timeout"}}
    assert list(entries_of(run)) == [entry]
