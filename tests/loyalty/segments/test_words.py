"""A segment in a sentence, in English and in French."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.translation import override
from hypothesis import given, settings

from loyalty.segments.parse import parse_segment
from loyalty.segments.words import told
from loyalty.states import EventType
from opsconsole.core.texts import english
from tests.loyalty.segments.strategies import conditions

BALANCE, LOCKED, TIER = {"var": "points_balance"}, {"var": "locked"}, {"var": "tier"}
JOINED, ACTIVE, USER = {"var": "joined_at"}, {"var": "last_activity_at"}, {"var": "user_id"}
RICH, GOLD, IDLE = {">=": [BALANCE, 1000]}, {"==": [TIER, "Gold"]}, {"<": [ACTIVE, {"days_ago": 90}]}

SAID: list[tuple[Any, str, str]] = [
    (None, "all members of the program", "tous les membres du programme"),
    ({}, "all members of the program", "tous les membres du programme"),
    (
        {"and": [RICH, GOLD]},
        "points balance at least 1,000 and tier is Gold",
        "solde de points d’au moins 1\xa0000 et niveau Gold",
    ),
    (
        {"and": [GOLD, {"or": [RICH, IDLE]}]},
        "tier is Gold and (points balance at least 1,000 or last active more than 90 days ago)",
        "niveau Gold et (solde de points d’au moins 1\xa0000 ou dernière activité il y a plus de 90\xa0jours)",
    ),
    (
        {"or": [{"and": [RICH, GOLD, {"has_flag": "odd"}]}, {"or": [IDLE]}]},
        "(points balance at least 1,000 and tier is Gold and the member is flagged odd) or last active more than"
        " 90 days ago",
        "(solde de points d’au moins 1\xa0000 et niveau Gold et le membre est signalé odd) ou dernière activité il y a"
        " plus de 90\xa0jours",
    ),
    (
        {"not": {"or": [RICH, GOLD]}},
        "not (points balance at least 1,000 or tier is Gold)",
        "non (solde de points d’au moins 1\xa0000 ou niveau Gold)",
    ),
    (
        {"between": [{"var": "available"}, 1, 2000]},
        "available points between 1 and 2,000",
        "solde disponible compris entre 1 et 2\xa0000",
    ),
    (
        {"in": [LOCKED, [1, 2, 3, 4, 5, 6, 7]]},
        "locked points one of 1, 2, 3, 4, 5 and 2 more",
        "solde bloqué parmi 1, 2, 3, 4, 5 et 2 autres",
    ),
    ({"in": [TIER, ["Gold", "Silver"]]}, "tier is one of Gold, Silver", "niveau parmi Gold, Silver"),
    ({">=": [TIER, "Gold Plus"]}, 'tier "Gold Plus" or higher', "niveau \"Gold Plus\" ou supérieur"),
    ({"==": [TIER, None]}, "without a tier", "sans niveau"),
    ({"!=": [TIER, None]}, "with a tier", "avec un niveau"),
    ({"==": [JOINED, "1997-01-05"]}, "joined on 1997-01-05", "adhésion le 1997-01-05"),
    (
        {">": [JOINED, "1997-01-05T10:00:00+02:00"]},
        "joined after 1997-01-05 08:00:00 UTC",
        "adhésion après le 1997-01-05 08:00:00 UTC",
    ),
    (
        {"between": [JOINED, "1997-01-05", "1997-02-05"]},
        "joined from 1997-01-05 to 1997-02-05",
        "adhésion du 1997-01-05 au 1997-02-05",
    ),
    (
        {"between": [JOINED, {"days_ago": 60}, {"days_ago": 30}]},
        "joined between 60 and 30 days ago",
        "adhésion il y a 60 à 30\xa0jours",
    ),
    ({">=": [ACTIVE, {"days_ago": 1}]}, "last active in the last 1 day", "dernière activité depuis 1\xa0jour"),
    ({"==": [{"var": "is_frozen"}, True]}, "the member is frozen", "le membre est gelé"),
    ({"!=": [{"var": "is_frozen"}, True]}, "the member is not frozen", "le membre n’est pas gelé"),
    ({"!=": [USER, "u-1"]}, "the member is not u-1", "le membre n’est pas u-1"),
    (
        {"==": [USER, "u-1 or all members"]},
        'the member is "u-1 or all members"',
        'le membre est "u-1 or all members"',
    ),
    (
        {">=": [{"count": {"event": ["earn", "bonus"], "days": 90}}, 3]},
        "number of transactions (earned, bonus) in the last 90 days at least 3",
        "nombre de transactions ({earn}, {bonus}) au cours des 90\xa0derniers jours d’au moins 3",
    ),
    (
        {"<": [{"sum": {"event": "redeem", "since": "1997-01-01", "until": "1997-12-31"}}, 1000]},
        "total of points (redeemed) from 1997-01-01 to 1997-12-31 below 1,000",
        "total de points ({redeem}) du 1997-01-01 au 1997-12-31 inférieur à 1\xa0000",
    ),
    (
        {"!=": [{"sum": {"event": "earn", "since": {"days_ago": 60}, "until": {"days_ago": 30}}}, 0]},
        "total of points (earned) between 60 and 30 days ago other than 0",
        "total de points ({earn}) il y a 60 à 30\xa0jours différent de 0",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("value", "in_english", "in_french"), SAID)
def test_a_segment_in_a_sentence(value: Any, in_english: str, in_french: str) -> None:
    said = told(parse_segment(value))
    with override("fr"):
        events = {event.value: str(event.label) for event in EventType}
        assert str(said) == in_french.format(**events)
        assert english(said) == in_english, "what is stored is English, whoever looks"


@given(value=conditions)
@settings(max_examples=100, deadline=None)
def test_every_segment_has_words_in_both_languages(value: Any) -> None:
    said = told(parse_segment(value))
    with override("fr"):
        in_french = str(said)
    assert english(said)
    assert in_french
