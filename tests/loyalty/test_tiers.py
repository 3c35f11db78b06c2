"""Tiers: reached at once, lost after a time of grace, by what was earned in a window and nothing else."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from rest_framework.test import APIClient

from loyalty.due import programs_asked_for, programs_not_since
from loyalty.errors import NothingToDo, TierInvalid, TierNotFound, TimeRefused
from loyalty.importing.files import PurchaseFile
from loyalty.jobs import tiers as jobs
from loyalty.models import Balance, Program, Tier, TierSnapshot, Transaction
from loyalty.services import points, programs, purchases, tiers
from loyalty.services.purchases import Source
from loyalty.services.tiers import ASKED, EVALUATED, TierFacts
from loyalty.standing import GRACE, Evaluation
from loyalty.workers import executions
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied
from opsconsole.core.models import OutboxEvent
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry
from tests.conftest import superuser_dsn
from tests.faults.processes import wait_for
from tests.loyalty.purchases import EXTRACT, customers_of

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


@pytest.fixture
def define(program: Program, marketing: Actor) -> Callable[..., Tier]:
    """Define a tier of the program."""

    def make(name: str, rank: int, threshold: int, **more: Any) -> Tier:
        facts = TierFacts(name, rank, threshold, **more)
        made = tiers.define_tier(program_id=program.pk, facts=facts, actor=marketing)
        assert isinstance(made, Tier)
        return made

    return make


@pytest.fixture
def evaluate(program: Program, marketing: Actor) -> Callable[..., Evaluation]:
    """Evaluate the program's tiers, as of a time."""
    return lambda as_of=None: tiers.evaluate_tiers(program_id=program.pk, as_of=as_of, actor=marketing)


@pytest.fixture
def earned(connect_as: Callable[[str], Any], member: Callable[..., Balance]) -> Callable[..., Balance]:
    """A member who earned points so long ago, by way of a pasted INSERT: the API earns now."""

    def make(user_id: str, amount: int, ago: timedelta, event: str = "earn") -> Balance:
        found = Balance.objects.filter(user_id=user_id).first()
        if found is None:
            Balance.objects.create(program=Program.objects.get(name="Club"), user_id=user_id)
            found = Balance.objects.get(user_id=user_id)
        connect_as("operator").execute(
            "insert into loyalty_transactions (balance_id, event_type, amount, created_at) values (%s, %s, %s, %s)",
            [found.pk, event, amount, timezone.now() - ago],
        )
        return found

    return make


def standing() -> dict[str, str | None]:
    return dict(Balance.objects.order_by("user_id").values_list("user_id", "tier__name"))


def test_tiers_of_the_real_purchases_are_what_the_raw_lines_say(
    program: Program, marketing: Actor, define: Callable[..., Tier], evaluate: Callable[..., Evaluation]
) -> None:
    path = Path(os.environ.get("OPS_REAL_DATA", EXTRACT))
    Program.objects.filter(pk=program.pk).update(budget_limit=10_000_000)
    file = PurchaseFile(path, until=timezone.now())
    source = Source(file.source, path.name, file.head())
    purchases.import_purchases(
        program_id=program.pk,
        lines=file,
        source=source,
        on_bad=lambda bad: pytest.fail(str(bad)),
        on_progress=lambda _: None,
        actor=marketing,
    )
    for name, rank, threshold, months in (("bronze", 1, 20, 12), ("silver", 2, 100, 12), ("gold", 3, 60, 1)):
        define(name, rank, threshold, window_months=months)
    as_of = datetime(1997, 6, 1, tzinfo=UTC)
    done = evaluate(as_of)
    windows = {12: datetime(1996, 6, 1, tzinfo=UTC), 1: datetime(1997, 5, 1, tzinfo=UTC)}

    def within(earned: list[tuple[datetime, int]], months: int) -> int:
        return sum(amount for at, amount in earned if windows[months] < at <= as_of)

    content = path.read_bytes()
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).decode().splitlines()[1:]
    wanted: dict[str, str | None] = {}
    for name, customer in customers_of(lines).items():
        year, month = within(customer.earned, 12), within(customer.earned, 1)
        wanted[name] = "gold" if month >= 60 else "silver" if year >= 100 else "bronze" if year >= 20 else None
    assert standing() == wanted
    assert set(wanted.values()) == {None, "bronze", "silver", "gold"}
    with_tier = sum(tier is not None for tier in wanted.values())
    assert (done.members, done.upgraded, done.downgraded) == (len(wanted), with_tier, 0)
    assert TierSnapshot.objects.filter(move="upgrade").count() == with_tier


