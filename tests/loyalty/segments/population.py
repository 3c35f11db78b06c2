"""A small program full of borderline members, and what a segment means in plain Python, without parser or SQL."""

from __future__ import annotations

import json
import operator
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection

from loyalty.models import Balance, Program, Tier, Transaction
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import Subject, record

AT = datetime(1998, 6, 30, 12, tzinfo=UTC)
TIERS = ("Bronze", "Silver", "Gold")
FLAGS = ("under_investigation", "confirmed_fraud", "o'brien; drop table loyalty_balances; --", 'a"b%s{0}')
# Midnights, the moments beside them, and days ago to the moment.
TIMES = [
    *(datetime(1998, 1, 1, tzinfo=UTC) + timedelta(days=days, microseconds=beside)
      for days in (0, 1, 89) for beside in (-1, 0, 1)),
    *(AT - timedelta(days=days) for days in (0, 1, 30, 31, 90, 400)),
]  # fmt: skip
AMOUNTS = (1, 10, 50, 99, 100, 101)
COMPARED = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
            ">=": operator.ge}  # fmt: skip


@dataclass
class Member:
    """What the tables should say of one member."""

    user_id: str
    joined_at: datetime
    tier: str | None
    is_frozen: bool
    flags: list[str]
    locked: int = 0
    transactions: list[tuple[str, int, datetime]] = field(default_factory=list)
    balance: Any = None

    @property
    def points_balance(self) -> int:
        return sum(amount for _event, amount, _at in self.transactions)

    @property
    def available(self) -> int:
        return self.points_balance - self.locked

    @property
    def last_activity_at(self) -> datetime:
        return max([self.joined_at, *(at for event, _amount, at in self.transactions if event in ("earn", "redeem"))])


def made_up(count: int, seed: int = 7) -> list[Member]:
    """So many members, the same ones each time."""
    chance = random.Random(seed)
    members = []
    for number in range(count):
        member = Member(
            user_id=f"user-{number}",
            joined_at=chance.choice(TIMES),
            tier=chance.choice((None, *TIERS)),
            is_frozen=chance.random() < 0.2,
            flags=chance.sample(FLAGS, chance.choice((0, 0, 1, 2))),
        )
        for _ in range(chance.choice((0, 0, 1, 2, 5, 9))):
            event, at = chance.choice(("earn", "earn", "bonus", "redeem", "adjust", "expire")), chance.choice(TIMES)
            amount = chance.choice(AMOUNTS)
            if event in ("redeem", "expire") or (event == "adjust" and chance.random() < 0.5):
                amount = -min(amount, member.points_balance)
            if amount:
                member.transactions.append((event, amount, at))
        member.locked = chance.choice((0, member.points_balance // 2, member.points_balance))
        members.append(member)
    return members


@operation
def settle_in(*, name: str, members: list[Member], actor: Actor) -> Program:
    """A program with its tiers and these members."""
    record(actor, "world.built", Subject("test", name))
    program = Program.objects.create(name=name, budget_limit=10_000_000)
    tiers = {
        tier: Tier.objects.create(program=program, name=tier, rank=rank, threshold=100 * rank)
        for rank, tier in enumerate(TIERS)
    }
    for member in members:
        member.balance = Balance(
            pk=uuid4(), program=program, user_id=member.user_id, fraud_flags=member.flags,
            tier=tiers.get(member.tier or ""), joined_at=member.joined_at,
        )  # fmt: skip
    Balance.objects.bulk_create([member.balance for member in members])
    # One statement, as the ledger wants it: the balances follow from all of them at once.
    Transaction.objects.bulk_create(
        Transaction(balance=member.balance, event_type=event, amount=amount, created_at=at)
        for member in members
        for event, amount, at in member.transactions
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "update loyalty_balances set locked = %s, is_frozen = %s where id = %s",
            [(member.locked, member.is_frozen, member.balance.pk) for member in members],
        )
    return program


def ids(members: list[Member]) -> set[UUID]:
    """The ids of their balances."""
    return {member.balance.pk for member in members}


def meant(segment: Any, members: list[Member]) -> list[Member]:
    """Those of the members whom the segment is about, if it is a valid one."""
    return [member for member in members if not segment or holds(segment, member)]


def holds(condition: Any, member: Member) -> bool:
    """Whether a condition holds of a member."""
    [(word, operand)] = condition.items()
    match word:
        case "and":
            return all(holds(part, member) for part in operand)
        case "or":
            return any(holds(part, member) for part in operand)
        case "not":
            return not holds(operand, member)
        case "has_flag":
            return operand in member.flags
    what, *values = operand
    [(source, name)] = what.items()
    if source in ("count", "sum"):
        return compared(word, measured(source, name, member), values)
    value = getattr(member, name)
    if name in ("joined_at", "last_activity_at"):
        return dated(word, value, values)
    if name == "tier":
        return ranked(word, value, values)
    return compared(word, value, values)


def compared(word: str, value: Any, values: list[Any]) -> bool:
    if word == "in":
        return value in values[0]
    if word == "between":
        return values[0] <= value <= values[1]
    return COMPARED[word](value, values[0])


def ranked(word: str, tier: str | None, values: list[Any]) -> bool:
    if word in ("==", "!=", "in"):
        return compared(word, tier, values)
    if values[0] not in TIERS:
        return tier is None and word in ("<", "<=")
    return COMPARED[word](-1 if tier is None else TIERS.index(tier), TIERS.index(values[0]))


def dated(word: str, value: datetime, values: list[Any]) -> bool:
    if word == "between":
        return dated(">=", value, values[:1]) and dated("<=", value, values[1:])
    if isinstance(values[0], dict):
        return COMPARED[word](value, AT - timedelta(days=values[0]["days_ago"]))
    if "T" in values[0]:
        return COMPARED[word](value, datetime.fromisoformat(values[0]))
    return COMPARED[word](value.date(), date.fromisoformat(values[0]))


def measured(source: str, ledger: dict[str, Any], member: Member) -> int:
    events = ledger["event"] if isinstance(ledger["event"], list) else [ledger["event"]]
    since, until = ledger.get("since", {"days_ago": ledger.get("days")}), ledger.get("until", {"days_ago": 0})
    amounts = [
        amount
        for event, amount, at in member.transactions
        if event in events and dated(">=", at, [since]) and dated("<=", at, [until])
    ]
    if source == "count":
        return len(amounts)
    return -sum(amounts) if events[0] in ("redeem", "expire") else sum(amounts)


def copied(segment: Any) -> Any:
    """The segment as it comes back from a jsonb column."""
    with connection.cursor() as cursor:
        cursor.execute("select %s::jsonb", [json.dumps(segment)])
        return json.loads(cursor.fetchone()[0])
