"""Points expire first in, first out: what the ledger's sums say is what following every lot by hand says."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import psycopg
import pytest
from dateutil.relativedelta import relativedelta
from django.core.management import call_command
from django.db import connection
from django.db.models import Q, Sum
from django.utils import timezone

from loyalty import expiry as working
from loyalty.due import programs_not_since
from loyalty.errors import ProgramSuspended, TimeRefused
from loyalty.expiry import Preview, liability, preview
from loyalty.jobs import expiry as jobs
from loyalty.models import Balance, Liability, Program, Transaction
from loyalty.services import expiry, members
from loyalty.services.expiry import Expired
from loyalty.workers import executions
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied
from opsconsole.core.models import OutboxEvent
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)

VALID_MONTHS = 12
DAY = timedelta(days=1)
TESTER = SYSTEM("test")


@pytest.fixture(autouse=True)
def expiring(program: Program) -> Program:
    """The program's points are valid for a year."""
    Program.objects.filter(pk=program.pk).update(points_valid_months=VALID_MONTHS)
    program.refresh_from_db()
    return program


@pytest.fixture
def move(program: Program, connect_as: Callable[[str], Any]) -> Callable[..., UUID]:
    """Write a movement of a member at some time, as a pasted INSERT does."""
    operator = connect_as("operator")

    def write(user_id: str, event: str, amount: int, at: datetime, reverses: UUID | None = None) -> UUID:
        Balance.objects.get_or_create(program=program, user_id=user_id)
        written: UUID = operator.execute(
            "insert into loyalty_transactions (balance_id, event_type, amount, created_at, reverses_id)"
            " select id, %s, %s, %s, %s from loyalty_balances where user_id = %s returning id",
            [event, amount, at, reverses, user_id],
        ).fetchone()[0]
        return written

    return write


Move = Callable[..., UUID]


@dataclass(slots=True)
class Lot:
    """Points that came at once, and what is left of them."""

    at: datetime
    left: int


def ago(days: int) -> datetime:
    return timezone.now() - days * DAY


def expire(program: Program, **more: Any) -> Expired:
    return expiry.expire_points(program_id=program.pk, actor=TESTER, **more)


def points_of(user_id: str) -> int:
    return Balance.objects.get(user_id=user_id).points_balance


def first_in_first_out(movements: list[tuple[UUID, str, int, datetime, UUID | None]]) -> list[Lot]:
    """Follow every lot by hand: reversals are parts of what they take back, what goes takes the oldest first."""
    net = {key: [amount, at] for key, _event, amount, at, reverses in movements if reverses is None}
    for _key, _event, amount, _at, reverses in movements:
        if reverses is not None:
            net[reverses][0] += amount
    lots = [Lot(at, amount) for amount, at in sorted(net.values(), key=lambda one: one[1]) if amount > 0]
    gone = -sum(amount for amount, _at in net.values() if amount < 0)
    for lot in lots:
        taken = min(lot.left, gone)
        lot.left -= taken
        gone -= taken
    return lots


def test_what_expires_is_what_following_each_lot_says(program: Program, move: Move) -> None:
    """Thirty members with random histories: preview, calendar and what is taken, against lots followed by hand."""
    chance = random.Random(20_261)
    now = timezone.now()
    cutoff = now - relativedelta(months=VALID_MONTHS)
    due_points, due_members, owed = 0, 0, dict[date | None, int]()
    wanted = dict[str, int]()
    for number in range(30):
        history: list[tuple[UUID, str, int, datetime, UUID | None]] = []
        held, name = 0, f"m{number}"

        def note(event: str, amount: int, at: datetime, reverses: UUID | None = None) -> None:
            history.append((move(name, event, amount, at, reverses), event, amount, at, reverses))  # noqa: B023

        for _ in range(chance.randrange(1, 12)):
            at = ago(chance.randrange(1, 900))
            match chance.randrange(6):
                case 0 | 1 | 2:
                    amount = chance.randrange(1, 300)
                    note(chance.choice(["earn", "bonus", "adjust"]), amount, at)
                case 3 if held:
                    amount = -chance.randrange(1, held + 1)
                    note(chance.choice(["redeem", "adjust"]), amount, at)
                case _:
                    free = {key for key, *_ in history} - {reverses for *_, reverses in history if reverses}
                    back = [one for one in history if one[0] in free and one[4] is None and held >= one[2]]
                    if not back:
                        continue
                    original = chance.choice(back)
                    amount = -original[2]
                    note("reverse", amount, now, original[0])
            held += amount
        lots = first_in_first_out(history)
        due = sum(lot.left for lot in lots if lot.at <= cutoff)
        due_points += due
        due_members += due > 0
        wanted[name] = held - due
        for lot in lots:
            month = lot.at.replace(day=1) + relativedelta(months=VALID_MONTHS)
            key = None if lot.at <= cutoff else month.date()
            owed[key] = owed.get(key, 0) + lot.left
    assert preview(program, now) == Preview(due_members, due_points, 0, 0, 0, 0)
    assert {month.month: month.points for month in liability(program, now)} == {k: v for k, v in owed.items() if v}
    assert due_members > 5
    done = expire(program, as_of=now)
    assert (done.members, done.points) == (due_members, due_points)
    found = dict(Balance.objects.values_list("user_id", "points_balance"))
    assert {name: found[name] for name in wanted if name in found} == {n: v for n, v in wanted.items() if n in found}
    assert preview(program, now) == Preview(0, 0, 0, 0, 0, 0)
    stored = dict(Liability.objects.values_list("month", "points"))
    assert stored == {month: points for month, points in owed.items() if points and month is not None}
    assert sum(stored.values()) == sum(found.values())


