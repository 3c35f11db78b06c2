"""What the database holds against raw SQL: of the application, its owner, an operator, and nobody's session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import IntegrityError, connection
from psycopg import errors as pg

from opsconsole.approvals.errors import QuorumIncomplete
from opsconsole.approvals.models import Decision, Request
from opsconsole.approvals.states import RequestState
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from tests.approvals.conftest import SYSTEM_TEST, People, approve, ask, change, make_subject, pen_of, revoke, use

pytestmark = pytest.mark.django_db(transaction=True)
Connect = Callable[[str], psycopg.Connection[Any]]


@pytest.fixture
def request_(person: People) -> Request:
    request = ask(actor=person("asker", "finance_ops"), subject_id=make_subject(actor=SYSTEM_TEST))
    approve(request, person("finance_ops"))
    return request


@operation
def run(*, sql: str, actor: Actor) -> None:
    """Any statement, as a service of the application would send it."""
    with connection.cursor() as cursor:
        cursor.execute(sql)


def test_states_move_by_their_table(request_: Request) -> None:
    with pytest.raises(IntegrityError, match="cannot become consumed"):
        run(sql="update approvals_requests set status = 'consumed'", actor=SYSTEM_TEST)
    run(sql="update approvals_requests set status = 'void'", actor=SYSTEM_TEST)
    for state in RequestState:
        if state is not RequestState.VOID:
            with pytest.raises(IntegrityError, match="cannot become"):
                run(sql=f"update approvals_requests set status = '{state.value}'", actor=SYSTEM_TEST)


@pytest.mark.parametrize("role", ["owner", "superuser"])
def test_states_move_by_their_table_for_everybody(
    request_: Request, connect_as: Connect, superuser: psycopg.Connection[Any], role: str
) -> None:
    raw = superuser if role == "superuser" else connect_as(settings.DB_OWNER_ROLE)
    with pytest.raises(pg.CheckViolation, match="cannot become consumed"):
        raw.execute("update approvals_requests set status = 'consumed'")
    with pytest.raises(pg.CheckViolation, match="cannot start as approved"):
        raw.execute(
            "insert into approvals_requests (action, subject_kind, subject_id, title, digest, content, policy,"
            " requested_by_id, editors, status, expires_at) select action, 'other', subject_id, title, digest, content,"
            " policy, requested_by_id, editors, 'approved', expires_at from approvals_requests"
        )


FORBIDDEN = {
    "approvals_decisions": [
        "update approvals_decisions set kind = 'approve'",
        "delete from approvals_decisions",
        "truncate approvals_decisions cascade",
        "insert into approvals_decisions (request_id, user_id, kind, digest, reason, signature, nth)"
        " select request_id, user_id, kind, digest, '', '', 2 from approvals_decisions",
    ],
    "approvals_requests": [
        "update approvals_requests set digest = repeat('0', 64)",
        "update approvals_requests set content = '{}'",
        """update approvals_requests set policy = jsonb_set(policy, '{slots,0,count}', '0')""",
        "update approvals_requests set editors = '[]'",
        "update approvals_requests set expires_at = expires_at + interval '1 day'",
        "delete from approvals_requests",
        "truncate approvals_requests cascade",
    ],
    "approvals_policies": [
        """update approvals_policies set slots = '[{"roles": ["ops"], "count": 1}]'""",
        "update approvals_policies set signature_required = true",
        "delete from approvals_policies",
        "truncate approvals_policies",
    ],
    "approvals_signer_keys": [
        "update approvals_signer_keys set public_key = 'x'",
        "update approvals_signer_keys set revoked_at = null where revoked_at is not null",
        "delete from approvals_signer_keys",
        "truncate approvals_signer_keys cascade",
    ],
}


@pytest.mark.parametrize("role", ["application", "operator", "owner", "superuser"])
def test_what_was_asked_and_said_stays(
    person: People, connect_as: Connect, superuser: psycopg.Connection[Any], role: str
) -> None:
    asker, editor = person("asker", "finance_ops"), person("editor", "ops")
    request = ask(actor=asker, subject_id=make_subject(actor=SYSTEM_TEST), editors=[editor.user.pk])
    approve(request, person("finance_ops"))
    revoke(request, person("finance_ops"))
    change(pen_of(person("finance_ops")).registered, revoked_at=request.created_at)
    names = {
        "application": settings.DB_APP_ROLE,
        "operator": settings.DB_OPERATOR_ROLE,
        "owner": settings.DB_OWNER_ROLE,
    }
    raw = superuser if role == "superuser" else connect_as(names[role])
    raw.execute("select set_config('ops.context', 'pretended', false)")
    tables = {name: superuser.execute(f"select jsonb_agg(to_jsonb(t)) from {name} t").fetchone() for name in FORBIDDEN}
    for table, statements in FORBIDDEN.items():
        for statement in statements:
            if role == "application" and statement.startswith("insert"):
                continue  # with a context of its own the application is the service
            with pytest.raises((pg.CheckViolation, pg.InsufficientPrivilege)):
                raw.execute(statement)
        after = superuser.execute(f"select jsonb_agg(to_jsonb(t)) from {table} t").fetchone()
        assert after == tables[table], table


def test_an_operator_reads_and_changes_nothing(request_: Request, connect_as: Connect) -> None:
    operator = connect_as(settings.DB_OPERATOR_ROLE)
    assert operator.execute("select count(*) from approvals_requests").fetchone() == (1,)
    for statement in (
        "update approvals_requests set status = 'approved'",
        "update approvals_policies set active = false",
        "insert into approvals_policies (action, version, active, slots, executors, thresholds, signature_required,"
        " ttl, requester_may_approve) values ('x', 1, true, '[]', '[]', '[]', false, '1 hour', false)",
        "update approvals_signer_keys set revoked_at = now()",
    ):
        with pytest.raises(pg.InsufficientPrivilege):
            operator.execute(statement)
    assert not Entry.objects.filter(verb="direct_sql").exists()


def test_the_application_without_an_operation_decides_nothing(request_: Request, connect_as: Connect) -> None:
    raw = connect_as(settings.DB_APP_ROLE)
    with pytest.raises(pg.CheckViolation, match="made in the console"):
        raw.execute(
            "insert into approvals_decisions (request_id, user_id, kind, digest, reason, signature, nth)"
            " select request_id, user_id, kind, digest, '', '', 2 from approvals_decisions"
        )
    assert Decision.objects.count() == 1


def test_what_an_administrator_may_still_do_is_on_record(request_: Request, superuser: psycopg.Connection[Any]) -> None:
    superuser.execute("update approvals_requests set status = 'void'")
    entry = Entry.objects.get(verb="direct_sql").content
    assert entry["subject"] == {"kind": "approvals_requests", "id": str(request_.pk)}
    assert (entry["before"], entry["after"]) == ({"status": "pending"}, {"status": "void"})


def test_a_status_pasted_into_the_row_is_not_an_approval(
    request_: Request, superuser: psycopg.Connection[Any], person: People
) -> None:
    superuser.execute("update approvals_requests set status = 'approved'")
    with pytest.raises(QuorumIncomplete, match="1 pay_admin"):
        use(request=request_, actor=person("pay_admin"))


def test_the_guard_holds_the_transitions_of_the_code(superuser: psycopg.Connection[Any]) -> None:
    arguments = superuser.execute(
        "select tgargs from pg_trigger where tgname = 'approvals_requests_transition'"
    ).fetchone()[0]
    born, pairs, _ = arguments.decode().split("\x00")
    assert born.split() == sorted(RequestState.starts())
    assert pairs.split() == RequestState.pairs()


def test_one_live_request_for_a_subject_and_action(request_: Request) -> None:
    with pytest.raises(IntegrityError, match="request_one_live"):
        run(
            sql="insert into approvals_requests (action, subject_kind, subject_id, title, digest, content, policy,"
            " requested_by_id, editors, status, expires_at) select action, subject_kind, subject_id, title, digest,"
            " content, policy, requested_by_id, editors, 'pending', expires_at from approvals_requests",
            actor=SYSTEM_TEST,
        )


def test_no_plan_is_approved_by_its_requester() -> None:
    with pytest.raises(IntegrityError, match="policy_plans_need_others"):
        run(
            sql="insert into approvals_policies (action, version, active, slots, executors, thresholds,"
            " signature_required, ttl, requester_may_approve) values ('plan.x', 1, true,"
            """ '[{"roles": ["ops"], "count": 1}]', '[]', '[]', false, '1 hour', true)""",
            actor=SYSTEM_TEST,
        )
