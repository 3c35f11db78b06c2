"""Real purchases: segments, fraud and awards are what SQL over the raw file says, on the extract or the whole file.

The whole file is taken where OPS_REAL_DATA names it. Balances are compared in test_import, tiers in test_tiers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from loyalty.fraud.patterns import PATTERNS
from loyalty.jobs import campaigns as jobs
from loyalty.models import Balance, Campaign, FraudHit, FraudRule, Program, Skip, Transaction
from loyalty.services import campaigns, fraud, fraud_rules, members, programs, tiers, trials, undoing
from loyalty.services.tiers import TierFacts
from opsconsole.core.actors import Actor
from opsconsole.core.tokens import create_token
from tests.loyalty.campaigns.conftest import Desk, assert_books_agree, execute, fresh
from tests.loyalty.rawfile import REAL, RawFile, raw_file

pytestmark = pytest.mark.django_db(transaction=True)

BEGINS, ENDS = datetime(1997, 1, 1, tzinfo=UTC), datetime(1998, 7, 1, tzinfo=UTC)


@pytest.fixture
def load(marketing: Actor, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Program]:
    """A program that the file is loaded into by the command, at a rate of points."""
    assert marketing.user is not None
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(marketing.user))

    def run(rate: int = 1) -> Program:
        if not Program.objects.exists():
            programs.create_program(
                name="Club", budget_limit=Decimal(1_000_000_000), earn_rate=Decimal(rate), actor=marketing
            )
        out = StringIO()
        call_command("loyalty_import_purchases", REAL, "--program", "Club", "--as", "ops_marketing", stdout=out)
        assert ", 0 refused in " in out.getvalue()
        return Program.objects.get()

    return run


@pytest.fixture
def desk(load: Callable[..., Program], marketing: Actor, finance: Actor) -> Desk:
    """Marketing and finance, over the purchases."""
    return Desk(load(), marketing, finance)


@pytest.fixture
def raw() -> Iterator[RawFile]:
    """The file at one point for what is paid."""
    with raw_file() as file:
        yield file


@pytest.fixture
def cents() -> Iterator[RawFile]:
    """The file at a hundred points for what is paid: so some days are above the limits of fraud."""
    with raw_file(rate=100) as file:
        yield file


# --- segments -------------------------------------------------------------------------------------------------------


def asked(raw: RawFile) -> list[tuple[Any, str]]:
    """Segments, each with what it means of the raw file's `customers c`; limits are figures that somebody has."""
    median, rich = raw.rows(
        "select (percentile_disc(array[0.5, 0.9]) within group (order by points))[1],"
        " (percentile_disc(array[0.5, 0.9]) within group (order by points))[2] from customers"
    )[0]
    some = [name for (name,) in raw.rows("select customer from customers order by md5(customer) limit 7")]
    balance, tier, joined, last = (
        {"var": name} for name in ("points_balance", "tier", "joined_at", "last_activity_at")
    )

    def in_days(work: str, since: str, until: str, event: Any = "earn") -> dict[str, Any]:
        return {work: {"event": event, "since": since, "until": until}}

    def within(work: str, since: str, until: str) -> str:
        return (
            f"(select {work} from earns e where e.customer = c.customer"
            f" and e.day between date '{since}' and date '{until}')"
        )

    spring, summer = ("1997-02-01", "1997-04-30"), ("1997-05-01", "1997-09-30")
    return [
        ({}, "true"),
        ({">=": [balance, median]}, f"c.points >= {median}"),
        ({">": [balance, median]}, f"c.points > {median}"),
        ({"<": [balance, rich]}, f"c.points < {rich}"),
        ({"between": [balance, median, rich]}, f"c.points between {median} and {rich}"),
        ({"in": [balance, [median, rich, -1]]}, f"c.points in ({median}, {rich})"),
        ({"!=": [{"var": "available"}, median]}, f"c.points <> {median}"),
        ({"==": [tier, "Silver"]}, "c.tier = 'Silver'"),
        ({"!=": [tier, "Silver"]}, "c.tier is distinct from 'Silver'"),
        ({">=": [tier, "Silver"]}, "c.tier in ('Silver', 'Gold')"),
        ({"<": [tier, "Silver"]}, "c.tier is null or c.tier = 'Bronze'"),
        ({"==": [tier, None]}, "c.tier is null"),
        ({"in": [tier, ["Bronze", "Gold"]]}, "c.tier in ('Bronze', 'Gold')"),
        ({"==": [joined, "1997-01-12"]}, "c.joined = date '1997-01-12'"),
        ({"<=": [joined, "1997-01-12"]}, "c.joined <= date '1997-01-12'"),
        ({">": [joined, "1997-01-12T00:00:00Z"]}, "c.joined > date '1997-01-12'"),
        ({"between": [joined, "1997-01-05", "1997-01-12"]}, "c.joined between date '1997-01-05' and date '1997-01-12'"),
        ({"<": [last, "1998-01-01"]}, "c.last < date '1998-01-01'"),
        ({">=": [last, "1997-06-01T02:00:00+02:00"]}, "c.last >= date '1997-06-01'"),
        ({">": [last, "1997-06-01T00:00:00Z"]}, "c.last > date '1997-06-01'"),
        ({"<": [last, {"days_ago": 3660}]}, "true"),
        ({"in": [{"var": "user_id"}, [*some, "nobody"]]}, f"c.customer in ({', '.join(map(repr, some))})"),
        ({"==": [{"var": "is_frozen"}, True]}, "false"),
        ({">=": [in_days("count", *spring), 2]}, f"{within('count(*)', *spring)} >= 2"),
        ({"==": [in_days("count", *spring), 0]}, f"{within('count(*)', *spring)} = 0"),
        (
            {">": [in_days("count", "1997-01-12T00:00:00Z", "1997-01-31T23:59:59Z", ["earn", "redeem"]), 0]},
            f"{within('count(*)', '1997-01-12', '1997-01-31')} > 0",
        ),
        (
            {">": [in_days("count", "1997-01-12T00:00:01Z", "1997-01-31"), 0]},
            f"{within('count(*)', '1997-01-13', '1997-01-31')} > 0",
        ),
        ({">=": [in_days("sum", *summer), 50]}, f"coalesce({within('sum(e.points)', *summer)}, 0) >= 50"),
        ({"<": [in_days("sum", *summer), 1]}, f"coalesce({within('sum(e.points)', *summer)}, 0) < 1"),
        ({">": [in_days("sum", *summer, "redeem"), 0]}, "false"),
        ({">": [{"count": {"event": "earn", "days": 3660}}, 0]}, "false"),
        (
            {"and": [{">=": [balance, median]}, {"<": [last, "1998-01-01"]}, {"not": {"==": [tier, "Gold"]}}]},
            f"c.points >= {median} and c.last < date '1998-01-01' and c.tier is distinct from 'Gold'",
        ),
        (
            {"or": [{">": [balance, rich]}, {">=": [in_days("count", *spring), 3]}, {"==": [joined, "1997-01-05"]}]},
            f"c.points > {rich} or {within('count(*)', *spring)} >= 3 or c.joined = date '1997-01-05'",
        ),
        (
            {"not": {"or": [
                {"and": [{">": [in_days("sum", *spring), 30]}, {"==": [in_days("count", *summer), 0]}]},
                {"and": [{"not": {">=": [tier, "Bronze"]}}, {"<": [last, "1997-03-01"]}]},
            ]}},
            f"not ((coalesce({within('sum(e.points)', *spring)}, 0) > 30 and {within('count(*)', *summer)} = 0)"
            " or (c.tier is null and c.last < date '1997-03-01'))",
        ),
    ]  # fmt: skip


