"""What fraud looks like in the ledger: one set-based query per kind of rule, with its limits as parameters.

Each looks at the `hours` before a moment `m.at`, which it does not include, and yields a balance with the facts that
made it stand out. It is the same query whether the moment is now, a day of last year, or each of a thousand of them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty.errors import FraudRuleInvalid
from opsconsole.core.texts import Text

MOST_NETWORKS: Final = 1_000
MOST_POINTS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """A number that a rule has, within bounds."""

    name: str
    least: int
    most: int
    label: Text


@dataclass(frozen=True, slots=True)
class Measure:
    """A fact of a hit, and the limit that it is held against."""

    fact: str
    limit: str
    label: Text


@dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of rule: its limits, and the query `(balance_id, facts)` over the hours before `m.at`."""

    kind: str
    label: Text
    limits: tuple[Limit, ...]
    measures: tuple[Measure, ...]
    query: str
    has_networks: bool = False


_HOURS: Final = Limit("hours", 1, 24 * 31, _("hours looked at"))
_WINDOW: Final = "t.created_at >= m.at - make_interval(hours => %(hours)s) and t.created_at < m.at"

# A person counts as one in all programs (runbook 5, step 1), so every balance of theirs that earned is hit.
_EARNS = Pattern(
    "earns",
    _("earns often, or much, in a while"),
    (
        _HOURS,
        Limit("max_earns", 1, 1_000_000, _("earns, at most")),
        Limit("max_points", 1, MOST_POINTS, _("points, at most")),
    ),
    (Measure("earns", "max_earns", _("times earned")), Measure("points", "max_points", _("points earned"))),
    f"""
    select u.balance_id, jsonb_build_object('earns', u.earns, 'points', u.points) as facts
    from (
      select t.balance_id, sum(count(*)) over of_person as earns, sum(sum(t.amount)) over of_person as points
      from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
      where t.event_type = 'earn' and {_WINDOW}
      group by t.balance_id, b.user_id
      window of_person as (partition by b.user_id)
    ) u
    where u.earns > %(max_earns)s or u.points > %(max_points)s
    """,
)

# Of several such addresses the one with the most members is told.
_ADDRESS = Pattern(
    "address",
    _("many members behind one address"),
    (_HOURS, Limit("max_members", 1, 1_000_000, _("members, at most"))),
    (Measure("members", "max_members", _("members behind the address")),),
    f"""
    select distinct on (s.balance_id) s.balance_id,
      jsonb_build_object('address', host(w.ip_address), 'members', w.members, 'points', w.points) as facts
    from (
      select t.ip_address, count(distinct b.user_id) as members, sum(t.amount) as points
      from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
      where t.ip_address is not null and {_WINDOW}
        and not coalesce(t.ip_address <<= any(%(networks)s::inet[]), false)
      group by t.ip_address having count(distinct b.user_id) > %(max_members)s
    ) w join (
      select distinct t.ip_address, t.balance_id from loyalty_transactions t
      where t.ip_address is not null and {_WINDOW}
    ) s on s.ip_address = w.ip_address
    order by s.balance_id, w.members desc, w.ip_address
    """,
    has_networks=True,
)

# What is usual is a member's own: what they earned in such a stretch on average, over the days before. Who earned
# nothing in them has no usual to be compared with; the other rules see a newcomer who earns too much.
_SPIKE = Pattern(
    "spike",
    _("earns many times what is usual for the member"),
    (
        _HOURS,
        Limit("days", 1, 366, _("days before, which say what is usual")),
        Limit("times", 2, 1_000, _("times the usual, at most")),
        Limit("min_points", 1, MOST_POINTS, _("points below which nothing is a spike")),
    ),
    (Measure("times", "times", _("times the usual")),),
    f"""
    select r.balance_id,
      jsonb_build_object('points', r.points, 'usual', round(h.usual, 1), 'times', round(r.points / h.usual, 1)) as facts
    from (
      select t.balance_id, sum(t.amount) as points from loyalty_transactions t
      where t.event_type = 'earn' and {_WINDOW}
      group by t.balance_id having sum(t.amount) >= %(min_points)s
    ) r cross join lateral (
      select sum(t.amount) * %(hours)s / (%(days)s * 24.0) as usual from loyalty_transactions t
      where t.balance_id = r.balance_id and t.event_type = 'earn'
        and t.created_at >= m.at - make_interval(hours => %(hours)s, days => %(days)s)
        and t.created_at < m.at - make_interval(hours => %(hours)s)
    ) h
    where h.usual > 0 and r.points > h.usual * %(times)s
    """,
)

_REDEMPTIONS = Pattern(
    "redemptions",
    _("redeems often in a while"),
    (_HOURS, Limit("max_redemptions", 1, 1_000_000, _("redemptions, at most"))),
    (Measure("redemptions", "max_redemptions", _("times redeemed")),),
    f"""
    select u.balance_id, jsonb_build_object('redemptions', u.redemptions, 'points', u.points) as facts
    from (
      select t.balance_id, sum(count(*)) over of_person as redemptions, -sum(sum(t.amount)) over of_person as points
      from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
      where t.event_type = 'redeem' and {_WINDOW}
      group by t.balance_id, b.user_id
      window of_person as (partition by b.user_id)
    ) u
    where u.redemptions > %(max_redemptions)s
    """,
)

PATTERNS: Final[Mapping[str, Pattern]] = {pattern.kind: pattern for pattern in (_EARNS, _ADDRESS, _SPIKE, _REDEMPTIONS)}


def pattern_of(kind: str) -> Pattern:
    """The pattern of this kind; raises FraudRuleInvalid for none."""
    if kind not in PATTERNS:
        raise FraudRuleInvalid(_("There is no such kind of fraud rule."), errors={"kind": [_("is no kind of rule")]})
    return PATTERNS[kind]


def checked_limits(pattern: Pattern, limits: Mapping[str, Any]) -> dict[str, int]:
    """The limits, if they are exactly those of the pattern and within its bounds; raises FraudRuleInvalid."""
    wrong: list[Text] = [
        format_lazy(_("{name} is no limit of this kind of rule"), name=name)
        for name in sorted(limits.keys() - {limit.name for limit in pattern.limits})
    ]
    found: dict[str, int] = {}
    for limit in pattern.limits:
        value = limits.get(limit.name)
        if isinstance(value, bool) or not isinstance(value, int) or not limit.least <= value <= limit.most:
            told = _("{name} must be {least} to {most}")
            wrong.append(format_lazy(told, name=limit.name, least=limit.least, most=limit.most))
        else:
            found[limit.name] = value
    if wrong:
        raise FraudRuleInvalid(_("These are no limits to look by."), errors={"limits": wrong})
    return found


def checked_networks(pattern: Pattern, networks: list[str]) -> list[str]:
    """The networks that many members share honestly, in their usual form; raises FraudRuleInvalid."""
    wrong: list[Text] = []
    if networks and not pattern.has_networks:
        wrong.append(_("this kind of rule looks at no addresses"))
    if len(networks) > MOST_NETWORKS:
        wrong.append(format_lazy(_("at most {most}"), most=MOST_NETWORKS))
    found = []
    for text in networks:
        try:
            found.append(str(ipaddress.ip_network(text.strip())))
        except ValueError:
            wrong.append(format_lazy(_("{text} is no network"), text=text))
    if wrong:
        raise FraudRuleInvalid(_("These are no networks."), errors={"allowed_networks": wrong})
    return found
