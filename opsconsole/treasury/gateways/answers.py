"""What an HTTP answer of the bank proves, read strictly: anything unexpected proves nothing.

The bank vouches for "not processed" with `"processed": false` in an RFC 9457 problem document. An answer without it,
a 5xx or an HTML page with status 200 leave a submission ambiguous. docs/bank-gateways.md has the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeGuard

from opsconsole.treasury.gateways.base import (
    Absent,
    Accepted,
    Ambiguous,
    Balance,
    BalanceAnswer,
    CannotTell,
    Finding,
    Known,
    NoAnswer,
    NotSent,
    Outcome,
    PaymentState,
    Recalled,
    RecallOutcome,
    Rejected,
    TooLate,
)

# How long to keep away from a bank that does not accept our key, or where we call the wrong address.
MISCONFIGURED_PAUSE = 30.0
LONGEST_PAUSE = 3_600.0
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_TEXT_LIMIT = 300
_STATES = {str(state): state for state in PaymentState}
# The order itself was refused: malformed, too large, or against the bank's rules.
_REFUSED_FOR_GOOD = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
# These are refusals at the door, whoever says them.
_TURNED_AWAY = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, from a Retry-After in seconds or as a date; None where there is none or it is wrong."""
        text = self.headers.get("Retry-After", "")
        if text.isascii() and text.isdigit() and len(text) <= 6:  # noqa: PLR2004 - more is no pause but a mistake
            return min(float(text), LONGEST_PAUSE)
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        return min(max(seconds, 0.0), LONGEST_PAUSE)

    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object, or None if it is anything else or not declared as JSON."""
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in {"application/json", "application/problem+json"}:
            return None
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal in the bank's words; `untouched` where the bank vouches that it did nothing."""

    code: str
    detail: str
    untouched: bool

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


def problem_of(reply: Reply) -> Problem | None:
    """The problem document in this reply, or None: then nothing vouches for anything."""
    value = reply.json()
    if value is None or not isinstance(value.get("code"), str) or value.get("status") != reply.status:
        return None
    return Problem(
        code=value["code"][:_TEXT_LIMIT],
        detail=str(value.get("detail", ""))[:_TEXT_LIMIT],
        untouched=value.get("processed") is False,
    )


def read_submission(reply: Reply, *, end_to_end_id: str) -> Outcome:
    """What this answer to POST /v1/payments proves about the order."""
    if reply.status in {HTTPStatus.OK, HTTPStatus.CREATED}:
        value = reply.json() or {}
        reference = value.get("payment_id")
        if not _is_reference(reference) or value.get("status") != "accepted":
            return Ambiguous(f"HTTP {reply.status} without a payment: {_excerpt(reply)}")
        if value.get("end_to_end_id") != end_to_end_id:
            return Ambiguous(f"HTTP {reply.status} about another payment: {_excerpt(reply)}")
        return Accepted(reference)
    problem = problem_of(reply)
    if reply.status in _REFUSED_FOR_GOOD and problem is not None and problem.untouched:
        return Rejected(problem.code, problem.detail)
    return _refused(reply, problem)


def read_recall(reply: Reply, *, reference: str) -> RecallOutcome:
    """What this answer to POST /v1/payments/{id}/recall proves."""
    if reply.status == HTTPStatus.OK:
        value = reply.json() or {}
        if value.get("payment_id") == reference and value.get("status") == "recalled":
            return Recalled()
        return Ambiguous(f"HTTP 200 without a recall: {_excerpt(reply)}")
    problem = problem_of(reply)
    if reply.status == HTTPStatus.CONFLICT and problem is not None and problem.untouched:
        return TooLate(problem.code)
    if reply.status == HTTPStatus.NOT_FOUND:
        return Ambiguous(f"the bank does not know {reference}: {problem or _excerpt(reply)}")
    return _refused(reply, problem)


def read_status(reply: Reply, *, key: str) -> Finding:
    """What this answer to GET /v1/payments/by-key/{key} says of the key."""
    problem = problem_of(reply)
    if reply.status == HTTPStatus.OK:
        return _known(reply, key)
    if reply.status == HTTPStatus.NOT_FOUND and problem is not None and problem.code == "unknown_payment":
        return Absent()
    if reply.status == HTTPStatus.NOT_IMPLEMENTED and problem is not None:
        return CannotTell(str(problem))
    return _no_answer(reply, problem)


def read_balance(reply: Reply, *, iban: str) -> BalanceAnswer:
    """What this answer to GET /v1/accounts/{iban}/balance says."""
    problem = problem_of(reply)
    if reply.status == HTTPStatus.NOT_FOUND and problem is not None and problem.code == "unknown_account":
        return Absent()
    value = reply.json() if reply.status == HTTPStatus.OK else None
    if value is None or value.get("iban") != iban or not isinstance(value.get("currency"), str):
        return _no_answer(reply, problem)
    booked, available = _decimal(value.get("booked")), _decimal(value.get("available"))
    if booked is None or available is None:
        return _no_answer(reply, problem)
    return Balance(iban, value["currency"], booked, available)


def _refused(reply: Reply, problem: Problem | None) -> Ambiguous | NotSent:
    """A refusal that is not about the order: sure that nothing happened only where that is vouched for."""
    said = f"HTTP {reply.status}: {problem or _excerpt(reply)}"
    if reply.status in _TURNED_AWAY:
        return NotSent(said, reply.retry_after or MISCONFIGURED_PAUSE)
    if problem is None or not problem.untouched:
        return Ambiguous(said)
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return NotSent(said, reply.retry_after)
    return NotSent(said, MISCONFIGURED_PAUSE)


def _no_answer(reply: Reply, problem: Problem | None) -> NoAnswer:
    pause = reply.retry_after
    if reply.status in _TURNED_AWAY:
        pause = pause or MISCONFIGURED_PAUSE
    return NoAnswer(f"HTTP {reply.status}: {problem or _excerpt(reply)}", pause)


def _known(reply: Reply, key: str) -> Known | NoAnswer:
    value = reply.json() or {}
    state = _STATES.get(str(value.get("status")))
    reference = value.get("payment_id")
    if value.get("key") != key or not _is_reference(reference) or state is None:
        return NoAnswer(f"HTTP 200 without the payment asked for: {_excerpt(reply)}")
    return Known(
        reference=reference,
        state=state,
        reason=str(value.get("reason", ""))[:_TEXT_LIMIT],
        amount=_decimal(value.get("amount")),
        currency=value["currency"] if isinstance(value.get("currency"), str) else None,
    )


def _is_reference(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def _decimal(value: object) -> Decimal | None:
    """An amount given as a string; a JSON number is none, since it may have gone through a float."""
    if not isinstance(value, str):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _excerpt(reply: Reply) -> str:
    """The start of the body, on one line, for a person to read."""
    text = " ".join(reply.body[:120].decode("utf-8", "replace").split())
    return text or "empty body"
