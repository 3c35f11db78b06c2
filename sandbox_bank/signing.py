"""Who signed a request: HMAC-SHA256 over method, path, timestamp, idempotency key and body digest."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from aiohttp import web

from sandbox_bank.problems import BankProblem

TOLERANCE_SECONDS = 300


def signature(*, secret: bytes, method: str, path: str, timestamp: str, key: str, body: bytes) -> str:
    """The lowercase hex signature; the signed text is the five facts, one a line, the body by its SHA-256."""
    text = f"{method}\n{path}\n{timestamp}\n{key}\n{hashlib.sha256(body).hexdigest()}"
    return hmac.digest(secret, text.encode(), "sha256").hex()


@dataclass(frozen=True)
class Keyring:
    """The one client key this bank accepts."""

    key_id: str
    secret: bytes

    def check(self, request: web.Request, body: bytes, *, now: float) -> None:
        """Raises a 401 problem unless the request was signed with the key, within five minutes of now."""
        headers = request.headers
        if not hmac.compare_digest(headers.get("X-Key-Id", "").encode(), self.key_id.encode()):
            raise BankProblem(401, "unknown_key", "X-Key-Id names no key of this bank.")
        timestamp = headers.get("X-Timestamp", "")
        if not (timestamp.isascii() and timestamp.isdigit()):
            raise BankProblem(401, "bad_timestamp", "X-Timestamp must be whole seconds since 1970.")
        if abs(int(timestamp) - now) > TOLERANCE_SECONDS:
            raise BankProblem(401, "stale_timestamp", "X-Timestamp is more than five minutes away from now.")
        expected = signature(
            secret=self.secret,
            method=request.method,
            path=request.raw_path,
            timestamp=timestamp,
            key=headers.get("Idempotency-Key", ""),
            body=body,
        )
        if not hmac.compare_digest(headers.get("X-Signature", "").encode(), expected.encode()):
            raise BankProblem(401, "bad_signature", "X-Signature does not match this request.")
