"""Idempotency-Key (IETF draft-ietf-httpapi-idempotency-key-header): one effect and one answer for one key.

A key belongs to a scope (actor, method, route) and to the fingerprint of the first request it came with. The claim is
an advisory lock that never waits, then a look in a separate statement: a second INSERT would wait for the first
transaction to end, and one combined statement would look with a snapshot from before the lock.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.canonical import to_plain
from opsconsole.core.errors import Conflict, Invalid, RuleBroken

MAX_KEY_LENGTH = 255


class KeyMissing(Invalid):
    """This request needs an Idempotency-Key header."""

    code = "idempotency_key_missing"


class KeyMalformed(Invalid):
    """The Idempotency-Key is empty, too long or not printable."""

    code = "idempotency_key_malformed"


class KeyReused(RuleBroken):
    """The key was used for another request."""

    code = "idempotency_key_reused"


class KeyInFlight(Conflict):
    """The first request under this key is still running."""

    code = "idempotency_key_in_flight"


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A key with what it belongs to; the fingerprint is SHA-256 over the path and the body."""

    scope: str
    key: str
    fingerprint: bytes

    def __post_init__(self) -> None:
        if not 0 < len(self.key) <= MAX_KEY_LENGTH or not self.key.isprintable():
            raise KeyMalformed(
                format_lazy(_("Idempotency-Key takes 1 to {most} printable characters."), most=MAX_KEY_LENGTH)
            )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door says back: an HTTP status and a JSON body."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


def fingerprint(*, path: str, body: Any) -> bytes:
    """SHA-256 over the path and the body with its keys sorted."""
    text = json.dumps([path, body], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).digest()


def claim(key: RequestKey) -> Answer | None:
    """Take the key for this transaction; the stored answer when there is one already."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select state, status, body from idempotency_claim(%s, %s, %s)",
            [key.scope, key.key, key.fingerprint],
        )
        state, status, body = cursor.fetchone()
    match state:
        case "new":
            return None
        case "replay":
            return Answer(status, json.loads(body) if isinstance(body, str) else body, replayed=True)
        case "mismatch":
            raise KeyReused(_("This Idempotency-Key was used for a different request."), key=key.key)
        case _:
            raise KeyInFlight(_("A request with this Idempotency-Key is still running."), key=key.key)


def remember(key: RequestKey, answer: Answer) -> None:
    """Store the answer in the transaction of its effect."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into core_idempotency_keys (scope, key, fingerprint, status, body)"
            " values (%s, %s, %s, %s, %s::jsonb)",
            [key.scope, key.key, key.fingerprint, answer.status, json.dumps(to_plain(answer.body))],
        )