def test_up_at_once_and_down_after_grace(
    define: Callable[..., Tier], earned: Callable[..., Balance], evaluate: Callable[..., Evaluation]
) -> None:
    define("silver", 1, 100)
    gold = define("gold", 2, 1000)
    now = timezone.now()
    earned("alice", 1000, 364 * DAY)
    assert evaluate().upgraded == 1
    assert standing() == {"alice": "gold"}
    snapshot = TierSnapshot.objects.get()
    assert (snapshot.was_id, snapshot.now_id, snapshot.move, snapshot.points_in_window) == (
        None,
        gold.pk,
        "upgrade",
        1000,
    )
    assert snapshot.created_at >= now  # which is how runbook 6 counts today's
    assert evaluate() == Evaluation(1, 0, 0, 0, snapshot.rule_version)  # again: nothing
    # What was earned falls out of the window: grace begins with the first evaluation that sees it.
    _later(364 * DAY, 2 * DAY)
    below = evaluate()
    assert (below.downgraded, below.in_grace) == (0, 1)
    assert standing() == {"alice": "gold"}
    Balance.objects.update(tier_below_since=timezone.now() - GRACE + DAY)
    assert evaluate().downgraded == 0
    Balance.objects.update(tier_below_since=timezone.now() - GRACE)
    earned("alice", 150, DAY)
    assert evaluate().downgraded == 1
    assert standing() == {"alice": "silver"}  # not lower than what is earned
    assert list(TierSnapshot.objects.order_by("created_at").values_list("move", flat=True)) == ["upgrade", "downgrade"]
    assert Balance.objects.get().tier_below_since is None


def test_an_earn_that_waits_for_an_evaluation_has_the_tier_that_came_of_it(
    program: Program, member: Callable[..., Balance], marketing: Actor, superuser: psycopg.Connection[Any]
) -> None:
    silver, gold = (
        Tier.objects.create(program=program, name=name, rank=times, threshold=times, multiplier=times)
        for name, times in (("silver", 2), ("gold", 3))
    )
    alice = member("alice", 500)
    Balance.objects.update(tier=silver)

    def waits() -> bool:
        # Not asked in the transaction that holds the member: one sees the sessions as they were when it first looked.
        with connection.cursor() as cursor:
            cursor.execute(
                "select exists(select from pg_stat_activity where datname = current_database()"
                " and wait_event_type = 'Lock' and query like '%loyalty_move%')"
            )
            return bool(cursor.fetchone()[0])

    def earn() -> int:
        try:
            return points.earn_points(program_id=program.pk, user_id="alice", spent=Decimal(10), actor=marketing).points
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with superuser.transaction():
            superuser.execute("update loyalty_balances set tier_id = %s where id = %s", [gold.pk, alice.pk])
            earning = pool.submit(earn)
            wait_for("the earn to wait for the member", waits)
        assert earning.result() == 30  # neither of the tier before, nor of none


def test_grace_ends_when_the_tier_is_earned_again(
    define: Callable[..., Tier], earned: Callable[..., Balance], evaluate: Callable[..., Evaluation]
) -> None:
    define("gold", 1, 1000)
    earned("alice", 1000, DAY)
    evaluate()
    Balance.objects.update(tier_below_since=timezone.now() - GRACE)
    assert evaluate().downgraded == 0
    assert Balance.objects.get().tier_below_since is None
    assert TierSnapshot.objects.count() == 1


def test_only_what_is_earned_and_not_taken_back_counts(
    member: Callable[..., Balance],
    define: Callable[..., Tier],
    earned: Callable[..., Balance],
    evaluate: Callable[..., Evaluation],
    marketing: Actor,
) -> None:
    define("gold", 1, 500)
    earned("bonus", 900, DAY, event="bonus")
    earned("adjusted", 900, DAY, event="adjust")
    spent = member("spent", 500)
    points.redeem_points(program_id=spent.program_id, user_id="spent", points=500, actor=marketing)
    back = Transaction.objects.get(balance=member("back", 500))
    points.reverse_transaction(transaction_id=back.pk, points=1, reason="returned goods", actor=marketing)
    erased = member("erased", 900)
    Balance.objects.filter(pk=erased.pk).update(erased_at=timezone.now())
    evaluate()
    assert standing() == {"adjusted": None, "back": None, "bonus": None, "erased": None, "spent": "gold"}


def test_another_program_is_another_matter(
    person: Callable[..., Actor], member: Callable[..., Balance], define: Callable[..., Tier], marketing: Actor
) -> None:
    define("gold", 1, 100)
    other = programs.create_program(name="Other", budget_limit=Decimal(1000), actor=marketing)
    member("alice", 500)
    member("bob", 500, program_id=other.pk)
    done = tiers.evaluate_tiers(program_id=other.pk, actor=marketing)
    assert (done.members, done.upgraded) == (1, 0)
    assert standing() == {"alice": None, "bob": None}


