"""Writing the ledger: one movement, or one statement for many, and the refusals of the database told to people.

A ledger statement is the last thing its transaction does: it locks balances, then campaigns, then programs, and a lock
taken after the program's would be in the wrong order. A journal entry comes before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, connection
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty.errors import (
    BudgetExhausted,
    CampaignHalted,
    CapReached,
    KeyTaken,
    MemberFrozen,
    MemberNotFound,
    PointsInvalid,
    PointsRefused,
    PointsShort,
    ProgramNotFound,
    ProgramSuspended,
    ReversalRefused,
)
from loyalty.states import EventType
from opsconsole.core.database import the_row
from opsconsole.core.errors import DomainError
from opsconsole.core.operations import assert_in_operation, told_to_the_database
from opsconsole.core.texts import Text

MOST_POINTS: Final = 1_000_000_000_000  # of one movement: what is more is a mistake, whoever types it
MAX_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of a movement; `replayed` when its key had led to it before."""

    transaction_id: UUID | None
    balance_id: UUID
    points: int
    balance: int
    locked: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Movement:
    """An earn or a redemption of one member: so many points, or what a purchase is worth."""

    user_id: str
    event: EventType
    points: int | None
    spent: Decimal | None = None
    origin_txn_id: str | None = None
    key: str | None = None
    ip_address: str | None = None


def record_movement(program_id: UUID, moved: Movement) -> Posted:
    """Write one movement, once under its key; an earn enrols a member who is new.

    A purchase is worth the program's rate x the multipliers of its rules x that of the member's tier, cut to whole
    points and then to what the rules' caps leave; where they leave nothing there is no transaction. Points that are
    given as such are not cut: more than the caps leave is refused (CapReached).

    The same key with the same content gets the first movement again. Raises KeyTaken for other content under the key,
    ProgramNotFound, MemberNotFound, PointsInvalid for a purchase that is worth nothing or beyond measure, and what the
    ledger refuses: MemberFrozen, ProgramSuspended, BudgetExhausted, PointsShort.
    """
    with refusals():
        state, transaction, balance, points, total, held = the_row(
            "select state, transaction, balance, points, total, held from loyalty_move("
            "%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                *told_to_the_database(),
                program_id,
                moved.user_id,
                moved.event.value,
                moved.points,
                moved.spent,
                moved.origin_txn_id,
                moved.key,
                moved.ip_address,
                MOST_POINTS,
            ],
        )
    match state:
        case "no program":
            raise ProgramNotFound(_("There is no such program."), program=str(program_id))
        case "no member":
            raise MemberNotFound(format_lazy(_("There is no member {member} in this program."), member=moved.user_id))
        case "mismatch":
            raise KeyTaken(_("This key was used for something else."), key=moved.key, transaction=str(transaction))
        case "nothing":
            raise PointsInvalid(_("This earns no points."), errors={"spent": [_("is worth less than one point")]})
        case "too much":
            raise _beyond_measure("spent")
        case _:
            return Posted(transaction, balance, points, total, held, replayed=state == "replayed")


def insert_one(balance_id: UUID, **facts: Any) -> UUID:
    """Insert one ledger row for a member who is known and locked; returns its id."""
    assert_in_operation()
    columns = ["balance_id", *facts]
    values = [balance_id, *facts.values()]
    with refusals(), connection.cursor() as cursor:
        cursor.execute(
            f"insert into loyalty_transactions ({', '.join(columns)})"
            f" values ({', '.join(['%s'] * len(values))}) returning id",
            values,
        )
        return UUID(str(cursor.fetchone()[0]))


def readable(amount: int) -> int:
    """The amount, if a movement may have it; raises PointsInvalid."""
    if amount == 0 or abs(amount) > MOST_POINTS:
        raise _beyond_measure("amount")
    return amount


def _beyond_measure(field: str) -> PointsInvalid:
    return PointsInvalid(
        format_lazy(_("An amount is 1 to {most} points."), most=MOST_POINTS), errors={field: [_("out of range")]}
    )


_TOLD: Final[Mapping[str, tuple[type[DomainError], Text]]] = {
    "program_budget_exhausted": (BudgetExhausted, _("Program budget exhausted")),
    "program_within_budget": (BudgetExhausted, _("Program budget exhausted")),
    "program_is_suspended": (ProgramSuspended, _("Program is suspended")),
    "balance_is_frozen": (MemberFrozen, _("The member is frozen: nothing is earned or redeemed.")),
    "points_cover_locked": (PointsShort, _("The member does not have so many points that are not locked.")),
    "campaign_is_not_running": (CampaignHalted, _("The campaign awards nothing now.")),
    "campaign_within_reservation": (PointsRefused, _("More would be awarded than the campaign has reserved.")),
    "rule_caps_earns": (CapReached, _("A rule caps what a member earns, and leaves fewer points than these.")),
    "loyalty_keys_pkey": (KeyTaken, _("This key was used for something else.")),
    "reversal_of_a_transaction": (ReversalRefused, _("This transaction cannot be taken back.")),
    "reversal_of_same_member": (ReversalRefused, _("This transaction is another member's.")),
    "reversal_within_original": (ReversalRefused, _("More would be taken back than there was.")),
    "transaction_of_a_balance": (MemberNotFound, _("There is no such member.")),
}


@contextmanager
def refusals() -> Iterator[None]:
    """Have the database's refusals of points told as ours; the transaction they end is the operation's."""
    try:
        yield
    except IntegrityError as error:
        constraint = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""
        kind, told = _TOLD.get(constraint, (PointsRefused, _("The ledger refuses this.")))
        raise kind(told, constraint=constraint) from error
