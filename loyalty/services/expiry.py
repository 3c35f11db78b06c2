"""Points expire: chunk by chunk, each exactly once, and what is still owed is added up after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from loyalty import access, expiry
from loyalty.errors import ProgramSuspended, TimeRefused
from loyalty.models import Liability, Program
from loyalty.selectors import database_clock
from loyalty.states import ProgramState
from loyalty.workers import Outcome, Worker, count_execution
from opsconsole.core.actors import Actor
from opsconsole.core.faults import crashpoint
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import record

PERMISSION: Final = "loyalty.adjust_points"

OnProgress = Callable[["Expired", int], None]


@dataclass(slots=True)
class Expired:
    """What has expired in this run: of how many members, and how many points."""

    members: int = 0
    points: int = 0


def expire_points(
    *, program_id: UUID, as_of: datetime | None = None, on_progress: OnProgress = lambda _e, _n: None, actor: Actor
) -> Expired:
    """Take the points that are old enough from all members of a program, then add up what is still owed.

    No operation itself: each chunk is one. A run that is killed leaves whole chunks; the next one takes what is left,
    and one more finds nothing. `on_progress` is told what has expired and in how many members' chunks it looks.
    Raises Denied, ProgramSuspended (nobody could have spent their points) and TimeRefused.
    """
    program = access.program_to_use(actor, program_id, PERMISSION)
    at = as_of or timezone.now()
    _require_open(program, at)
    done = Expired()
    chunks = expiry.candidates(program, at)
    for number, chunk in enumerate(chunks, 1):
        expired = expire_chunk(program_id=program.pk, balance_ids=chunk.ids, as_of=at, actor=actor)
        crashpoint("loyalty.expiry.after_chunk")
        done.members += expired.members
        done.points += expired.points
        on_progress(done, round(number * 100 / len(chunks)))
    finish_expiry(program_id=program.pk, as_of=at, expired=done, actor=actor)
    return done


@operation
def expire_chunk(*, program_id: UUID, balance_ids: Sequence[UUID], as_of: datetime, actor: Actor) -> Expired:
    """Take from these members what is old enough, less what is locked; once, however often it is called."""
    program = access.program_to_use(actor, program_id, PERMISSION)
    _require_open(program, as_of)
    members, points = expiry.hold(program, balance_ids, as_of)
    if members:
        record(actor, "points.expired", program, after={"as_of": as_of, "members": members, "points": points})
        crashpoint("loyalty.expiry.in_chunk")
        expiry.post(as_of)
    return Expired(members, points)


@operation
def finish_expiry(*, program_id: UUID, as_of: datetime, expired: Expired, actor: Actor) -> list[Liability]:
    """Add up what is still owed to the program's members, by the month in which it expires, and tell what has."""
    program = access.program_to_use(actor, program_id, PERMISSION)
    expiry.take_turn(program)  # two runs may end together, and the months are written anew
    owed = expiry.liability(program, as_of)
    Liability.objects.filter(program=program).delete()
    made = Liability.objects.bulk_create(Liability(program=program, **asdict(month)) for month in owed)
    facts = {"as_of": as_of, "points": sum(month.points for month in owed), "months": len(owed)}
    record(actor, "liability.worked_out", program, after=facts)
    if expired.members:
        about = {"program": program.name, "members": expired.members, "points": expired.points}
        emit("points.expired", kind=Program._meta.db_table, id=program.pk, data=about)
    count_execution(Worker.POINTS_EXPIRER, Outcome.SUCCEEDED)
    return made


def _require_open(program: Program, as_of: datetime) -> None:
    if program.status != ProgramState.ACTIVE:
        raise ProgramSuspended(_("Program is suspended"), program=str(program.pk))
    if as_of > max(timezone.now(), database_clock()):
        raise TimeRefused(_("Points do not expire before their time."), errors={"asOf": [_("is in the future")]})