def test_the_future_is_not_evaluated(evaluate: Callable[..., Evaluation], define: Callable[..., Tier]) -> None:
    define("gold", 1, 100)
    with pytest.raises(TimeRefused):
        evaluate(timezone.now() + DAY)
    assert not Entry.objects.filter(verb=EVALUATED).exists()


def test_an_evaluation_is_journalled_counted_and_told(
    program: Program, member: Callable[..., Balance], define: Callable[..., Tier], evaluate: Callable[..., Evaluation]
) -> None:
    first = define("gold", 1, 100)
    member("alice", 500)
    done = evaluate()
    entry = Entry.objects.get(verb=EVALUATED)
    assert (entry.subject_kind, entry.subject_id) == ("loyalty_programs", str(program.pk))
    assert entry.content["after"] | {"as_of": ""} == {
        "as_of": "",
        "members": 1,
        "upgraded": 1,
        "downgraded": 0,
        "in_grace": 0,
        "rule_version": done.rule_version,
    }
    assert OutboxEvent.objects.get(topic=EVALUATED).data["upgraded"] == 1
    assert executions()["tier_evaluator", "succeeded"] == 1
    tiers.change_tier(tier_id=first.pk, changes={"threshold": 101}, reason="x", actor=SYSTEM("test"))
    assert evaluate().rule_version != done.rule_version


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        (TierFacts("", 3, 5000), {"name"}),
        (TierFacts("gold", 3, 5000), {"name"}),
        (TierFacts("other", 2, 5000), {"rank"}),
        (TierFacts("other", 0, 5000), {"rank", "threshold"}),
        (TierFacts("other", 3, 900), {"threshold"}),
        (TierFacts("other", 3, 5000, window_months=0), {"window_months"}),
        (TierFacts("other", 3, 5000, multiplier=Decimal(0)), {"multiplier"}),
        (TierFacts("other", 3, -1), {"threshold"}),
    ],
)
def test_what_is_no_tier_is_refused(
    program: Program, define: Callable[..., Tier], marketing: Actor, facts: TierFacts, where: set[str]
) -> None:
    define("gold", 2, 1000)
    with pytest.raises(TierInvalid) as refused:
        tiers.define_tier(program_id=program.pk, facts=facts, actor=marketing)
    assert set(refused.value.fields["errors"]) == where
    assert Tier.objects.count() == 1


def test_a_tier_is_changed_with_a_reason_and_stays(
    define: Callable[..., Tier], marketing: Actor, connect_as: Callable[[str], Any]
) -> None:
    gold = define("gold", 1, 1000)
    changed = tiers.change_tier(tier_id=gold.pk, changes={"threshold": 1200}, reason="too many", actor=marketing)
    assert isinstance(changed, Tier)
    assert changed.threshold == 1200
    entry = Entry.objects.get(verb="tier.changed").content
    assert (entry["before"]["threshold"], entry["after"], entry["reason"]) == (1000, {"threshold": 1200}, "too many")
    with pytest.raises(NothingToDo):
        tiers.change_tier(tier_id=gold.pk, changes={"threshold": 1200}, reason="x", actor=marketing)
    with pytest.raises(psycopg.errors.CheckViolation, match="append-only"):
        connect_as("operator").execute("delete from loyalty_tiers")


def test_pasted_sql_gives_a_member_a_tier_of_their_program(
    member: Callable[..., Balance], define: Callable[..., Tier], connect_as: Callable[[str], Any], marketing: Actor
) -> None:
    gold, alice, operator = define("gold", 1, 1000), member("alice", 5), connect_as("operator")
    other = programs.create_program(name="Other", budget_limit=Decimal(1000), actor=marketing)
    bob = member("bob", 5, program_id=other.pk)
    operator.execute("update loyalty_balances set tier_id = %s where id = %s", [gold.pk, alice.pk])
    for tier, balance in ((gold.pk, bob.pk), (alice.pk, alice.pk)):
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            operator.execute("update loyalty_balances set tier_id = %s where id = %s", [tier, balance])
        assert refused.value.diag.constraint_name == "tier_of_program"
    assert standing() == {"alice": "gold", "bob": None}


def test_a_denied_actor_changes_nothing(
    program: Program, define: Callable[..., Tier], auditor: Actor, person: Callable[..., Actor]
) -> None:
    gold = define("gold", 1, 1000)
    entries = Entry.objects.count()
    for attempt in (
        lambda: tiers.define_tier(program_id=program.pk, facts=TierFacts("x", 2, 2000), actor=auditor),
        lambda: tiers.change_tier(tier_id=gold.pk, changes={"rank": 2}, reason="x", actor=auditor),
        lambda: tiers.evaluate_tiers(program_id=program.pk, actor=auditor),
        lambda: tiers.request_evaluation(program_id=program.pk, actor=auditor),
        lambda: tiers.request_evaluation(actor=auditor),
    ):
        with pytest.raises(Denied):
            attempt()
    with pytest.raises(TierNotFound):
        tiers.change_tier(tier_id=gold.pk, changes={"rank": 2}, reason="x", actor=person("dev"))
    assert Entry.objects.count() == entries
    assert Tier.objects.count() == 1