def give_tiers(program: Program, actor: Actor) -> None:
    """The tiers of the raw file, as of its day."""
    for name, rank, threshold, months in (("Bronze", 1, 20, 12), ("Silver", 2, 100, 12), ("Gold", 3, 60, 1)):
        facts = TierFacts(name, rank, threshold, window_months=months)
        tiers.define_tier(program_id=program.pk, facts=facts, actor=actor)
    tiers.evaluate_tiers(program_id=program.pk, as_of=datetime(1997, 6, 1, tzinfo=UTC), actor=actor)


def test_segments_count_whom_the_raw_file_counts(desk: Desk, load: Callable[..., Program], raw: RawFile) -> None:
    give_tiers(desk.program, desk.marketing)
    drafted = desk.draft(bonus_points=3).pk

    def previewed(segment: Any) -> tuple[int, int]:
        campaigns.edit_campaign(campaign_id=drafted, changes={"target_segment": segment}, actor=desk.marketing)
        found = campaigns.preview_campaign(campaign_id=drafted, actor=desk.marketing).preview or {}
        return found["in_segment"], found["points"]

    questions = asked(raw)
    wanted = [raw.one(f"select count(*) from customers c where {meaning}") for _, meaning in questions]
    everybody, telling = wanted[0], {"true", "false"}
    assert all(0 < count < everybody for count, (_, told) in zip(wanted, questions, strict=True) if told not in telling)
    assert [previewed(segment) for segment, _ in questions] == [(count, 3 * count) for count in wanted]
    load()  # once more: nobody is counted twice
    assert [previewed(segment)[0] for segment, _ in questions[::5]] == wanted[::5]


# --- fraud ----------------------------------------------------------------------------------------------------------

