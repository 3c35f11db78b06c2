"""What an entry holds, and that only an operation writes one."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.fields import Secret
from opsconsole.core.operations import operation
from opsconsole.journal import selectors
from opsconsole.journal.models import Entry
from opsconsole.journal.record import Subject, record

SUBJECT = Subject("thing", "t-1")


@operation
def change(*, actor: Actor, before: Any = None, after: Any = None, reason: str = "", then: Any = None) -> UUID:
    """Record one entry, and do something after it."""
    entry_id = record(actor, "thing.changed", SUBJECT, before, after, reason)
    if then is not None:
        then()
    return entry_id


@pytest.mark.django_db
def test_an_entry_says_who_did_what_to_which_and_why(person: Any) -> None:
    alice = person("alice", "ops")
    started = timezone.now()
    with bound_contextvars(request_id="req-77"):
        entry_id = change(
            actor=alice,
            before={"status": "draft", "limit": Decimal("1.10"), "at": datetime(2026, 1, 31, 12, tzinfo=UTC)},
            after={"status": "staged", "by": alice.user.pk, "list": [1, None, True]},
            reason="it is “time”",
        )
    entry = Entry.objects.get(pk=entry_id)
    assert (entry.actor_kind, entry.actor_id, entry.actor_name) == ("user", str(alice.user.pk), "alice")
    assert (entry.verb, entry.subject_kind, entry.subject_id) == ("thing.changed", "thing", "t-1")
    assert started - timedelta(seconds=5) < entry.at < timezone.now() + timedelta(seconds=5)
    assert entry.id.version == 7
    assert entry.content == {
        "v": 1,
        "seq": entry.seq,
        "id": str(entry.id),
        "at": entry.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": {"kind": "user", "id": str(alice.user.pk), "name": "alice"},
        "verb": "thing.changed",
        "subject": {"kind": "thing", "id": "t-1"},
        "before": {"status": "draft", "limit": "1.10", "at": "2026-01-31T12:00:00.000000Z"},
        "after": {"status": "staged", "by": str(alice.user.pk), "list": [1, None, True]},
        "reason": "it is “time”",
        "request_id": "req-77",
    }
    assert bytes(entry.leaf) == hashlib.sha256(b"\x00" + entry.body.encode()).digest()


@pytest.mark.django_db
def test_a_row_is_a_subject_under_its_table(person: Any) -> None:
    alice = person("alice", "ops")

    @operation
    def rename(*, actor: Actor) -> None:
        record(actor, "user.renamed", alice.user)

    rename(actor=SYSTEM("test"))
    entry = selectors.entries_of(alice.user).get()
    assert (entry.subject_kind, entry.subject_id) == ("core_user", str(alice.user.pk))
    assert entry.content["before"] is None
    assert entry.content["after"] is None


@pytest.mark.django_db
def test_a_secret_is_not_written_down() -> None:
    entry_id = change(actor=SYSTEM("test"), after={"key": Secret("s3cret"), "deep": [{"key": Secret("s3cret")}]})
    entry = Entry.objects.get(pk=entry_id)
    assert entry.content["after"] == {"key": "(hidden)", "deep": [{"key": "(hidden)"}]}
    assert "s3cret" not in entry.body


@pytest.mark.django_db
def test_a_float_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        change(actor=SYSTEM("test"), after={"amount": 1.1})
    assert not Entry.objects.filter(verb="thing.changed").exists()


@pytest.mark.django_db
def test_outside_an_operation_nothing_is_written() -> None:
    with pytest.raises(RuntimeError, match="@operation"):
        record(SYSTEM("test"), "thing.changed", SUBJECT)
    assert not Entry.objects.filter(verb="thing.changed").exists()


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_was_never_written() -> None:
    def fail() -> None:
        raise LookupError("the operation fails after its entry")

    with pytest.raises(LookupError):
        change(actor=SYSTEM("test"), then=fail)
    assert not Entry.objects.filter(verb="thing.changed").exists()


def test_a_writer_decides_only_what_it_says(connect_as: Any, settings: Any) -> None:
    """Number, id, time, hash, request id and the shape are the database's, whatever the application inserts."""
    app = connect_as(settings.DB_APP_ROLE)
    forged = (
        '{"v": 9, "seq": 1, "id": "00000000-0000-0000-0000-000000000000", "at": "1999-01-01T00:00:00Z",'
        ' "actor": {"kind": "user", "id": "1", "name": "x"}, "verb": "v", "subject": {"kind": "k", "id": "i"},'
        ' "request_id": "forged", "more": 1}'
    )
    seq, entry_id, at, body = app.execute(
        "insert into journal_entries (body) values (%s) returning seq, id, at, body::jsonb", [forged]
    ).fetchone()
    assert body["v"] == 1
    assert body["seq"] == seq != 1 or seq > 0
    assert body["id"] == str(entry_id) != "00000000-0000-0000-0000-000000000000"
    assert body["at"].startswith(f"{at:%Y-%m-%d}")
    assert at.year > 2020
    assert body["request_id"] == ""
    assert "more" not in body
    for column in ("id", "at", "leaf", "verb", "actor_name"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(f"insert into journal_entries (body, {column}) values (%s, null)", [forged])


def test_what_is_no_entry_is_refused(connect_as: Any, settings: Any) -> None:
    app = connect_as(settings.DB_APP_ROLE)
    for body in ("{}", '{"actor": {"kind": "user"}}', "not json", "[]"):
        with pytest.raises((psycopg.errors.NotNullViolation, psycopg.errors.InvalidTextRepresentation)):
            app.execute("insert into journal_entries (body) values (%s)", [body])
