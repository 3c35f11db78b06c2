"""A segment told in a sentence, in the language of whoever looks: "points balance at least 1,000 and tier is Gold"."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from functools import reduce
from typing import Final

from django.utils.formats import number_format
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from loyalty.segments.schema import Op, Var
from loyalty.segments.tree import (
    And,
    Condition,
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
    Segment,
    TierIs,
    When,
    Window,
)
from opsconsole.core.texts import Text

LISTED: Final = 5  # of a list of values; the rest is counted
PLAIN: Final = re.compile(r"[\w.@:+-]+")

NAMES: Final[Mapping[Var, Text]] = {
    Var.POINTS_BALANCE: _("points balance"),
    Var.AVAILABLE: _("available points"),
    Var.LOCKED: _("locked points"),
    Var.JOINED_AT: _("joined"),
    Var.LAST_ACTIVITY_AT: _("last active"),
}
NUMBERS: Final[Mapping[Op, Text]] = {
    Op.EQ: _("{what} exactly {value}"),
    Op.NE: _("{what} other than {value}"),
    Op.LT: _("{what} below {value}"),
    Op.LE: _("{what} at most {value}"),
    Op.GT: _("{what} above {value}"),
    Op.GE: _("{what} at least {value}"),
    Op.IN: _("{what} one of {value}"),
    Op.BETWEEN: _("{what} between {value} and {high}"),
}
DATES: Final[Mapping[Op, Text]] = {
    Op.EQ: _("{what} on {when}"),
    Op.NE: _("{what} not on {when}"),
    Op.LT: _("{what} before {when}"),
    Op.LE: _("{what} on or before {when}"),
    Op.GT: _("{what} after {when}"),
    Op.GE: _("{what} on or after {when}"),
    Op.BETWEEN: _("{what} from {when} to {until}"),
}
TIERS: Final[Mapping[Op, Text]] = {
    Op.EQ: _("tier is {tier}"),
    Op.NE: _("tier is not {tier}"),
    Op.LT: _("tier lower than {tier}"),
    Op.LE: _("tier {tier} or lower"),
    Op.GT: _("tier higher than {tier}"),
    Op.GE: _("tier {tier} or higher"),
    Op.IN: _("tier is one of {tier}"),
}


MEMBERS: Final[Mapping[Op, Text]] = {
    Op.EQ: _("the member is {member}"),
    Op.NE: _("the member is not {member}"),
    Op.IN: _("the member is one of {member}"),
}


def told(segment: Segment) -> Text:
    """The segment in a sentence without its full stop, translated when it is shown."""
    sentence: Text = lazy(_segment, str)(segment)
    return sentence


def _segment(segment: Segment) -> str:
    return str(_("all members of the program")) if isinstance(segment, Everyone) else _condition(segment)


def _condition(condition: Condition) -> str:
    match condition:
        case And(parts=parts):
            return _chained(_("{first} and {second}"), [_part(part, unlike=Or) for part in parts])
        case Or(parts=parts):
            return _chained(_("{first} or {second}"), [_part(part, unlike=And) for part in parts])
        case Not(part=part):
            return _said(_("not ({condition})"), condition=_condition(part))
        case NumberIs():
            return _number(condition)
        case DateIs():
            return _date(condition)
        case TierIs():
            return _tier(condition)
        case _:
            return _member(condition)


def _part(part: Condition, *, unlike: type[And | Or]) -> str:
    """A part of an `and` or an `or`, in parentheses where it is the other of the two."""
    said = _condition(part)
    return f"({said})" if isinstance(part, unlike) and len(part.parts) > 1 else said


def _chained(link: Text, parts: Sequence[str]) -> str:
    return reduce(lambda first, second: _said(link, first=first, second=second), parts)


def _said(template: Text, **facts: str) -> str:
    return str(template).format(**facts)


def _number(test: NumberIs) -> str:
    what = _measured(test.what) if isinstance(test.what, Measured) else str(NAMES[test.what])
    shown = [_whole(value) for value in test.values]
    if test.op is Op.IN:
        return _said(NUMBERS[test.op], what=what, value=_listed(shown))
    return _said(NUMBERS[test.op], what=what, value=shown[0], high=shown[-1])


def _measured(measured: Measured) -> str:
    template = _("number of transactions ({events}) {window}")
    if measured.measure is Measure.SUM:
        template = _("total of points ({events}) {window}")
    events = ", ".join(str(event.label) for event in measured.events)
    return _said(template, events=events, window=_window(measured.window))


def _window(window: Window) -> str:
    match window.since, window.until:
        case DaysAgo(days=days), None:
            return ngettext("in the last {days} day", "in the last {days} days", days).format(days=_whole(days))
        case DaysAgo(days=since), DaysAgo(days=until):
            return _said(_("between {since} and {until} days ago"), since=_whole(since), until=_whole(until))
        case since, until:
            return _said(_("from {since} to {until}"), since=_when(since), until=_when(until))


def _date(test: DateIs) -> str:
    what = str(NAMES[test.what])
    match test.op, test.values:
        case Op.BETWEEN, (DaysAgo(days=since), DaysAgo(days=until)):
            template = _("{what} between {since} and {until} days ago")
            return _said(template, what=what, since=_whole(since), until=_whole(until))
        case ((Op.GT | Op.GE), (DaysAgo(days=days),)):
            said = ngettext("{what} in the last {days} day", "{what} in the last {days} days", days)
            return said.format(what=what, days=_whole(days))
        case _, (DaysAgo(days=days),):
            said = ngettext("{what} more than {days} day ago", "{what} more than {days} days ago", days)
            return said.format(what=what, days=_whole(days))
        case op, values:
            return _said(DATES[op], what=what, when=_when(values[0]), until=_when(values[-1]))


def _when(when: When | None) -> str:
    match when:
        case Day(day=day):
            return day.isoformat()
        case Moment(at=at):
            return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        case _:
            raise TypeError(f"{when} is told in days ago")


def _tier(test: TierIs) -> str:
    names = [_name(name) for name in test.names if name is not None]
    if not names:
        return str(_("with a tier") if test.op is Op.NE else _("without a tier"))
    return _said(TIERS[test.op], tier=_listed(names))


def _member(test: FrozenIs | MemberIs | HasFlag) -> str:
    match test:
        case FrozenIs(frozen=frozen):
            return str(_("the member is frozen") if frozen else _("the member is not frozen"))
        case HasFlag(flag=flag):
            return _said(_("the member is flagged {flag}"), flag=_name(flag))
        case MemberIs(op=op, user_ids=user_ids):
            return _said(MEMBERS[op], member=_listed([_name(user_id) for user_id in user_ids]))


def _listed(texts: Sequence[str]) -> str:
    """The first few of a list of values, and how many more there are."""
    first, rest = ", ".join(texts[:LISTED]), len(texts) - LISTED
    if rest <= 0:
        return first
    return ngettext("{first} and {count} more", "{first} and {count} more", rest).format(
        first=first, count=_whole(rest)
    )


def _name(text: str) -> str:
    """Somebody's own text: in quotes where it could be taken for words of the sentence."""
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _whole(number: int) -> str:
    return str(number_format(number, use_l10n=True, force_grouping=True))
