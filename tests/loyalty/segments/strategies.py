"""Segments as people could write them: valid ones, with values on and beside every border, and hostile texts."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from tests.loyalty.segments.population import AMOUNTS, FLAGS, TIERS, TIMES

EVENTS = ("earn", "bonus", "redeem", "reverse", "adjust", "expire")
INCOMING, OUTGOING = ("earn", "bonus", "adjust", "reverse"), ("redeem", "expire")
HOSTILE = [*FLAGS, "'", "%s", "%(x)s", "{0}", "\\", "') or true --", '"', "é\u2028", "user-1'; select pg_sleep(9); --"]


days = st.sampled_from([time.date().isoformat() for time in TIMES] + ["1970-01-01", "2199-12-31"])
moments = st.sampled_from([time.isoformat() for time in TIMES] + ["1998-01-01T02:00:00+02:00"])
ago = st.sampled_from([0, 1, 30, 31, 90, 400, 3660]).map(lambda number: {"days_ago": number})
orders = st.sampled_from(["<", "<=", ">", ">="])
texts = st.sampled_from(HOSTILE) | st.sampled_from([f"user-{number}" for number in range(20)])
numbers = st.sampled_from([0, -1, 200, *AMOUNTS, *(-amount for amount in AMOUNTS), 2**63 - 1, -(2**63)])


def ends(dates: st.SearchStrategy[Any], *, later_first: bool = False) -> st.SearchStrategy[list[Any]]:
    """Two dates, or two numbers of days ago, in order of time."""

    def key(one: Any) -> Any:
        return one["days_ago"] if isinstance(one, dict) else datetime.fromisoformat(one).timestamp()

    def order(two: list[Any]) -> list[Any]:
        return sorted(two, key=key, reverse=isinstance(two[0], dict))

    return st.lists(dates, min_size=2, max_size=2).map(order)


windows = st.one_of(
    st.sampled_from([1, 30, 90, 91, 400, 3660]).map(lambda number: {"days": number}),
    st.one_of(
        ends(st.sampled_from([time.isoformat() for time in TIMES])),
        ends(st.sampled_from([time.date().isoformat() for time in TIMES])),
        ends(ago),
    ).map(lambda two: {"since": two[0], "until": two[1]}),
)
events = st.sampled_from(EVENTS) | st.lists(st.sampled_from(EVENTS), min_size=1, max_size=3, unique=True)
summed = st.sampled_from(INCOMING + OUTGOING) | st.sampled_from([list(INCOMING), list(OUTGOING), ["bonus", "earn"]])
measured = st.builds(lambda event, window: {"count": {"event": event, **window}}, events, windows) | st.builds(
    lambda event, window: {"sum": {"event": event, **window}}, summed, windows
)
quantities = measured | st.sampled_from(["points_balance", "available", "locked"]).map(lambda name: {"var": name})
dates = st.sampled_from(["joined_at", "last_activity_at"]).map(lambda name: {"var": name})
tier = st.just({"var": "tier"})
tests = st.one_of(
    st.builds(lambda op, what, value: {op: [what, value]}, orders | st.sampled_from(["==", "!="]), quantities, numbers),
    st.builds(lambda what, values: {"in": [what, values]}, quantities, st.lists(numbers, min_size=1, max_size=5)),
    st.builds(lambda what, two: {"between": [what, *sorted(two)]}, quantities, st.tuples(numbers, numbers)),
    st.builds(lambda op, what, value: {op: [what, value]}, orders, dates, days | moments | ago),
    st.builds(lambda op, what, value: {op: [what, value]}, st.sampled_from(["==", "!="]), dates, days),
    st.builds(lambda what, two: {"between": [what, *two]}, dates, ends(days) | ends(ago) | ends(moments)),
    st.builds(lambda op, value: {op: [{"var": "tier"}, value]}, st.sampled_from(["==", "!="]),
              st.sampled_from([None, "Lead", *TIERS])),
    st.builds(lambda op, value: {op: [{"var": "tier"}, value]}, orders, st.sampled_from(TIERS)),
    st.lists(st.sampled_from(["Lead", *TIERS]), min_size=1, max_size=3).map(lambda two: {"in": [{"var": "tier"}, two]}),
    st.builds(lambda op, value: {op: [{"var": "is_frozen"}, value]}, st.sampled_from(["==", "!="]), st.booleans()),
    st.builds(lambda op, value: {op: [{"var": "user_id"}, value]}, st.sampled_from(["==", "!="]), texts),
    st.lists(texts, min_size=1, max_size=9).map(lambda some: {"in": [{"var": "user_id"}, some]}),
    texts.map(lambda flag: {"has_flag": flag}),
)  # fmt: skip
connectives = st.sampled_from(["and", "or"])
conditions = st.recursive(
    tests,
    lambda inner: (
        st.builds(lambda word, parts: {word: parts}, connectives, st.lists(inner, min_size=1, max_size=3))
        | inner.map(lambda part: {"not": part})
    ),
    max_leaves=6,
).filter(lambda value: json.dumps(value).count('{"not"') < 4)
