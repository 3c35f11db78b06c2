"""The operation: one durable transaction, with an author whom the database knows."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.database import the_row
from opsconsole.core.idempotency import Answer, KeyMalformed, RequestKey, fingerprint
from opsconsole.core.models import IdempotencyKey, WorkerHeartbeat
from opsconsole.core.operations import (
    assert_in_operation,
    current_actor,
    one_statement,
    operation,
    told_to_the_database,
)
from opsconsole.core.requests import bind_request_id

pytestmark = pytest.mark.django_db(transaction=True)
TESTER = SYSTEM("test")
TOLD = ("context", "actor", "request_id")


def told() -> tuple[str, str, str]:
    """What the database session knows about who acts."""
    with connection.cursor() as cursor:
        cursor.execute("select " + ", ".join(f"current_setting('ops.{name}', true)" for name in TOLD))
        context, actor, request_id = (value or "" for value in cursor.fetchone())
        return context, actor, request_id


@operation
def note(*, name: str, actor: Actor) -> tuple[str, str, str]:
    """Write a row, and say what the database knows."""
    WorkerHeartbeat.objects.create(name=name, kind="test")
    return told()


@operation
def note_and_fail(*, name: str, actor: Actor) -> None:
    """Write a row, then find that it was wrong."""
    WorkerHeartbeat.objects.create(name=name, kind="test")
    raise ZeroDivisionError


@operation
def note_twice(*, actor: Actor) -> None:
    """Call another service, which services do not."""
    note(name="inner", actor=actor)


@operation
def who(*, actor: Actor) -> Actor:
    """The author."""
    assert_in_operation()
    return current_actor()


@one_statement
def note_at_once(*, name: str, actor: Actor) -> tuple[str, str, str]:
    """Write a row and say what the database knows, in one statement."""
    facts = the_row(
        "with told as materialized (select set_config('ops.context', %s, true) as context,"
        " set_config('ops.actor', %s, true) as actor, set_config('ops.request_id', %s, true) as request),"
        " written as (insert into core_worker_heartbeats (name, kind, queues) values (%s, 'test', '') returning name)"
        " select context, actor, request from told, written",
        [*told_to_the_database(), name],
    )
    return facts[0], facts[1], facts[2]


@one_statement
def note_at_once_and_join(*, actor: Actor) -> None:
    """Join an operation to write, which one statement is none of."""
    assert_in_operation()


@one_statement
def note_at_once_twice(*, actor: Actor) -> None:
    """Call another service, which services do not."""
    note(name="inner", actor=actor)


def test_one_statement_is_a_transaction_of_its_own() -> None:
    bind_request_id("request-8")
    knows = ("tests.core.test_operations.note_at_once", "system:test", "request-8")
    assert note_at_once(name="a", actor=TESTER) == knows
    assert told() == ("", "", "")
    assert WorkerHeartbeat.objects.filter(name="a").exists()
    with pytest.raises(TypeError, match="takes an actor"):
        note_at_once(name="b", actor=None)  # type: ignore[arg-type]


def test_one_statement_is_as_durable_as_an_operation() -> None:
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        note_at_once(name="a", actor=TESTER)
    with pytest.raises(RuntimeError):
        note_at_once_and_join(actor=TESTER)
    with pytest.raises(RuntimeError, match="services never call services"):
        note_at_once_twice(actor=TESTER)
    assert not WorkerHeartbeat.objects.exists()


def test_the_database_knows_the_service_the_actor_and_the_request() -> None:
    bind_request_id("request-7")
    assert note(name="a", actor=TESTER) == ("tests.core.test_operations.note", "system:test", "request-7")
    assert WorkerHeartbeat.objects.filter(name="a").exists()


def test_it_forgets_them_with_the_transaction() -> None:
    note(name="a", actor=TESTER)
    assert told() == ("", "", "")
    with pytest.raises(ZeroDivisionError):
        note_and_fail(name="b", actor=TESTER)
    assert told() == ("", "", "")


def test_a_failure_leaves_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        note_and_fail(name="b", actor=TESTER)
    assert not WorkerHeartbeat.objects.exists()


def test_services_never_call_services() -> None:
    with pytest.raises(RuntimeError):
        note_twice(actor=TESTER)
    with pytest.raises(RuntimeError), transaction.atomic():
        note(name="inside somebody's transaction", actor=TESTER)
    assert not WorkerHeartbeat.objects.exists()


def test_kernel_functions_know_whether_they_are_inside_one() -> None:
    assert who(actor=TESTER) is TESTER
    for ask in (assert_in_operation, current_actor):
        with pytest.raises(RuntimeError):
            ask()
        with pytest.raises(RuntimeError), transaction.atomic():
            assert_in_operation()


def test_an_operation_takes_an_actor_and_everything_by_keyword() -> None:
    with pytest.raises(TypeError, match="takes no actor"):
        operation(lambda: None)
    with pytest.raises(TypeError, match="keyword only"):
        operation(lambda name, *, actor: (name, actor))
    with pytest.raises(TypeError):
        note("a", TESTER)
    for nobody in ({}, {"actor": None}, {"actor": "system:test"}):
        with pytest.raises(TypeError, match="takes an actor"):
            note(name="a", **nobody)


def test_an_operation_still_looks_like_its_function() -> None:
    assert (note.__name__, note.name) == ("note", "tests.core.test_operations.note")
    assert note.__doc__ == "Write a row, and say what the database knows."


# Under a key


def key(text: str = "k", body: Any = None) -> RequestKey:
    """A key of one scope."""
    return RequestKey("somebody POST somewhere", text, fingerprint(path="/somewhere", body=body))


def test_effect_and_answer_are_one() -> None:
    answer = note.once(key(), lambda _: Answer(201, {"id": uuid4()}), name="a", actor=TESTER)
    stored = IdempotencyKey.objects.get()
    assert (stored.status, stored.body) == (201, {"id": str(answer.body["id"])})
    again = note.once(key(), lambda _: Answer(500, {}), name="b", actor=TESTER)
    assert (again.status, again.body, again.replayed) == (201, stored.body, True)
    assert WorkerHeartbeat.objects.count() == 1


def test_an_answer_that_cannot_be_rendered_undoes_the_effect() -> None:
    def render(_result: object) -> Answer:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        note.once(key(), render, name="a", actor=TESTER)
    assert not WorkerHeartbeat.objects.exists()
    assert not IdempotencyKey.objects.exists()


def test_without_a_key_the_service_just_runs() -> None:
    assert note.once(None, lambda _: Answer(200, {}), name="a", actor=TESTER).status == 200
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("text", ["", "x" * 256, "a\nb", "a\x00b"])
def test_a_key_that_is_none(text: str) -> None:
    with pytest.raises(KeyMalformed):
        key(text)


def test_a_fingerprint_knows_path_and_body_but_not_the_order_of_keys() -> None:
    assert fingerprint(path="/a", body={"x": 1, "y": 2}) == fingerprint(path="/a", body={"y": 2, "x": 1})
    different = {
        fingerprint(path=path, body=body) for path in ("/a", "/b") for body in ({}, {"x": 1}, {"x": "1"}, None)
    }
    assert len(different) == 8