def test_twice_takes_once(program: Program, move: Move) -> None:
    move("alice", "earn", 500, ago(400))
    move("alice", "earn", 70, ago(10))
    assert expire(program) == Expired(1, 500)
    taken = Transaction.objects.get(event_type="expire")
    assert (taken.amount, taken.origin_txn_id) == (-500, f"expiry:{timezone.now():%Y-%m-%d}")
    assert expire(program) == Expired(0, 0)
    assert points_of("alice") == 70
    program.refresh_from_db()
    assert program.budget_spent == 570  # what was given was given
    entry = Entry.objects.get(verb="points.expired").content
    assert (entry["after"]["members"], entry["after"]["points"]) == (1, 500)
    assert OutboxEvent.objects.get(topic="points.expired").data["points"] == 500
    assert executions()["points_expirer", "succeeded"] == 2


def test_a_run_that_is_cut_off_goes_on(program: Program, move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        move(name, "earn", 100, ago(400))
    monkeypatch.setattr(working, "CHUNK", 1)

    def cut_off(_done: Expired, _percent: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        expire(program, on_progress=cut_off)
    assert Transaction.objects.filter(event_type="expire").count() == 1
    assert expire(program) == Expired(2, 200)
    assert Balance.objects.aggregate(points=Sum("points_balance"))["points"] == 0
    assert Entry.objects.filter(verb="points.expired").count() == 3


def test_two_runs_that_end_together_write_what_is_owed_once(
    program: Program, move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    move("alice", "earn", 70, ago(10))
    added_up, gate = working.liability, threading.Barrier(2)

    def together(program: Program, as_of: datetime) -> Any:
        months = added_up(program, as_of)
        with contextlib.suppress(threading.BrokenBarrierError):
            gate.wait(1)  # both have added up by now, if both can
        return months

    def end(_run: int) -> int:
        try:
            found = expiry.finish_expiry(program_id=program.pk, as_of=timezone.now(), expired=Expired(), actor=TESTER)
            return sum(month.points for month in found)
        finally:
            connection.close()

    monkeypatch.setattr(working, "liability", together)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(end, range(2))) == [70, 70]
    assert Liability.objects.get().points == 70


def test_locked_points_and_frozen_members_stay_until_they_can_be_spent(
    program: Program, move: Move, marketing: Actor, person: Callable[..., Actor]
) -> None:
    for name in ("locked", "frozen"):
        move(name, "earn", 500, ago(400))
    locked, frozen = (Balance.objects.get(user_id=name).pk for name in ("locked", "frozen"))
    members.lock_points(balance_id=locked, points=300, reason="investigation", actor=marketing)
    members.freeze_members(balance_ids=[frozen], reason="fraud alert", actor=marketing)
    assert preview(program, timezone.now()) == Preview(1, 200, 1, 500, 1, 300)
    assert expire(program) == Expired(1, 200)
    assert (points_of("locked"), points_of("frozen")) == (300, 500)
    risk = person("risk_manager")
    members.unlock_points(balance_id=locked, points=None, reason="cleared", actor=risk)
    members.unfreeze_members(balance_ids=[frozen], reason="cleared", actor=risk)
    assert expire(program) == Expired(2, 800)


def test_what_was_spent_meanwhile_is_not_taken(program: Program, move: Move, marketing: Actor) -> None:
    """The chunk counts again under its locks: a list of members may be old."""
    move("alice", "earn", 500, ago(400))
    now = timezone.now()
    (chunk,) = working.candidates(program, now)
    move("alice", "redeem", -450, now)
    done = expiry.expire_chunk(program_id=program.pk, balance_ids=chunk.ids, as_of=now, actor=TESTER)
    assert done == Expired(1, 50)
    assert expiry.expire_chunk(program_id=program.pk, balance_ids=chunk.ids, as_of=now, actor=TESTER) == Expired(0, 0)


def test_a_past_day_takes_what_was_old_enough_then(program: Program, move: Move) -> None:
    move("alice", "earn", 100, datetime(1997, 1, 1, tzinfo=UTC))
    move("alice", "earn", 100, datetime(1997, 6, 1, tzinfo=UTC))
    assert expire(program, as_of=datetime(1998, 1, 1, tzinfo=UTC)) == Expired(1, 100)
    months = list(Liability.objects.values_list("month", "members", "points"))
    assert months == [(date(1998, 6, 1), 1, 100)]


def test_another_program_keeps_its_points(program: Program, move: Move) -> None:
    other = Program.objects.create(name="Other", budget_limit=1000)
    move("alice", "earn", 100, ago(400))
    assert expire(other) == Expired(0, 0)
    assert preview(other, timezone.now()) == Preview(0, 0, 0, 0, 0, 0)
    assert liability(other, timezone.now()) == []
    Program.objects.filter(pk=other.pk).update(points_valid_months=1)
    assert expire(other) == Expired(0, 0)
    assert points_of("alice") == 100


def test_who_may_not_and_when_it_is_not_time(program: Program, move: Move, auditor: Actor) -> None:
    move("alice", "earn", 500, ago(400))
    ours = Entry.objects.exclude(verb="direct_sql")
    entries = ours.count()
    now = timezone.now()
    ids = [Balance.objects.get().pk]
    for attempt in (
        lambda: expiry.expire_points(program_id=program.pk, actor=auditor),
        lambda: expiry.expire_chunk(program_id=program.pk, balance_ids=ids, as_of=now, actor=auditor),
        lambda: expiry.finish_expiry(program_id=program.pk, as_of=now, expired=Expired(), actor=auditor),
    ):
        with pytest.raises(Denied):
            attempt()
    with pytest.raises(TimeRefused):
        expire(program, as_of=now + DAY)
    Program.objects.filter(pk=program.pk).update(status="suspended")
    with pytest.raises(ProgramSuspended):
        expire(program)
    assert ours.count() == entries
    assert points_of("alice") == 500


def test_the_job_is_due_once_a_day_and_tells_what_went_wrong(program: Program, move: Move) -> None:
    move("alice", "earn", 500, ago(400))
    expires = Q(points_valid_months__isnull=False)
    assert programs_not_since("liability.worked_out", DAY, expires) == [program.pk]
    jobs.expire(str(program.pk))
    assert points_of("alice") == 0
    assert programs_not_since("liability.worked_out", DAY, expires) == []
    with connection.cursor() as cursor:
        cursor.execute("update loyalty_programs set status = 'suspended'")
    jobs.expire(str(program.pk))
    assert executions()["points_expirer", "refused"] == 1


def test_the_command_shows_and_applies(
    program: Program, move: Move, marketing: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert marketing.user is not None
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(marketing.user))
    move("alice", "earn", 500, ago(400))
    move("alice", "earn", 70, ago(10))

    def run(*more: str) -> str:
        out = StringIO()
        call_command("loyalty_expire_points", "--program", "Club", "--as", "ops_marketing", *more, stdout=out)
        return out.getvalue()

    shown = run()
    assert shown.startswith("500 points of 1 members would expire. Held back: 0 points that are locked")
    assert "old enough" in shown
    assert points_of("alice") == 570
    assert run("--as-of", "1998-01-01").startswith("0 points of 0 members would expire.")
    assert run("--apply") == "500 points of 1 members have expired.\n"
    assert points_of("alice") == 70
    Program.objects.update(points_valid_months=None)
    assert run() == "Points of Club do not expire.\n"


def test_the_ledger_does_not_give_expired_points_back(move: Move) -> None:
    move("alice", "earn", 500, ago(400))
    taken = move("alice", "expire", -100, ago(1))
    with pytest.raises(psycopg.errors.CheckViolation, match="cannot be reversed"):
        move("alice", "reverse", 100, ago(0), taken)