# What each of the four shipped rules means, day by day: every purchase is at midnight, so a window of 24 hours that
# holds one holds those of its day and no others, and the 28 days before it are the 28 days before that day.
DAYS = "days as (select customer, day, count(*) as earns, sum(points) as points from earns group by customer, day)"
RULES = {
    "frequent_earner": f"""
      with {DAYS} select customer, day, jsonb_build_object('earns', earns, 'points', points) from days
      where earns > 50 or points > 10000""",
    "sudden_spike": f"""
      with {DAYS}, usual as (
        select d.customer, d.day, d.points, (select sum(e.points) from earns e where e.customer = d.customer
          and e.day >= d.day - 28 and e.day < d.day) / 28.0 as mean
        from days d)
      select customer, day,
        jsonb_build_object('points', points, 'usual', round(mean, 1), 'times', round(points / mean, 1))
      from usual where points >= 1000 and mean > 0 and points > 5 * mean""",
    "shared_address": "select customer, day, '{}'::jsonb from earns where false",  # a file has no addresses
    "frequent_redeemer": "select customer, day, '{}'::jsonb from earns where false",  # and nobody redeems in it
}


def by_query(rule: FraudRule, days: list[date]) -> dict[tuple[str, date], Any]:
    """Whom the rule's own query finds at the end of these days, with the facts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select b.user_id, (m.at at time zone 'UTC')::date - 1, f.facts"
            f" from unnest(%(moments)s::timestamptz[]) m (at) cross join lateral ({PATTERNS[rule.kind].query}) f"
            " join loyalty_balances b on b.id = f.balance_id",
            {**rule.limits, "networks": rule.allowed_networks, "moments": [midnight_after(day) for day in days]},
        )
        return {(customer, day): json.loads(facts) for customer, day, facts in cursor.fetchall()}


def test_the_shipped_rules_hit_whom_the_raw_file_shows(
    load: Callable[..., Program], cents: RawFile, person: Callable[..., Actor]
) -> None:
    load(rate=100)
    risk = person("risk_manager")
    assert set(RULES) == set(FraudRule.objects.values_list("code", flat=True))
    for rule in FraudRule.objects.order_by("code"):
        found = sorted(cents.rows(RULES[rule.code]), key=lambda hit: hit[1])
        wanted = {(customer, day): facts for customer, day, facts in found}
        first = {customer: day for customer, day, _ in reversed(found)}
        assert bool(wanted) == (rule.code in ("frequent_earner", "sudden_spike"))
        crowded = {day for day, _ in Counter(day for _, day in wanted).most_common(8)}
        days = sorted({*crowded, date(1997, 1, 2), date(1997, 8, 15), date(1998, 6, 30)})
        assert by_query(rule, days) == {hit: facts for hit, facts in wanted.items() if hit[1] in days}

        months = Counter(f"{day:%Y-%m}" for day in first.values())
        for _ in range(2):  # twice the same
            tried = fraud_rules.back_test_rule(rule_id=rule.pk, since=BEGINS, until=ENDS, actor=risk).backtest or {}
            assert (tried["members"], tried["by_month"]) == (len(first), months)

        # Looked at as of the end of some days, in their order: a hit for each member once, with the facts of that day.
        fraud_rules.switch_fraud_rule(rule_id=rule.pk, active=True, reason="tried", actor=risk)
        opened: dict[str, tuple[date, Any]] = {}
        for day in days:
            new = {name: (at, facts) for (name, at), facts in wanted.items() if at == day and name not in opened}
            looked = fraud.look_for(rule_id=rule.pk, as_of=midnight_after(day), actor=risk)
            assert looked.hits == len(new)
            opened |= new
        hits = FraudHit.objects.filter(rule=rule).values_list("balance__user_id", "as_of", "facts")
        assert {name: (at, facts) for name, at, facts in hits} == {
            name: (midnight_after(day), facts) for name, (day, facts) in opened.items()
        }
    assert not Balance.objects.filter(is_frozen=True).exists()  # a machine flags, and freezes nobody


def midnight_after(day: date) -> datetime:
    """The end of a day of UTC."""
    return datetime.combine(day, time(), tzinfo=UTC) + timedelta(days=1)


# --- a campaign -----------------------------------------------------------------------------------------------------


def freeze(raw: RawFile, desk: Desk) -> list[str]:
    """Freeze some members, chosen by the raw file; their names."""
    names = [name for (name,) in raw.rows("select customer from customers order by md5('x' || customer) limit 9")]
    chosen = list(Balance.objects.filter(user_id__in=names).values_list("pk", flat=True))
    members.freeze_members(balance_ids=chosen, reason="looked into", actor=desk.marketing)
    return names


def came_of(campaign: Campaign) -> tuple[dict[str, int], dict[str, str], dict[str, int]]:
    """Who was awarded how much, who was skipped and why, and what everybody has now."""
    awarded = Transaction.objects.filter(campaign_id=campaign.pk).values_list("balance__user_id", "amount")
    skipped = Skip.objects.filter(campaign=campaign).values_list("balance__user_id", "reason")
    balances = dict(Balance.objects.values_list("user_id", "points_balance"))
    found = dict(awarded), dict(skipped), balances
    assert (len(found[0]), len(found[1])) == (len(awarded), len(skipped))  # nobody twice
    return found


# Everybody of a segment gets 250 points once, but for the frozen; who was tested got theirs in the test run.
FLAT = """
    select c.customer, c.points,
      case when c.customer = any(%(frozen)s) then 'frozen' when c.customer = any(%(tested)s) then 'tested' end
    from customers c where c.points >= 100 and c.joined <= date '1997-02-28' and c.last >= date '1997-03-01'
