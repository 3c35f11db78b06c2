"""People who ask for changes and agree to them, and a small treasury to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from opsconsole.changes.models import Change
from opsconsole.changes.services.decisions import approve_change
from opsconsole.changes.services.requests import request_change
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from tests.api.unchanged import changed, fingerprint
from tests.world import TESTER, World, build

OLD_SECRET = "the-secret-of-old-times"
NEW_SECRET = "a-new-secret-nobody-reads"
OTHER_IBAN = "DE02120300000000202051"
ADDRESS = "https://payments.bank.example"


@pytest.fixture
def world(db: None) -> World:
    """Two banks with an account each."""
    return build(base_url="http://127.0.0.1:9", secret=OLD_SECRET, balance=1000, actor=TESTER)


@pytest.fixture
def people(person: Callable[..., Actor]) -> dict[str, Actor]:
    """Two for each role that decides, and some who do not."""
    names = ("admin", "pay_admin", "finance_ops", "ops")
    found = {f"{name}{number}": person(f"{name}{number}", name) for name in names for number in ("", "2")}
    return found | {name: person(name) for name in ("auditor", "dev")}


def ask(kind: str, subject: object, payload: dict[str, Any], actor: Actor, reason: str = "agreed by letter") -> Change:
    """Ask for a change."""
    return request_change(kind=kind, subject=str(subject), payload=payload, reason=reason, actor=actor)


def approve(change: Change, *actors: Actor) -> Change:
    """Have these people approve it, one after the other."""
    for actor in actors:
        change = approve_change(change_id=change.pk, digest=change.digest, signature="", comment="", actor=actor)
    return change


def verbs(**narrowed: Any) -> list[str]:
    """The journal's verbs, oldest first."""
    return list(Entry.objects.filter(**narrowed).order_by("seq").values_list("verb", flat=True))


def everything_written() -> str:
    """All that the database holds in the clear about changes: rows, requests, journal, events, stored answers."""
    tables = ("ops_changes", "approvals_requests", "journal_entries", "core_outbox_events", "core_idempotency_keys")
    with connection.cursor() as cursor:
        found = []
        for table in tables:
            cursor.execute(f"select coalesce(string_agg(t::text, ' '), '') from {table} t")
            found.append(cursor.fetchone()[0])
    return " ".join(found)


@contextmanager
def nothing_changes() -> Iterator[None]:
    """Every row of every table stays as it is."""

    def look(query: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    before = fingerprint(look)
    yield
    assert changed(before, fingerprint(look)) == {}


@operation
def alter(*, row: Any, values: dict[str, Any], actor: Actor) -> None:
    """Change columns of a row as some other service would."""
    type(row).objects.filter(pk=row.pk).update(**values)
