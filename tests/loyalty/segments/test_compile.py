"""The SQL of a segment finds whom the segment is about: checked against plain Python, over members on every border."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings

from loyalty.models import Balance, Program, Tier
from loyalty.segments.compile import compile_segment
from loyalty.segments.parse import parse_segment
from loyalty.segments.tree import Segment
from tests.loyalty.segments.population import (
    AT,
    FLAGS,
    TIERS,
    TIMES,
    Member,
    copied,
    ids,
    meant,
)
from tests.loyalty.segments.strategies import HOSTILE, conditions


def found(segment: Segment, *, among: list[UUID] | None = None) -> list[UUID]:
    """The balances that the SQL of a segment finds in the program Club."""
    program = Program.objects.get(name="Club")
    query = compile_segment(segment, at=AT, tiers=program.tiers.all()).select(program.pk, among=among)
    with connection.cursor() as cursor:
        cursor.execute(query.text, query.params)
        return [row[0] for row in cursor.fetchall()]


def agree(value: Any, members: list[Member]) -> int:
    """Hold the SQL of a segment against what it means; returns how many members are in it."""
    segment = parse_segment(value)
    rows, wanted = found(segment), meant(value, members)
    assert len(rows) == len(set(rows)), "a member is in it once"
    assert set(rows) == ids(wanted)
    return len(rows)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example({})
@example({"and": [{">": [{"count": {"event": "earn", "days": 90}}, 0]}, {"==": [{"var": "user_id"}, "user-1"]}]})
@example({"not": {"or": [{"==": [{"var": "tier"}, "Gold"]}, {"<": [{"var": "tier"}, "Silver"]}]}})
@given(value=conditions)
def test_the_sql_finds_whom_the_segment_means(members: list[Member], value: Any) -> None:
    agree(value, members)


QUESTIONS: list[Any] = [
    {">=": [{"var": "points_balance"}, 100]},
    {"between": [{"var": "available"}, 1, 100]},
    {"==": [{"var": "tier"}, None]},
    {">=": [{"var": "tier"}, "Silver"]},
    {"<": [{"var": "tier"}, "Silver"]},
    {"==": [{"var": "joined_at"}, "1998-01-01"]},
    {"<=": [{"var": "last_activity_at"}, {"days_ago": 90}]},
    {">": [{"var": "last_activity_at"}, {"days_ago": 90}]},
    {"not": {">": [{"var": "last_activity_at"}, {"days_ago": 90}]}},
    {">=": [{"count": {"event": "earn", "days": 90}}, 2]},
    {">=": [{"sum": {"event": ["redeem", "expire"], "since": "1997-06-01", "until": "1998-06-01"}}, 50]},
    {"has_flag": FLAGS[2]},
    {"!=": [{"var": "is_frozen"}, False]},
]


def test_each_question_has_members_on_both_sides(members: list[Member]) -> None:
    """What hypothesis compares is not vacuous."""
    for value in QUESTIONS:
        inside = agree(value, members)
        assert 0 < inside < len(members), value
        assert agree({"not": value}, members) == len(members) - inside
    assert agree({"==": [{"var": "points_balance"}, 2**63 - 1]}, members) == 0


def test_a_day_is_a_day_of_utc_to_its_last_microsecond(members: list[Member]) -> None:
    on = {"==": [{"var": "joined_at"}, "1998-01-01"]}
    assert {member.joined_at for member in meant(on, members)} == {
        time for time in TIMES if time.date().isoformat() == "1998-01-01"
    }
    assert agree({"<=": [{"var": "joined_at"}, "1998-01-01"]}, members) - agree(
        {"<": [{"var": "joined_at"}, "1998-01-01"]}, members
    ) == agree(on, members)


def test_bonuses_and_expiries_are_no_activity_and_joining_is(members: list[Member]) -> None:
    idle = {"<": [{"var": "last_activity_at"}, {"days_ago": 31}]}
    inside = meant(idle, members)
    passive = [member for member in inside if any(at > AT - timedelta(days=31) for _e, _a, at in member.transactions)]
    silent = [member for member in inside if not member.transactions]
    assert passive
    assert silent
    assert agree(idle, members) == len(inside)


def test_a_few_members_are_asked_about_without_the_others(members: list[Member]) -> None:
    value = {
        "and": [
            {">=": [{"count": {"event": "earn", "days": 400}}, 1]},
            {">=": [{"var": "last_activity_at"}, "1998-01-01"]},
        ]
    }
    inside = ids(meant(value, members))
    outside = ids(members) - inside
    few = [*list(inside)[:3], *list(outside)[:3]]
    assert set(found(parse_segment(value), among=few)) == set(few) & inside
    assert found(parse_segment(value), among=[]) == []
    elsewhere = list(Balance.objects.filter(program__name="Other").values_list("pk", flat=True))
    assert found(parse_segment({}), among=elsewhere) == []


def test_windows_and_dates_move_with_the_moment_of_evaluation(members: list[Member]) -> None:
    segment = parse_segment({">=": [{"count": {"event": "earn", "days": 30}}, 1]})
    program = Program.objects.get(name="Club")
    sizes = []
    for at in (AT, AT - timedelta(days=3660)):
        query = compile_segment(segment, at=at, tiers=program.tiers.all()).select(program.pk)
        with connection.cursor() as cursor:
            cursor.execute(query.text, query.params)
            sizes.append(len(cursor.fetchall()))
    assert sizes[0] > 0
    assert sizes[1] == 0


COUNT: Any = {"count": {"event": "earn", "days": 400}}
SUM: Any = {"sum": {"event": ["redeem", "expire"], "days": 3660}}
IDLE: Any = {"<": [{"var": "last_activity_at"}, {"days_ago": 90}]}
ACTIVE: Any = {">=": [{"var": "last_activity_at"}, {"days_ago": 90}]}


@pytest.mark.parametrize(
    ("value", "grouped"),
    [
        ({">=": [COUNT, 1]}, True),
        ({"and": [{">": [COUNT, 0]}, {"<": [SUM, 100]}]}, True),  # of a window in which there may be nothing
        ({"and": [{"!=": [COUNT, 0]}, {">=": [{"var": "tier"}, "Silver"]}]}, True),
        ({"and": [{"in": [COUNT, [1, 2]]}, {"or": [{"<": [SUM, 50]}, {"==": [{"var": "is_frozen"}, True]}]}]}, True),
        ({"and": [{"between": [COUNT, 1, 3]}, IDLE]}, True),
        ({"and": [{"between": [COUNT, 1, 3]}, {"not": IDLE}]}, True),
        ({"and": [{">=": [COUNT, 1]}, ACTIVE]}, True),
        ({"and": [ACTIVE, {">": [COUNT, 1]}, {">": [{"var": "last_activity_at"}, "1998-01-01"]}]}, True),
        ({"and": [ACTIVE, {"<": [COUNT, 3]}]}, False),
        ({"and": [{">=": [COUNT, 1]}, {"or": [IDLE, {">=": [SUM, 1]}]}]}, False),
        ({"or": [{">=": [COUNT, 1]}, {">=": [SUM, 1]}]}, False),
        ({"not": {">=": [COUNT, 1]}}, False),
        ({"and": [{"<=": [COUNT, 1]}, {"between": [SUM, -5, 5]}, {"in": [SUM, [0, 7]]}]}, False),
    ],
)
def test_who_must_have_transactions_is_grouped_with_them(members: list[Member], value: Any, grouped: bool) -> None:
    text = compile_segment(parse_segment(value, tiers=set(TIERS)), at=AT, tiers=RANKS).select(UUID(int=0)).text
    assert (" having " in text, "totals as" in text) == (grouped, not grouped)
    assert agree(value, members) < len(members)


VOCABULARY = """
select from where and or not is null true exists any all in between coalesce as with materialized group by having
left join union on count sum filter text bigint uuid id loyalty_balances loyalty_transactions program_id user_id
points_balance locked is_frozen fraud_flags tier_id joined_at balance_id event_type amount created_at
totals a b t w
"""
RANKS = [Tier(pk=UUID(int=rank), name=name, rank=rank) for rank, name in enumerate(TIERS)]


@given(value=conditions)
@settings(max_examples=100, deadline=None)
def test_the_text_of_the_sql_is_ours_and_everything_typed_is_a_parameter(value: Any) -> None:
    query = compile_segment(parse_segment(value), at=AT, tiers=RANKS).select(UUID(int=0))
    assert query.text.count("%") == query.text.count("%s") == len(query.params)
    words = re.sub(r"%s|, 0\)|\b[mx]\d\b", "", query.text)
    assert set(re.findall(r"\w+", words)) <= set(VOCABULARY.split())
    assert set(re.sub(r"\w", "", words)) <= set(" .,()<>=?:[]*-")


def test_hostile_text_is_only_ever_compared(members: list[Member]) -> None:
    before = Balance.objects.count()
    for hostile in HOSTILE:
        tier = {"var": "tier"}
        for value in (
            {"or": [{"==": [{"var": "user_id"}, hostile]}, {"in": [{"var": "user_id"}, [hostile, "user-3"]]}]},
            {"has_flag": hostile},
            {"or": [{"==": [tier, hostile]}, {"in": [tier, [hostile]]}, {">": [tier, hostile]}]},
        ):
            agree(copied(value), members)
    assert Balance.objects.count() == before > 0


def test_the_largest_segment_runs(members: list[Member]) -> None:
    many = [f"user-{number}" for number in range(1000)]
    windows = [{">=": [{"sum": {"event": "earn", "days": number}}, 1]} for number in range(30, 35)]
    windows += [{"<": [{"var": "last_activity_at"}, {"days_ago": number}]} for number in range(30, 35)]
    windows += [{"in": [{"var": "user_id"}, many]}] * 80
    assert agree({"or": windows}, members) == len(members)
