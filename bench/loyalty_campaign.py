"""A campaign of a million members, launched and awarded by two real workers, beside bare SQL on tables with the same
columns and indexes and without a rule: one INSERT ... SELECT and one UPDATE in one transaction.

The workers' time is from the word that wakes one of them to the campaign's end: the launch with its frozen audience, a
hundred chunks with a journal entry each, and the end. The floor is taken before and after; what counts is their mean.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from statistics import mean

import psycopg
from django.db.models import Count, Sum
from django.utils import timezone

from bench.figures import Figure
from bench.members import a_program, bare, enrol, person, quiet, seconds, superuser, told
from bench.processes import process
from loyalty.books.reconcile import reconcile
from loyalty.jobs.campaigns import execute_campaign
from loyalty.models import Campaign, Program, Transaction
from loyalty.services import campaigns, launches
from opsconsole.approvals import services as approvals
from opsconsole.core.models import WorkerHeartbeat

MEMBERS = 1_000_000
POINTS = 10
WORKERS = 2  # as many as `make up` runs
PATIENCE = 600.0  # seconds
AGAIN = "make bench ARGS=loyalty_campaign"


def run(*, scale: float) -> list[Figure]:
    """Freezing, awarding, and a second run."""
    members = int(MEMBERS * scale)
    with a_program("bench campaign") as program, superuser() as db:
        with told(f"{members:,} members enrolled"):
            enrol(program, members)
        with _tables(db):
            before = _floors(db, program)
            campaign = _agreed_to(program, members)
            quiet(db)
            frozen, done = _carried_out(campaign)
            after = _floors(db, program)
        counted = seconds(lambda: _given(campaign))
        given, second = _given(campaign), seconds(lambda: execute_campaign(str(campaign.pk)))
        if given != (members, members * POINTS) or _given(campaign) != given:
            raise RuntimeError(f"{given} were given, and {_given(campaign)} after a second run")
        if (found := reconcile(program.pk)).drift or found.transactions != members:
            raise RuntimeError(f"the books do not agree: {found}")
    freezing, awarding = (mean(pair) for pair in zip(before, after, strict=True))
    of = f"{members:,} members"
    return [
        Figure(
            f"campaign of {of}, from the word to its end", done, freezing + awarding, "s", "frozen and awarded, bare",
            0.66, AGAIN, lower_is_better=True, target=25.0,
        ),
        Figure(
            f"campaign of {of}, awarded", done - frozen, awarding, "s", "bare INSERT ... SELECT and UPDATE", 0.66,
            AGAIN, lower_is_better=True,
        ),
        Figure(
            f"campaign of {of}, audience frozen", frozen, freezing, "s", "bare INSERT ... SELECT row_number()", 0.4,
            AGAIN, lower_is_better=True, target=5.0,
        ),
        Figure(
            f"campaign of {of}, run a second time", second, counted, "s", "counting what it gave", 1.0, AGAIN,
            lower_is_better=True, target=10.0,
        ),
    ]  # fmt: skip


@contextmanager
def _tables(db: psycopg.Connection) -> Iterator[None]:
    tables = ("loyalty_balances", "loyalty_transactions", "loyalty_campaign_audience")
    with bare(db, tables[0]), bare(db, tables[1]), bare(db, tables[2]):
        yield


def _floors(db: psycopg.Connection, program: Program) -> tuple[float, float]:
    """Seconds for freezing and for awarding, without rules."""
    facts = {"program": program.pk, "campaign": program.pk, "points": POINTS}
    db.execute("truncate bench_loyalty_balances, bench_loyalty_transactions, bench_loyalty_campaign_audience")
    db.execute("insert into bench_loyalty_balances select * from loyalty_balances")
    db.execute("vacuum analyze bench_loyalty_balances")
    quiet(db)
    freezing = seconds(
        lambda: db.execute(
            "insert into bench_loyalty_campaign_audience (campaign_id, ordinal, balance_id, points)"
            " select %(campaign)s, row_number() over (order by id), id, %(points)s from bench_loyalty_balances"
            " where program_id = %(program)s",
            facts,
        )
    )
    quiet(db)

    def award() -> None:
        with db.transaction():
            db.execute(
                "insert into bench_loyalty_transactions (balance_id, event_type, amount, campaign_id)"
                " select balance_id, 'bonus', points, campaign_id from bench_loyalty_campaign_audience",
            )
            db.execute(
                "update bench_loyalty_balances set points_balance = points_balance + %(points)s, updated_at = now()"
                " where program_id = %(program)s",
                facts,
            )

    awarding = seconds(award)
    print(f"bench: bare: frozen in {freezing:.1f} s, awarded in {awarding:.1f} s", file=sys.stderr, flush=True)
    return freezing, awarding


def _agreed_to(program: Program, members: int) -> Campaign:
    marketing, finance = person("ops_marketing"), person("finance_ops")
    campaign = campaigns.create_campaign(
        program_id=program.pk, name="Bench", bonus_points=POINTS, start_date=timezone.now() - timedelta(seconds=1),
        actor=marketing,
    )  # fmt: skip
    asked = launches.schedule_campaign(campaign_id=campaign.pk, actor=marketing)
    approvals.decide_request(
        request_id=asked.request.pk, approved=True, comments="benchmark", signature="", actor=finance
    )
    campaign.refresh_from_db()
    if campaign.estimated_users != members:
        raise RuntimeError(f"the preview finds {campaign.estimated_users} members")
    return campaign


def _carried_out(campaign: Campaign) -> tuple[float, float]:
    """Seconds from waking the worker until the audience is frozen, and until the campaign is completed."""
    with ExitStack() as workers:
        for _ in range(WORKERS):
            workers.enter_context(process("manage.py", "worker", "campaigns"))
        _until(_alive)
        started = time.perf_counter()
        launches.request_execution(campaign_id=campaign.pk, actor=person("ops_marketing"))
        _until(lambda: _status(campaign) != "scheduled")
        frozen = time.perf_counter() - started
        _until(lambda: _status(campaign) not in ("scheduled", "running"))
        done = time.perf_counter() - started
    if (status := _status(campaign)) != "completed":
        raise RuntimeError(f"the campaign is {status}: {Campaign.objects.get(pk=campaign.pk).failure}")
    return frozen, done


def _alive() -> bool:
    return WorkerHeartbeat.objects.filter(queues__contains="campaigns").count() >= WORKERS


def _status(campaign: Campaign) -> str:
    return str(Campaign.objects.values_list("status", flat=True).get(pk=campaign.pk))


def _given(campaign: Campaign) -> tuple[int, int]:
    """Members and points, out of the ledger."""
    found = Transaction.objects.filter(campaign_id=campaign.pk).aggregate(members=Count("pk"), points=Sum("amount"))
    return found["members"], int(found["points"] or 0)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing came of it in {PATIENCE:.0f} s")
        time.sleep(0.02)
