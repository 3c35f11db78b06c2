"""How long a program's budget lasts, and what to do about it (runbook 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from loyalty.models import BudgetAlert, Program
from loyalty.selectors import database_clock
from loyalty.states import BudgetAlertState
from opsconsole.core.texts import Text

BURN_OVER: Final = timedelta(days=7)
LIVE: Final = (BudgetAlertState.OPEN.value, BudgetAlertState.ACKNOWLEDGED.value)
# Per cent used at which somebody is told; at the second it is urgent.
THRESHOLDS: Final = (90, 95)
FAR: Final = timedelta(days=3650)  # what lasts longer does not run out


class Decision(StrEnum):
    """What to do, by how much is left (runbook 4, step 3)."""

    WATCH = "watch"
    PREPARE = "prepare"
    ACT = "act"

    @property
    def label(self) -> Text:
        """In words."""
        return _WORDS[self]


_WORDS: Final[dict[Decision, Text]] = {
    Decision.WATCH: _("More than 10 percent is left: keep an eye on it."),
    Decision.PREPARE: _("5 to 10 percent are left: tell the merchant, and prepare an increase."),
    Decision.ACT: _("Less than 5 percent is left: raise the budget or earn less, now."),
}


@dataclass(frozen=True, slots=True)
class Day:
    """What a day took out of the budget."""

    day: date
    transactions: int
    points: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget as it is, and as it looks. What campaigns have reserved counts as used: it is promised."""

    limit: Decimal
    spent: Decimal
    reserved: Decimal
    burn_per_day: Decimal
    exhausted_at: datetime | None
    days: Sequence[Day]

    @property
    def used(self) -> Decimal:
        """Spent and reserved."""
        return self.spent + self.reserved

    @property
    def left(self) -> Decimal:
        """What can still be given."""
        return self.limit - self.used

    @property
    def used_per_cent(self) -> Decimal:
        """How much of the limit is used."""
        return (self.used * 100 / self.limit).quantize(Decimal("0.01"))

    @property
    def decision(self) -> Decision:
        """What to do about it."""
        return decide(self.left, self.limit)


def decide(left: Decimal, limit: Decimal) -> Decision:
    """The row of the decision matrix for so much of a limit."""
    if left * 100 > limit * 10:
        return Decision.WATCH
    return Decision.PREPARE if left * 100 >= limit * 5 else Decision.ACT


def standing_of(program: Program, *, now: datetime | None = None) -> Standing:
    """The budget of a program with what each of the last seven days took, and when it is gone at that rate."""
    at = now or database_clock()
    days = _days(program.pk, at - BURN_OVER, at)
    # A program that is younger than a week has burned for no longer than it exists.
    lived = min(BURN_OVER, max(at - program.created_at, timedelta(days=1)))
    burned = Decimal(sum(day.points for day in days))
    rate = max(burned / Decimal(lived / timedelta(days=1)), Decimal(0)).quantize(Decimal("0.01"))
    left = program.budget_left
    lasts = timedelta(days=float(left / rate)) if rate > 0 and left / rate < FAR.days else None
    return Standing(
        limit=program.budget_limit,
        spent=program.budget_spent,
        reserved=program.budget_reserved,
        burn_per_day=rate,
        exhausted_at=None if lasts is None else at + lasts,
        days=days,
    )


def crossings(threshold: int) -> QuerySet[Program]:
    """The programs that have used so many per cent, and of which no alert says so yet."""
    live = BudgetAlert.objects.filter(program=OuterRef("pk"), threshold=threshold, status__in=LIVE)
    return Program.objects.filter(crossed(threshold), ~Exists(live)).order_by("pk")


def recovered(threshold: int) -> QuerySet[BudgetAlert]:
    """The alerts whose program has enough budget again."""
    back = Program.objects.exclude(crossed(threshold)).values("pk")
    return BudgetAlert.objects.filter(threshold=threshold, status__in=LIVE, program__in=back).order_by("pk")


def has_news() -> bool:
    """Whether there is an alert to raise or to close: a look at the programs, of which there are few."""
    return any(crossings(threshold).exists() or recovered(threshold).exists() for threshold in THRESHOLDS)


def crossed(threshold: int) -> Q:
    """The condition that a program has used so many per cent of its budget."""
    return Q(budget_limit__lte=(F("budget_spent") + F("budget_reserved")) * 100 / threshold)


def _days(program_id: UUID, since: datetime, until: datetime) -> list[Day]:
    """What counts against the budget, as the ledger counts it: given, and less what was taken back of that."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select (t.created_at at time zone 'UTC')::date, count(*),
              sum(case when t.event_type in ('earn', 'bonus') then t.amount
                       when t.event_type = 'adjust' then greatest(t.amount, 0)
                       else least(t.amount, 0) end)::bigint
            from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
            where b.program_id = %s and t.created_at >= %s and t.created_at < %s
              and t.event_type in ('earn', 'bonus', 'adjust', 'reverse')
            group by 1 order by 1
            """,
            [program_id, since, until],
        )
        return [Day(*row) for row in cursor.fetchall()]
