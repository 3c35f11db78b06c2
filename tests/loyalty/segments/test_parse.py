"""What is a segment and what is not: every problem is named with the path to it, and nothing else is ever raised."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils.translation import override
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loyalty.errors import SegmentInvalid
from loyalty.segments.parse import parse_segment
from loyalty.segments.schema import MAX_CONDITIONS, MAX_DEPTH, MAX_PROBLEMS, Op, Var
from loyalty.segments.tree import (
    And,
    DateIs,
    Day,
    DaysAgo,
    Everyone,
    FrozenIs,
    HasFlag,
    Measure,
    Measured,
    MemberIs,
    Moment,
    Not,
    NumberIs,
    Or,
    TierIs,
    Window,
)
from loyalty.states import EventType
from opsconsole.core.canonical import to_plain
from opsconsole.core.problems import handle

BALANCE = {"var": "points_balance"}
JOINED = {"var": "joined_at"}
TIER = {"var": "tier"}
RICH = {">=": [BALANCE, 1000]}


def earned(**window: Any) -> dict[str, Any]:
    return {"sum": {"event": "earn", **window}}


def problems(value: Any, **known: Any) -> list[str]:
    """What is wrong with a segment, in English."""
    with pytest.raises(SegmentInvalid) as refused:
        parse_segment(value, **known)
    return to_plain(refused.value.fields["errors"]["target_segment"])


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = RICH
    for _ in range(depth - 1):
        value = {"not": value}
    return value


@pytest.mark.parametrize(
    ("value", "tree"),
    [
        ({}, Everyone()),
        (None, Everyone()),
        (RICH, NumberIs(Var.POINTS_BALANCE, Op.GE, (1000,))),
        (
            {"and": [RICH, {"or": [{"==": [TIER, "Gold"]}, {"==": [TIER, None]}]}]},
            And((NumberIs(Var.POINTS_BALANCE, Op.GE, (1000,)), Or((TierIs(Op.EQ, ("Gold",)), TierIs(Op.EQ, (None,)))))),
        ),
        ({"not": {"has_flag": "confirmed_fraud"}}, Not(HasFlag("confirmed_fraud"))),
        ({"between": [{"var": "available"}, -5, 7]}, NumberIs(Var.AVAILABLE, Op.BETWEEN, (-5, 7))),
        ({"in": [{"var": "user_id"}, ["u-1", "u-2"]]}, MemberIs(Op.IN, ("u-1", "u-2"))),
        ({"!=": [{"var": "is_frozen"}, True]}, FrozenIs(frozen=False)),
        ({"==": [JOINED, "1997-01-05"]}, DateIs(Var.JOINED_AT, Op.EQ, (Day(date(1997, 1, 5)),))),
        (
            {"<": [{"var": "last_activity_at"}, "1997-01-05T01:30:00.5+01:00"]},
            DateIs(Var.LAST_ACTIVITY_AT, Op.LT, (Moment(datetime(1997, 1, 5, 0, 30, 0, 500_000, UTC)),)),
        ),
        (
            {">": [{"count": {"event": ["earn", "bonus"], "days": 90}}, 3]},
            NumberIs(Measured(Measure.COUNT, (EventType.EARN, EventType.BONUS), Window(DaysAgo(90))), Op.GT, (3,)),
        ),
        (
            {"<=": [earned(since="1997-01-01", until="1997-12-31"), 3]},
            NumberIs(
                Measured(Measure.SUM, (EventType.EARN,), Window(Day(date(1997, 1, 1)), Day(date(1997, 12, 31)))),
                Op.LE,
                (3,),
            ),
        ),
    ],
)
def test_a_segment_is_read_as_a_typed_tree(value: Any, tree: Any) -> None:
    assert parse_segment(value) == tree


WRONG: list[tuple[Any, str]] = [
    # the shape
    ([], "the segment: must be a condition, not a list"),
    ("points_balance >= 1000", 'the segment: must be a condition, not "points_balance >= 1000"'),
    (0, "the segment: must be a condition, not 0"),
    ({"and": [RICH], "or": [RICH]}, "the segment: must have one operator, not 2"),
    ({"and": [{}]}, "and[0]: must have one operator, not 0"),
    ({"xor": [RICH]}, 'the segment: there is no operator "xor"; known are and, or, not, has_flag, ==, !=,'),
    ({"and": []}, "and: must be a list of at least one condition, not an empty list"),
    ({"or": RICH}, "or: must be a list of at least one condition, not an object"),
    ({"not": [RICH]}, "not: must be a condition, not a list"),
    ({">=": [BALANCE]}, '">=": must be a list of two: what is compared, and with what'),
    ({"between": [BALANCE, 1]}, "between: must be a list of three: what is compared, and both ends"),
    ({">=": {"var": "points_balance"}}, '">=": must be a list of two: what is compared, and with what'),
    (nested(MAX_DEPTH + 1), ".not: is nested deeper than 8 conditions"),
    ({"or": [RICH] * MAX_CONDITIONS}, "the segment: has more than 100 conditions"),
    # what is compared
    ({">=": [1000, BALANCE]}, '">="[0]: must be one of {"var": ...}, {"count": ...}, {"sum": ...}, not 1000'),
    ({">=": [{"var": "shoe_size"}, 1]}, '">="[0].var: there is no variable "shoe_size"; known are points_balance,'),
    ({">=": [{"var": ["points_balance"]}, 1]}, '">="[0].var: there is no variable a list'),
    ({"and": [RICH, {">=": [{"var": "shoe_size"}, 1]}]}, 'and[1].">="[0].var: there is no variable "shoe_size"'),
    ({"in": [JOINED, ["1997-01-01"]]}, "in: does not go with joined_at; use one of ==, !=, <, <=, >, >=, between"),
    ({"between": [TIER, "Bronze", "Gold"]}, "between: does not go with tier; use one of ==, !=,"),
    ({">": [{"var": "is_frozen"}, True]}, '">": does not go with is_frozen; use one of ==, !='),
    ({"<": [{"var": "user_id"}, "u"]}, '"<": does not go with user_id; use one of ==, !=, in'),
    # numbers
    ({">=": [BALANCE, "1000"]}, '">="[1]: must be a whole number, not "1000"'),
    ({">=": [BALANCE, True]}, '">="[1]: must be a whole number, not true'),
    ({">=": [BALANCE, None]}, '">="[1]: must be a whole number, not null'),
    ({">=": [BALANCE, 1000.0]}, '">="[1]: must be a whole number, not 1000.0'),
    ({">=": [BALANCE, Decimal("1E+300")]}, '">="[1]: must be a whole number, not 1E+300'),
    ({">=": [BALANCE, float("nan")]}, '">="[1]: must be a whole number, not nan'),
    ({">=": [BALANCE, float("inf")]}, '">="[1]: must be a whole number, not inf'),
    ({">=": [BALANCE, 2**63]}, '">="[1]: must be between -9223372036854775808 and 9223372036854775807'),
    ({">=": [BALANCE, 10**5000]}, '">="[1]: must be between -9223372036854775808'),
    ({">=": [BALANCE, {"var": "locked"}]}, '">="[1]: must be a whole number, not an object'),
    ({"between": [BALANCE, 2, 1]}, "between[2]: ends before it begins"),
    ({"in": [BALANCE, 5]}, "in[1]: must be a list of values, not 5"),
    ({"in": [BALANCE, []]}, "in[1]: must be a list of values, not an empty list"),
    ({"in": [BALANCE, [1, "2"]]}, 'in[1][1]: must be a whole number, not "2"'),
    ({"in": [BALANCE, [1] * 1001]}, "in[1]: has 1001 values; 1000 are the most"),
    # texts
    ({"==": [TIER, 1]}, '"=="[1]: must be text, not 1'),
    ({"in": [TIER, ["Gold", None]]}, "in[1][1]: must be text, not null"),
    ({">=": [TIER, None]}, '">="[1]: must be text, not null'),
    ({"==": [{"var": "user_id"}, " "]}, '"=="[1]: must not be blank'),
    ({"==": [{"var": "user_id"}, "x" * 201]}, '"=="[1]: is longer than 200 characters'),
    ({"==": [{"var": "user_id"}, "a\x00b"]}, '"=="[1]: holds a character that no text can hold'),
    ({"has_flag": "\ud800"}, "has_flag: holds a character that no text can hold"),
    ({"has_flag": ["x"]}, "has_flag: must be text, not a list"),
    ({"==": [{"var": "is_frozen"}, 1]}, '"=="[1]: must be true or false, not 1'),
    # dates
    ({"<": [JOINED, 5]}, '"<"[1]: must be a day (1997-12-31), a time with its offset (1997-12-31T23:59:59Z) or {'),
    ({"<": [JOINED, "05/01/1997"]}, '"<"[1]: must be a day (1997-12-31), a time with its offset'),
    ({"<": [JOINED, "1997-01-05T10:00:00"]}, '"<"[1]: must be a day (1997-12-31), a time with its offset'),
    ({"<": [JOINED, "1997-02-30"]}, '"<"[1]: there is no such time as "1997-02-30"'),
    ({"<": [JOINED, "1997-01-05T25:00Z"]}, '"<"[1]: there is no such time as "1997-01-05T25:00Z"'),
    ({"<": [JOINED, "0001-01-01T00:00+14:00"]}, '"<"[1]: there is no such time as'),
    ({"<": [JOINED, "9999-12-31"]}, '"<"[1]: must be between 1970-01-01 and 2199-12-31'),
    ({"<": [JOINED, "١٩٩٧-٠١-٠٥"]}, '"<"[1]: must be a day'),
    ({"<": [JOINED, {"days_ago": -1}]}, '"<"[1].days_ago: must be between 0 and 3660'),
    ({"<": [JOINED, {"days_ago": 3661}]}, '"<"[1].days_ago: must be between 0 and 3660'),
    ({"<": [JOINED, {"hours_ago": 1}]}, '"<"[1]: must be a day'),
    ({"==": [JOINED, {"days_ago": 30}]}, '"=="[1]: only a day is ever equal: give one (1997-12-31), or compare with'),
    ({"!=": [JOINED, "1997-01-05T10:00Z"]}, '"!="[1]: only a day is ever equal'),
    ({"between": [JOINED, "1998-01-01", "1997-01-01"]}, "between[2]: ends before it begins"),
    ({"between": [JOINED, "1997-01-01", {"days_ago": 3}]}, "between[2]: both ends are dates, or both are days ago"),
    # the ledger
    ({">": [{"count": "earn"}, 1]}, '">"[0].count: must be an object with an event and a window'),
    ({">": [{"count": {"days": 3}}, 1]}, '">"[0].count: must be an object with an event and a window'),
    ({">": [{"count": {"event": "earn"}}, 1]}, '">"[0].count: a window is either days, or since and until together'),
    ({">": [earned(since="1997-01-01"), 1]}, '">"[0].sum: a window is either days, or since and until together'),
    ({">": [earned(days=3, until="1997-01-01"), 1]}, '">"[0].sum: a window is either days, or since and until'),
    ({">": [earned(days=3, hours=1), 1]}, '">"[0].sum: there is no key "hours"; known are days, event,'),
    ({">": [earned(days=0), 1]}, '">"[0].sum.days: must be between 1 and 3660'),
    ({">": [earned(days=3661), 1]}, '">"[0].sum.days: must be between 1 and 3660'),
    ({">": [earned(days="90"), 1]}, '">"[0].sum.days: must be a whole number, not "90"'),
    ({">": [earned(since="1998-01-01", until="1997-01-01"), 1]}, '">"[0].sum.until: ends before it begins'),
    ({">": [earned(since="1980-01-01", until="1997-01-01"), 1]}, '">"[0].sum: a window is 3660 days long at most'),
    ({">": [earned(since={"days_ago": 9}, until="1997-01-01"), 1]}, '">"[0].sum.until: both ends are dates, or both'),
    ({">": [{"sum": {"event": "steal", "days": 1}}, 1]}, '">"[0].sum.event: there is no event "steal"; known are'),
    ({">": [{"sum": {"event": [], "days": 1}}, 1]}, '">"[0].sum.event: must not be empty'),
    ({">": [{"sum": {"event": ["earn", "earn"], "days": 1}}, 1]}, '">"[0].sum.event[1]: stands there twice: "earn"'),
    ({">": [{"sum": {"event": ["earn", "redeem"], "days": 1}}, 1]}, '">"[0].sum.event: a sum is of points that came'),
    (
        {"or": [{">": [earned(days=days), 1]} for days in range(1, 12)]},
        "the segment: has 11 different counts, sums and dates of last activity; 10 are the most",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("value", "problem"), WRONG)
def test_what_is_wrong_is_named_with_the_path_to_it(value: Any, problem: str) -> None:
    [found] = problems(value)
    assert problem in found


def test_all_problems_are_told_at_once() -> None:
    value = {"and": [{">=": [{"var": "x"}, 1]}, {"or": []}, {">=": [earned(days=0, since=3), "y"]}, {"not": 3}, RICH]}
    assert [problem.partition(": ")[0] for problem in problems(value)] == [
        'and[0].">="[0].var',
        "and[1].or",
        'and[2].">="[0].sum',
        "and[3].not",
    ]
    many = problems({"in": [BALANCE, ["x"] * 1000]})
    assert (len(many), many[-1]) == (MAX_PROBLEMS + 1, "There is more like this.")


def test_tiers_are_those_of_the_program_where_they_are_known() -> None:
    value = {"in": [TIER, ["Gold", "Golf"]]}
    assert parse_segment(value) == TierIs(Op.IN, ("Gold", "Golf"))
    assert problems(value, tiers=["Silver", "Gold"]) == [
        'in[1][1]: the program has no tier "Golf"; it has Gold, Silver'
    ]
    assert problems({">": [TIER, "Gold"]}, tiers=[]) == ['">"[1]: the program has no tier "Gold"; it has –']


def test_the_most_that_is_allowed() -> None:
    assert parse_segment(nested(MAX_DEPTH))
    assert parse_segment({"or": [RICH] * (MAX_CONDITIONS - 1)})
    assert parse_segment({"in": [{"var": "user_id"}, [f"u-{n}" for n in range(1000)]]})
    assert parse_segment({"in": [BALANCE, [-(2**63), 2**63 - 1]]})
    assert parse_segment({">": [earned(since="1970-01-01", until="1980-01-08"), 1]})


def test_a_refusal_is_an_answer_of_the_api_and_speaks_the_language_of_whoever_looks() -> None:
    with pytest.raises(SegmentInvalid) as refused:
        parse_segment({">=": [BALANCE, "viele"]})
    answer = handle(refused.value, {})
    assert answer is not None
    assert (answer.status_code, answer.data["code"]) == (400, "segment_invalid")
    assert answer.data["errors"] == {"target_segment": ['">="[1]: must be a whole number, not "viele"']}
    with override("fr"):
        assert "viele" in str(refused.value.fields["errors"]["target_segment"][0])


WORDS = ["and", "or", "not", "has_flag", "var", "count", "sum", "event", "days", "since", "until", "days_ago", "earn",
         "redeem", *(op.value for op in Op), *(var.value for var in Var), "1997-01-05", "1997-01-05T00Z"]  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5)
    | st.sampled_from(WORDS) | st.decimals()
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=3)
        | st.tuples(st.sampled_from([op.value for op in Op]), st.sampled_from(list(Var)), inner).map(
            lambda it: {it[0]: [{"var": it[1].value}, it[2]]}
        )
    ),
    max_leaves=20,
)


@given(anything)
@example({"and": [{"and": {}}]})
@example({1: 2})
@example({(): ()})
@settings(max_examples=400, deadline=None)
def test_whatever_it_is_it_is_read_or_refused(value: Any) -> None:
    try:
        parse_segment(value, tiers=["Gold"])
    except SegmentInvalid as refused:
        found = to_plain(refused.fields["errors"]["target_segment"])
        assert found
        assert all(len(problem.encode()) < 500 for problem in found)