class TestDoors:
    def test_the_runbooks_curl_has_a_worker_evaluate(
        self,
        program: Program,
        member: Callable[..., Balance],
        define: Callable[..., Tier],
        api: Callable[..., APIClient],
    ) -> None:
        define("gold", 1, 100)
        member("alice", 500)
        answer = api("admin").post("/api/workers/tier-evaluation", {"programId": str(program.pk)}, format="json")
        assert answer.status_code == 202
        assert answer.json() == {"status": "accepted", "programIds": [str(program.pk)]}
        assert api("admin").post("/api/workers/tier-evaluation", {}, format="json").json() == answer.json()
        # The wake-up may be lost: the ask is in the journal until it is done.
        assert programs_asked_for(ASKED, EVALUATED) == [program.pk]
        jobs.evaluate(str(program.pk))
        assert programs_asked_for(ASKED, EVALUATED) == []
        assert standing() == {"alice": "gold"}
        assert executions()["tier_evaluator", "succeeded"] == 1

    def test_tiers_over_http(self, program: Program, api: Callable[..., APIClient]) -> None:
        client = api("ops_marketing")
        body = {"programId": str(program.pk), "name": "Gold", "rank": 1, "threshold": 500, "multiplier": "1"}
        made = client.post("/api/tiers", body, format="json")
        assert made.status_code == 201
        assert made.json() | {"id": "", "createdAt": ""} == {
            **body, "id": "", "createdAt": "", "windowMonths": 12, "multiplier": "1.000",
        }  # fmt: skip
        wrong = client.post("/api/tiers", {**body, "rank": 2}, format="json")
        assert wrong.status_code == 400
        assert set(wrong.json()["errors"]) == {"name", "threshold"}
        changed = client.patch(
            f"/api/tiers/{made.json()['id']}", {"windowMonths": 6, "reason": "shorter"}, format="json"
        )
        assert changed.json()["windowMonths"] == 6
        assert [tier["name"] for tier in client.get("/api/tiers").json()["results"]] == ["Gold"]

    def test_the_command(
        self,
        member: Callable[..., Balance],
        define: Callable[..., Tier],
        marketing: Actor,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        assert marketing.user is not None
        monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(marketing.user))
        define("gold", 1, 100)
        member("alice", 500)
        said = []
        for more in (["--as-of", "1998-01-01"], []):
            out = StringIO()
            call_command("loyalty_evaluate_tiers", "--program", "Club", "--as", "ops_marketing", *more, stdout=out)
            said.append(out.getvalue().partition(";")[0])
        assert said == [
            "1 members: 0 went up, 0 went down, 0 are below their tier in grace",
            "1 members: 1 went up, 0 went down, 0 are below their tier in grace",
        ]
        with pytest.raises(CommandError, match="'0001-01-01' is before 1970-01-01"):
            call_command(
                "loyalty_evaluate_tiers", "--program", "Club", "--as", "ops_marketing", "--as-of", "0001-01-01"
            )


class TestJobs:
    def test_a_program_with_tiers_is_due_once_a_day(
        self, program: Program, define: Callable[..., Tier], evaluate: Callable[..., Evaluation]
    ) -> None:
        with_tiers = Q(tiers__isnull=False)
        assert programs_not_since(EVALUATED, DAY, with_tiers) == []
        define("silver", 1, 100)
        define("gold", 2, 200)
        assert programs_not_since(EVALUATED, DAY, with_tiers) == [program.pk]
        evaluate()
        assert programs_not_since(EVALUATED, DAY, with_tiers) == []
        assert programs_not_since(EVALUATED, timedelta(0), with_tiers) == [program.pk]

    def test_what_goes_wrong_is_counted_journalled_and_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        jobs.evaluate("0198c0de-0000-7000-8000-000000000000")
        assert executions()["tier_evaluator", "refused"] == 1
        entry = Entry.objects.get(verb="worker.faulted")
        assert (entry.subject_id, entry.content["after"]["refused"]) == ("tier_evaluator", True)
        assert "TIER_EVALUATOR" in caplog.text


def _later(ago: timedelta, by: timedelta) -> None:
    """Let time pass for what was earned so long ago: nobody may change the ledger but a superuser without triggers."""
    with psycopg.connect(superuser_dsn(connection.settings_dict["NAME"]), autocommit=True) as su:
        su.execute("set session_replication_role = replica")
        su.execute(
            "update loyalty_transactions set created_at = created_at - %s where created_at < %s",
            [by, timezone.now() - ago + DAY],
        )
