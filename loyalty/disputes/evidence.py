"""What became of a purchase (runbook 3, steps 1 and 2): by its own id, by the keys it came under, by the hour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext_lazy as _

from loyalty.models import Balance
from opsconsole.core.texts import Text

AROUND: Final = timedelta(hours=1)  # of the date that the member says, either side
KEYS_AROUND: Final = timedelta(days=3)  # in which keys are searched for the id, in the whole program
MOST: Final = 200


class Answer(StrEnum):
    """What the ledger says."""

    AWARDED = "awarded"
    TAKEN_BACK = "taken_back"
    TO_ANOTHER = "to_another"
    NEVER_SEEN = "never_seen"

    @property
    def label(self) -> Text:
        """In words."""
        return _WORDS[self]


_WORDS: Final[dict[Answer, Text]] = {
    Answer.AWARDED: _("The purchase earned points."),
    Answer.TAKEN_BACK: _("The purchase earned points, and all of them were taken back."),
    Answer.TO_ANOTHER: _("The purchase earned points for another member."),
    Answer.NEVER_SEEN: _("The purchase was never recorded."),
}


@dataclass(frozen=True, slots=True)
class Movement:
    """A transaction with whose it is, and how it was found."""

    id: UUID
    balance_id: UUID
    user_id: str
    event_type: str
    amount: int
    taken_back: int
    origin_txn_id: str | None
    idempotency_key: str | None
    reason: str | None
    created_at: datetime
    found_by: str  # "origin" or "key"
    named: bool  # the id stands there by itself, not as a piece of another: order-1 is no part of order-10


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """What happened around the date: a row of `loyalty_audit_logs`."""

    id: UUID
    entity_type: str
    entity_id: UUID | None
    action: str
    actor: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it, with the answer that follows."""

    answer: Answer
    movements: Sequence[Movement]
    trail: Sequence[TrailEntry]
    program_was_busy: bool  # others' points were recorded in that time: it was not an outage


def find(member: Balance, origin_txn_id: str, happened_at: datetime) -> Evidence:
    """Look a purchase up; at most MOST movements and entries of the trail, the newest first."""
    movements = _movements(member, origin_txn_id, happened_at)
    return Evidence(
        answer=_answer(member, movements),
        movements=movements,
        trail=_trail(member, happened_at),
        program_was_busy=_busy(member, happened_at),
    )


def _answer(member: Balance, movements: Sequence[Movement]) -> Answer:
    gains = [one for one in movements if one.named and one.amount > 0 and one.event_type != "reverse"]
    own = [one for one in gains if one.user_id == member.user_id]
    if any(one.amount > one.taken_back for one in own):
        return Answer.AWARDED
    if own:
        return Answer.TAKEN_BACK
    return Answer.TO_ANOTHER if gains else Answer.NEVER_SEEN


def _movements(member: Balance, origin: str, at: datetime) -> list[Movement]:
    """By the purchase's id, by a key that is that id, and by keys that hold it: the member's own, and those around.

    A key holds the id anywhere, which no index finds; so those of others are searched around the date only. Where there
    are too many, those that name it are kept.
    """
    found = [
        Movement(*row)
        for row in _rows(
            """
            with found as (
              select t.id, 'origin' as found_by from loyalty_transactions t where t.origin_txn_id = %(origin)s
              union all
              select k.transaction_id, 'key' from loyalty_keys k where k.program_id = %(program)s and k.key = %(origin)s
              union all
              select t.id, 'key' from loyalty_transactions t
              where t.balance_id = %(member)s and t.idempotency_key like %(pattern)s
              union all
              select t.id, 'key' from loyalty_transactions t
              where t.created_at >= %(from)s and t.created_at < %(to)s and t.idempotency_key like %(pattern)s
            )
            select t.id, t.balance_id, b.user_id, t.event_type, t.amount,
              coalesce((select abs(sum(r.amount)) from loyalty_transactions r where r.reverses_id = t.id), 0)::bigint,
              t.origin_txn_id, t.idempotency_key, t.reason, t.created_at, max(f.found_by),
              bool_or(f.found_by = 'origin') or t.idempotency_key ~ %(alone)s as named
            from found f join loyalty_transactions t on t.id = f.id join loyalty_balances b on b.id = t.balance_id
            where b.program_id = %(program)s
            group by t.id, b.user_id order by named desc, t.created_at desc, t.id desc limit %(most)s
            """,
            {
                "origin": origin,
                "pattern": f"%{_literal(origin)}%",
                "alone": f"(^|[^[:alnum:]]){re.escape(origin)}($|[^[:alnum:]])",
                "program": member.program_id,
                "member": member.pk,
                "from": at - KEYS_AROUND,
                "to": at + KEYS_AROUND,
                "most": MOST,
            },
        )
    ]
    return sorted(found, key=lambda one: (one.created_at, one.id), reverse=True)


def _trail(member: Balance, at: datetime) -> list[TrailEntry]:
    """As `loyalty_audit_logs` has it, which is asked in the ways that its indexes answer: by subject, one by one."""
    return [
        TrailEntry(*row)
        for row in _rows(
            """
            select a.id, a.entity_type, a.entity_id, a.action, a.actor, a.created_at from (
              select e.id, 'balance' as entity_type, %(member)s::uuid as entity_id, e.verb as action,
                e.actor_name as actor, e.at as created_at
              from journal_entries e
              where e.subject_kind = 'loyalty_balances' and e.subject_id = %(member)s::text
                and e.at >= %(from)s and e.at <= %(to)s
              union all
              select l.id, l.entity_type, l.entity_id, l.action, l.actor, l.created_at
              from loyalty_transactions t cross join lateral (
                select * from loyalty_audit_logs l
                where l.entity_type = 'transaction' and l.entity_id = t.id offset 0) l
              where t.balance_id = %(member)s and t.created_at >= %(from)s and t.created_at <= %(to)s
            ) a
            order by a.created_at desc limit %(most)s
            """,
            {"member": member.pk, "from": at - AROUND, "to": at + AROUND, "most": MOST},
        )
    ]


def _busy(member: Balance, at: datetime) -> bool:
    return bool(
        _rows(
            """
            select exists (
              select from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
              where t.created_at >= %(from)s and t.created_at <= %(to)s and b.program_id = %(program)s
                and b.id <> %(member)s)
            """,
            {"member": member.pk, "program": member.program_id, "from": at - AROUND, "to": at + AROUND},
        )[0][0]
    )


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _rows(query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