"""
# Half of what was earned in March of 1997, cut to whole points, for those who had anything of it.
HALF = """
    select c.customer, floor(coalesce(sum(e.points), 0) / 2.0)::bigint,
      case when c.customer = any(%(frozen)s) then 'frozen'
           when floor(coalesce(sum(e.points), 0) / 2.0) = 0 then 'no_points' end
    from customers c left join earns e on e.customer = c.customer and e.day >= date '1997-03-01'
      and e.day < date '1997-04-01'
    where c.joined <= date '1997-02-15' group by c.customer
"""


def test_a_campaign_awards_whom_the_raw_file_names(desk: Desk, raw: RawFile) -> None:
    frozen = freeze(raw, desk)
    campaign = desk.draft(
        bonus_points=250,
        target_segment={
            "and": [
                {">=": [{"var": "points_balance"}, 100]},
                {"<=": [{"var": "joined_at"}, "1997-02-28"]},
                {">=": [{"var": "last_activity_at"}, "1997-03-01"]},
            ]
        },
    )
    people = [name for name, _, why in raw.rows(FLAT, frozen=frozen, tested=[]) if why is None]
    tested = sorted(people)[:2]
    trials.award_test(campaign_id=campaign.pk, user_ids=tested, actor=desk.marketing)
    meant = raw.rows(FLAT, frozen=frozen, tested=tested)
    skipped = {name: why for name, _, why in meant if why is not None}
    assert sorted(set(skipped.values())) == ["frozen", "tested"]

    previewed = campaigns.preview_campaign(campaign_id=campaign.pk, actor=desk.marketing).preview or {}
    to_award = len(meant) - len(skipped)
    assert (previewed["in_segment"], previewed["members"], previewed["points"]) == (
        len(meant),
        to_award,
        250 * to_award,
    )
    assert previewed["excluded"] == {"no_points": 0, **Counter(skipped.values())}
    agree(desk, campaign)
    done = execute(campaign)
    awards = dict.fromkeys(people, 250)
    held = {name: had + awards.get(name, 0) for name, had in raw.rows("select customer, points from customers")}
    assert came_of(done) == (awards, skipped, held)
    assert (done.status, done.users_awarded, done.total_points_awarded) == ("completed", len(people), 250 * len(people))
    assert Program.objects.get().budget_spent == raw.one("select sum(points) from earns") + 250 * len(people)

    execute(campaign)  # twice changes nothing
    assert came_of(fresh(campaign)) == (awards, skipped, held)
    undoing.request_undo(campaign_id=campaign.pk, reason="the wrong segment", actor=desk.marketing)
    jobs.undo_campaign(str(campaign.pk))
    assert dict(Balance.objects.values_list("user_id", "points_balance")) == dict(
        raw.rows("select customer, points from customers")
    )
    assert_books_agree(desk.program)


def test_a_multiplier_pays_what_the_raw_file_adds_up_to(desk: Desk, raw: RawFile) -> None:
    frozen = freeze(raw, desk)
    campaign = desk.draft(
        campaign_type="multiplier",
        bonus_points=50,
        window_start=datetime(1997, 3, 1, tzinfo=UTC),
        window_end=datetime(1997, 4, 1, tzinfo=UTC),
        target_segment={"<=": [{"var": "joined_at"}, "1997-02-15"]},
    )
    agree(desk, campaign)
    done = execute(campaign)
    meant = raw.rows(HALF, frozen=frozen)
    awards = {name: worth for name, worth, why in meant if why is None}
    skipped = {name: why for name, _, why in meant if why is not None}
    assert sorted(set(skipped.values())) == ["frozen", "no_points"]
    held = {name: had + awards.get(name, 0) for name, had in raw.rows("select customer, points from customers")}
    assert came_of(done) == (awards, skipped, held)
    assert (done.users_awarded, done.total_points_awarded) == (len(awards), sum(awards.values()))
    assert done.estimated_points == sum(awards.values())
    assert_books_agree(desk.program)


def agree(desk: Desk, campaign: Campaign) -> None:
    """Have marketing ask for the launch, and finance agree: that is both teams, however large it is."""
    desk.approve(desk.schedule(campaign))
