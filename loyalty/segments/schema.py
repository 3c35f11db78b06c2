"""The grammar of a segment: what may be asked of a member, how, and within which limits.

A segment is JSON in the shape of JsonLogic: an object with one operator.

    condition  = {"and": [condition, ...]} | {"or": [condition, ...]} | {"not": condition}
               | {"has_flag": text} | {comparison: [what, value]} | {"between": [what, low, high]}
    comparison = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in"
    what       = {"var": variable} | {"count": ledger} | {"sum": ledger}
    ledger     = {"event": event | [event, ...], "days": n}
               | {"event": event | [event, ...], "since": when, "until": when}
    when       = "1997-12-31" | "1997-12-31T23:59:59Z" | {"days_ago": n}

{} and null are all members of the program. Every condition is true or false of a member, never unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Final

from loyalty.states import EventType

MAX_DEPTH: Final = 8
MAX_CONDITIONS: Final = 100
MAX_VALUES: Final = 1000
# Counts, sums and dates of last activity that differ: each of them is a look into the ledger.
MAX_LOOKS: Final = 10
MAX_DAYS: Final = 3660
MAX_TEXT: Final = 200
MAX_PROBLEMS: Final = 20
MAX_INT: Final = 2**63 - 1
FIRST_DAY: Final = date(1970, 1, 1)
LAST_DAY: Final = date(2199, 12, 31)


class Op(Enum):
    """How a member's value is compared."""

    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    BETWEEN = "between"


class Kind(Enum):
    """What sort of value something has, with the operators that go with it."""

    NUMBER = "number"
    DATE = "date"
    TIER = "tier"
    YES_NO = "yes or no"
    MEMBER = "member"


OPERATORS: Final[Mapping[Kind, tuple[Op, ...]]] = {
    Kind.NUMBER: tuple(Op),
    Kind.DATE: (Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE, Op.BETWEEN),
    Kind.TIER: (Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE, Op.IN),
    Kind.YES_NO: (Op.EQ, Op.NE),
    Kind.MEMBER: (Op.EQ, Op.NE, Op.IN),
}


class Var(Enum):
    """What a member's own record says."""

    POINTS_BALANCE = "points_balance"
    AVAILABLE = "available"
    LOCKED = "locked"
    TIER = "tier"
    JOINED_AT = "joined_at"
    LAST_ACTIVITY_AT = "last_activity_at"
    IS_FROZEN = "is_frozen"
    USER_ID = "user_id"

    @property
    def kind(self) -> Kind:
        """The sort of its value."""
        return _KINDS[self]


_KINDS: Final[Mapping[Var, Kind]] = {
    Var.POINTS_BALANCE: Kind.NUMBER,
    Var.AVAILABLE: Kind.NUMBER,
    Var.LOCKED: Kind.NUMBER,
    Var.TIER: Kind.TIER,
    Var.JOINED_AT: Kind.DATE,
    Var.LAST_ACTIVITY_AT: Kind.DATE,
    Var.IS_FROZEN: Kind.YES_NO,
    Var.USER_ID: Kind.MEMBER,
}

# What a member does; bonuses, expiries and corrections are done to them. Joining counts too.
ACTIVITY: Final = (EventType.EARN, EventType.REDEEM)
# The ledger writes these with a minus. A sum of them is told as what went out: "redeemed at least 500".
OUTGOING: Final = (EventType.REDEEM, EventType.EXPIRE)
