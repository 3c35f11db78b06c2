"""Reading the values in a segment; what is wrong with one is noted with the path to it, and reading goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty.segments.schema import FIRST_DAY, LAST_DAY, MAX_DAYS, MAX_INT, MAX_PROBLEMS, MAX_TEXT, OUTGOING
from loyalty.segments.times import span
from loyalty.segments.tree import Day, DaysAgo, Measure, Moment, When, Window
from loyalty.states import EventType
from opsconsole.core.texts import Text

Path: TypeAlias = tuple[str | int, ...]

DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")  # what PostgreSQL cannot keep as text
SHOWN: Final = 40
MOST_DIGITS: Final = 10**20
ANY: Final = datetime(2000, 1, 1, tzinfo=UTC)  # days ago are of one length, whenever they are counted from
WINDOW: Final = frozenset({"event", "days", "since", "until"})


class Problems:
    """What is wrong with a segment, each with the path to it."""

    def __init__(self) -> None:
        self.found: list[Text] = []

    def add(self, path: Path, problem: Text) -> None:
        """Note a problem; beyond the most that anybody reads, only that there are more."""
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(format_lazy(_("{path}: {problem}"), path=spelled(path), problem=problem))
        elif len(self.found) == MAX_PROBLEMS:
            self.found.append(_("There is more like this."))


def spelled(path: Path) -> Text:
    """The path as people write it: `and[1].">="[0]`."""
    if not path:
        return _("the segment")
    told = ""
    for step in path:
        if isinstance(step, int):
            told += f"[{step}]"
        else:
            told += f".{step}" if step.isidentifier() else f'."{step}"'
    return told.removeprefix(".")


def shown(value: Any) -> Text:
    """A value as it is quoted in a sentence: short, whatever it is."""
    match value:
        case None | bool():
            return json.dumps(value)
        case int():
            return str(value) if abs(value) < MOST_DIGITS else _("a number of many digits")
        case float() | Decimal():
            return str(value)[:SHOWN]
        case str():
            short = value if len(value) <= SHOWN else f"{value[:SHOWN]}…"
            return json.dumps(short, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
        case list() | tuple():
            return _("a list")
        case Mapping():
            return _("an object")
        case _:
            return type(value).__name__


def read_number(
    problems: Problems, value: Any, path: Path, *, low: int = -MAX_INT - 1, high: int = MAX_INT
) -> int | None:
    """A whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        problems.add(path, format_lazy(_("must be a whole number, not {value}"), value=shown(value)))
    elif not low <= value <= high:
        problems.add(path, format_lazy(_("must be between {low} and {high}"), low=low, high=high))
    else:
        return value
    return None


def read_text(problems: Problems, value: Any, path: Path) -> str | None:
    """A text that is neither blank nor overlong."""
    if not isinstance(value, str):
        problems.add(path, format_lazy(_("must be text, not {value}"), value=shown(value)))
    elif not value.strip():
        problems.add(path, _("must not be blank"))
    elif len(value) > MAX_TEXT:
        problems.add(path, format_lazy(_("is longer than {most} characters"), most=MAX_TEXT))
    elif UNSTORABLE.search(value):
        problems.add(path, _("holds a character that no text can hold"))
    else:
        return value
    return None


def read_when(problems: Problems, value: Any, path: Path) -> When | None:
    """A day, a moment or a number of days ago."""
    if isinstance(value, dict) and value.keys() == {"days_ago"}:
        days = read_number(problems, value["days_ago"], (*path, "days_ago"), low=0, high=MAX_DAYS)
        return None if days is None else DaysAgo(days)
    is_day = isinstance(value, str) and DAY.fullmatch(value) is not None
    if not is_day and not (isinstance(value, str) and MOMENT.fullmatch(value)):
        problems.add(
            path,
            format_lazy(
                _("must be a day ({day}), a time with its offset ({time}) or {ago}, not {value}"),
                day="1997-12-31",
                time="1997-12-31T23:59:59Z",
                ago='{"days_ago": 30}',
                value=shown(value),
            ),
        )
        return None
    try:
        read = datetime.fromisoformat(value)
        moment = read.replace(tzinfo=UTC) if is_day else read.astimezone(UTC)
    except (ValueError, OverflowError):
        problems.add(path, format_lazy(_("there is no such time as {value}"), value=shown(value)))
        return None
    if not FIRST_DAY <= moment.date() <= LAST_DAY:
        limits = {"first": FIRST_DAY.isoformat(), "last": LAST_DAY.isoformat()}
        problems.add(path, format_lazy(_("must be between {first} and {last}"), **limits))
        return None
    return Day(moment.date()) if is_day else Moment(moment)


def read_events(problems: Problems, value: Any, path: Path, measure: Measure) -> tuple[EventType, ...] | None:
    """One kind of transaction or several; a sum is of points that came in or of points that went out."""
    given = value if isinstance(value, list) else [value]
    known = {event.value: event for event in EventType}
    found = []
    for place, name in enumerate(given[: len(known) + 1]):
        event = known.get(name) if isinstance(name, str) else None
        at = (*path, place) if isinstance(value, list) else path
        if event is None:
            told = _("there is no event {value}; known are {known}")
            problems.add(at, format_lazy(told, value=shown(name), known=", ".join(known)))
            return None
        if event in found:
            problems.add(at, format_lazy(_("stands there twice: {value}"), value=shown(name)))
            return None
        found.append(event)
    if not found:
        problems.add(path, _("must not be empty"))
        return None
    if measure is Measure.SUM and 0 < sum(event in OUTGOING for event in found) < len(found):
        told = _("a sum is of points that came in or that went out ({outgoing}), not of both")
        problems.add(path, format_lazy(told, outgoing=", ".join(event.value for event in OUTGOING)))
        return None
    return tuple(found)


def read_window(problems: Problems, given: Mapping[str, Any], path: Path) -> Window | None:
    """The last so many days, or from one date to another."""
    if "days" in given and not given.keys() & {"since", "until"}:
        days = read_number(problems, given["days"], (*path, "days"), low=1, high=MAX_DAYS)
        return None if days is None else Window(DaysAgo(days))
    if "days" in given or not {"since", "until"} <= given.keys():
        problems.add(path, _("a window is either days, or since and until together"))
        return None
    since = read_when(problems, given["since"], (*path, "since"))
    until = read_when(problems, given["until"], (*path, "until"))
    if since is None or until is None or not ordered(problems, since, until, (*path, "until")):
        return None
    if (span(until, ANY)[0] - span(since, ANY)[0]).days > MAX_DAYS:
        problems.add(path, format_lazy(_("a window is {most} days long at most"), most=MAX_DAYS))
        return None
    return Window(since, until)


def ordered(problems: Problems, low: When, high: When, path: Path) -> bool:
    """Whether two dates can be ends of one stretch; else what is wrong with the second is noted."""
    if isinstance(low, DaysAgo) != isinstance(high, DaysAgo):
        problems.add(path, _("both ends are dates, or both are days ago"))
    elif span(low, ANY)[0] >= span(high, ANY)[1]:
        problems.add(path, _("ends before it begins"))
    else:
        return True
    return False
