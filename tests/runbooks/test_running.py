"""A question is answered as it is shown, reads only, ends in time, and takes what is typed for what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.utils.translation import override

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.models import User
from opsconsole.runbooks import running
from opsconsole.runbooks.diagnostics import Column, Diagnostic
from opsconsole.runbooks.errors import DiagnosticRefused, DiagnosticTooSlow, ParametersInvalid
from opsconsole.runbooks.parameters import Parameter, ParameterKind
from opsconsole.runbooks.running import Standing
from tests.runbooks.conftest import COUNT, ECHO, MAY, SERIES, SLEEP, USER_COUNT, USERS, WORD, users

pytestmark = pytest.mark.django_db

NASTY = (
    "'; drop table core_user; --", "' or '1'='1", "\\'; select 1; --", "%(word)s %s %%", "$$; commit; $$", "E'\\x27'",
    "😀\u202e", '"x"', "{word}", "x" * 200, "'||pg_sleep(9)||'",
)  # fmt: skip


@pytest.fixture
def auditor(person: Callable[..., Actor]) -> Actor:
    return person("auditor")


def test_rows_with_the_time_they_took_and_the_statement(auditor: Actor) -> None:
    found = running.run(SERIES, {"count": 3}, actor=auditor)
    assert (found.columns, found.rows, found.more) == (("n",), [(1,), (2,), (3,)], False)
    assert found.sql == "select generate_series(1, 3) as n"
    assert 0 <= found.milliseconds < 5_000


@pytest.mark.parametrize("word", NASTY)
def test_what_is_typed_is_a_value_and_nothing_else(auditor: Actor, word: str) -> None:
    before = users()
    values = running.values_of(ECHO.parameters, {"word": word})
    assert running.run(ECHO, values, actor=auditor).rows == [(word,)]
    assert running.run(USERS, values, actor=auditor).rows == []
    assert users() == before


@pytest.mark.django_db(transaction=True)
def test_the_statement_shown_gives_the_same_when_it_is_pasted(
    person: Callable[..., Actor], connect_as: Callable[[str], psycopg.Connection[Any]]
) -> None:
    actor = person("auditor")
    for word in ("audit", None, "it's 100 %"):
        found = running.run(USERS, {"word": word}, actor=actor)
        assert connect_as("operator").execute(found.sql).fetchall() == found.rows


def test_no_more_than_two_hundred_rows_are_fetched(auditor: Actor) -> None:
    found = running.run(SERIES, {"count": 10**12}, actor=auditor)  # all of them would take days
    assert (len(found.rows), found.more) == (200, True)
    assert not running.run(SERIES, {"count": 200}, actor=auditor).more


def test_nothing_can_be_written(auditor: Actor) -> None:
    def rename(_values: Any) -> list[tuple[str]]:
        User.objects.update(first_name="Mallory")
        return [("done",)]

    columns = [Column("done", "done")]
    by_hand = Diagnostic(name="rename", label="Rename", permission=MAY, columns=columns, rows=rename)
    by_statement = replace(by_hand, rows=None, sql="select nextval('auth_group_id_seq')::text as done")
    for writer in (by_hand, by_statement):
        with pytest.raises(DiagnosticRefused, match="read-only"):
            running.run(writer, {}, actor=auditor)
    assert not User.objects.filter(first_name="Mallory").exists()
    User.objects.filter(pk=auditor.id).update(first_name="Ada")  # what comes after may write again
    assert User.objects.get(pk=auditor.id).first_name == "Ada"


def test_a_question_that_takes_too_long_is_stopped(auditor: Actor) -> None:
    with pytest.raises(DiagnosticTooSlow) as stopped:
        running.run(SLEEP, {}, actor=auditor, patience=timedelta(milliseconds=150))
    assert "“Sleep” had no answer after 0.15 seconds" in stopped.value.message
    with connection.cursor() as cursor:
        cursor.execute("show statement_timeout")
        assert cursor.fetchone()[0] == "0"  # the limit went with the question


def test_whoever_may_not_asks_nothing(person: Callable[..., Actor]) -> None:
    asked: list[Any] = []
    question = Diagnostic(name="q", label="Q", permission=MAY, columns=[Column("a", "a")], rows=asked.append)
    with pytest.raises(Denied, match="lacks the permission"):
        running.run(question, {}, actor=person("trader"))
    with pytest.raises(Denied):
        running.judge(USER_COUNT, {"count": 1}, actor=person("trader"))
    assert asked == []


def test_what_the_database_refuses_is_told(auditor: Actor) -> None:
    lost = replace(ECHO, sql="select %(word)s || word as word from no_such_table")
    with pytest.raises(DiagnosticRefused, match="no_such_table"):
        running.run(lost, {"word": "x"}, actor=auditor)
    big = replace(SERIES, sql="select (%(count)s * 10::bigint ^ 18)::bigint as n")
    with pytest.raises(ParametersInvalid, match="out of range"):
        running.run(big, {"count": 10**12}, actor=auditor)


def test_an_answer_with_other_columns_is_a_fault(auditor: Actor) -> None:
    with pytest.raises(ValueError, match="declares the columns"):
        running.run(replace(ECHO, sql="select %(word)s as other"), {"word": "x"}, actor=auditor)


def test_checks(auditor: Actor) -> None:
    assert running.judge(USER_COUNT, {"count": 1}, actor=auditor).standing is Standing.GOOD
    short = running.judge(USER_COUNT, {"count": 10**6}, actor=auditor)
    assert (short.standing, short.figures) == (Standing.BAD, {"found": users()})
    nothing = replace(USER_COUNT, sql="select true as in_order, 1 as found where %(count)s < 0")
    assert running.judge(nothing, {"count": 1}, actor=auditor).figures == {}
    unknown = replace(USER_COUNT, sql="select null::bool as in_order, %(count)s as found")
    assert running.judge(unknown, {"count": 1}, actor=auditor).standing is Standing.OPEN


ALL = [
    Parameter("id", "id", ParameterKind.UUID),
    WORD,
    COUNT,
    Parameter("day", "day", ParameterKind.DATE),
    Parameter("at", "at", ParameterKind.MOMENT),
]


def test_what_is_typed_becomes_values() -> None:
    typed = {"id": str(UUID(int=7)), "word": " a ", "day": "2026-11-21", "at": "2026-11-21T10:30:05"}
    assert running.values_of(ALL, typed) == {
        "id": UUID(int=7), "word": "a", "count": 3, "day": date(2026, 11, 21),
        "at": datetime(2026, 11, 21, 10, 30, 5, tzinfo=UTC),
    }  # fmt: skip
    assert running.values_of(ALL, typed, {"count": "9"})["count"] == 9
    assert running.values_of([replace(WORD, required=False)], {}) == {"word": None}


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("id", "7"), ("word", ""), ("word", "a\x00b"), ("word", "x" * 201), ("count", "-1"), ("count", "1e3"),
        ("count", str(10**13)), ("day", "2026-02-30"), ("at", "yesterday"), ("at", "2026-11-21T99:00"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_value_is_named(name: str, typed: str) -> None:
    good = {"id": str(UUID(int=7)), "word": "a", "day": "2026-11-21", "at": "2026-11-21 10:30"}
    with pytest.raises(ParametersInvalid) as refused:
        running.values_of(ALL, good | {name: typed})
    assert list(refused.value.fields["errors"]) == [name]


def test_refusals_are_told_in_the_language_of_the_reader(auditor: Actor) -> None:
    with pytest.raises(DiagnosticTooSlow) as stopped:
        running.run(SLEEP, {}, actor=auditor, patience=timedelta(milliseconds=20))
    with override("fr"):
        told = str(stopped.value.told)
    assert stopped.value.message.startswith("“Sleep”")
    assert "Sleep" in told
