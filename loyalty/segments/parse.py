"""Reading a segment: JSON in, a typed tree out, or everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty.errors import SegmentInvalid
from loyalty.segments.schema import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_LOOKS,
    MAX_VALUES,
    OPERATORS,
    Kind,
    Op,
    Var,
)
from loyalty.segments.tree import (
    And,
    Condition,
    DateIs,
    Day,
    Everyone,
    FrozenIs,
    HasFlag,
    Measure,
    Measured,
    MemberIs,
    Not,
    NumberIs,
    Or,
    Segment,
    TierIs,
    When,
    comparisons_in,
)
from loyalty.segments.values import (
    WINDOW,
    Path,
    Problems,
    ordered,
    read_events,
    read_number,
    read_text,
    read_when,
    read_window,
    shown,
)

COMPARISONS: Final = {op.value: op for op in Op}
VARIABLES: Final = {var.value: var for var in Var}
MEASURES: Final = {measure.value: measure for measure in Measure}
WORDS: Final = ("and", "or", "not", "has_flag", *COMPARISONS)
FORMS: Final = '{"var": ...}, {"count": ...}, {"sum": ...}'
PAIR, TRIPLE = 2, 3
NOTHING: Final = "–"  # noqa: RUF001 - a dash for nothing


def parse_segment(value: Any, *, tiers: Collection[str] | None = None) -> Segment:
    """The segment that a JSON value stands for; with `tiers`, a tier must be one of these names.

    Raises SegmentInvalid whose `errors` name under `target_segment` each problem with the path to it.
    """
    if value is None or (isinstance(value, dict) and not value):
        return Everyone()
    reader = _Reader(tiers)
    found = reader.condition(value, (), 1)
    problems = reader.problems
    if found is not None and not problems.found:
        _check_looks(found, problems)
    if found is None or problems.found:
        raise SegmentInvalid(_("The segment does not hold together."), errors={"target_segment": problems.found})
    return found


def _check_looks(segment: Segment, problems: Problems) -> None:
    """Each different look into the ledger costs a scan of its own."""
    looks: set[Measured | When] = set()
    for test in comparisons_in(segment):
        if isinstance(test, NumberIs) and isinstance(test.what, Measured):
            looks.add(test.what)
        elif isinstance(test, DateIs) and test.what is Var.LAST_ACTIVITY_AT:
            looks.update(test.values)
    if len(looks) > MAX_LOOKS:
        told = _("has {count} different counts, sums and dates of last activity; {most} are the most")
        problems.add((), format_lazy(told, count=len(looks), most=MAX_LOOKS))


class _Reader:
    """One pass over a segment; what cannot be read is None, with the problem noted."""

    def __init__(self, tiers: Collection[str] | None) -> None:
        self.problems = Problems()
        self.tiers = tiers
        self.conditions = 0

    def condition(self, value: Any, path: Path, depth: int) -> Condition | None:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            if self.conditions == MAX_CONDITIONS + 1:
                self.problems.add((), format_lazy(_("has more than {most} conditions"), most=MAX_CONDITIONS))
            return None
        if depth > MAX_DEPTH:
            self.problems.add(path, format_lazy(_("is nested deeper than {most} conditions"), most=MAX_DEPTH))
            return None
        if not isinstance(value, dict):
            self.problems.add(path, format_lazy(_("must be a condition, not {value}"), value=shown(value)))
            return None
        if len(value) != 1:
            self.problems.add(path, format_lazy(_("must have one operator, not {count}"), count=len(value)))
            return None
        [(word, operand)] = value.items()
        return self.operation(word, operand, path, depth)

    def operation(self, word: Any, operand: Any, path: Path, depth: int) -> Condition | None:
        match word:
            case "and" | "or":
                parts = self.parts(operand, (*path, word), depth)
                return None if parts is None else And(parts) if word == "and" else Or(parts)
            case "not":
                part = self.condition(operand, (*path, word), depth + 1)
                return None if part is None else Not(part)
            case "has_flag":
                flag = read_text(self.problems, operand, (*path, word))
                return None if flag is None else HasFlag(flag)
            case str() if word in COMPARISONS:
                return self.comparison(COMPARISONS[word], operand, (*path, word))
            case _:
                told = _("there is no operator {word}; known are {known}")
                self.problems.add(path, format_lazy(told, word=shown(word), known=", ".join(WORDS)))
                return None

    def parts(self, operand: Any, path: Path, depth: int) -> tuple[Condition, ...] | None:
        if not isinstance(operand, list) or not operand:
            told = _("must be a list of at least one condition, not {value}")
            empty: Any = _("an empty list") if isinstance(operand, list) else shown(operand)
            self.problems.add(path, format_lazy(told, value=empty))
            return None
        # One more than allowed is enough to say that there are too many.
        read = [
            self.condition(part, (*path, place), depth + 1) for place, part in enumerate(operand[: MAX_CONDITIONS + 1])
        ]
        parts = tuple(part for part in read if part is not None)
        return parts if len(parts) == len(read) else None

    def comparison(self, op: Op, operand: Any, path: Path) -> Condition | None:
        if not isinstance(operand, list) or len(operand) != (TRIPLE if op is Op.BETWEEN else PAIR):
            pair = _("must be a list of two: what is compared, and with what")
            triple = _("must be a list of three: what is compared, and both ends")
            self.problems.add(path, triple if op is Op.BETWEEN else pair)
            return None
        what = self.subject(operand[0], (*path, 0))
        if what is None:
            return None
        kind = what.kind if isinstance(what, Var) else Kind.NUMBER
        if op not in OPERATORS[kind]:
            told = _("does not go with {what}; use one of {known}")
            known = ", ".join(known.value for known in OPERATORS[kind])
            name = what.value if isinstance(what, Var) else what.measure.value
            self.problems.add(path, format_lazy(told, what=name, known=known))
            return None
        if op is Op.IN:
            values = self.listed(operand[1], (*path, 1))
            return None if values is None else self.test(what, op, values)
        return self.test(what, op, [(value, (*path, place)) for place, value in enumerate(operand[1:], 1)])

    def listed(self, operand: Any, path: Path) -> list[tuple[Any, Path]] | None:
        """The values of an `in`, each with its path."""
        if not isinstance(operand, list) or not operand:
            empty: Any = _("an empty list") if isinstance(operand, list) else shown(operand)
            self.problems.add(path, format_lazy(_("must be a list of values, not {value}"), value=empty))
            return None
        if len(operand) > MAX_VALUES:
            told = _("has {count} values; {most} are the most")
            self.problems.add(path, format_lazy(told, count=len(operand), most=MAX_VALUES))
            return None
        return [(value, (*path, place)) for place, value in enumerate(operand)]

    def subject(self, value: Any, path: Path) -> Var | Measured | None:
        """What of a member is compared."""
        if isinstance(value, dict) and len(value) == 1:
            [(word, operand)] = value.items()
            if word == "var":
                return self.variable(operand, (*path, word))
            if word in MEASURES:
                return self.measured(MEASURES[word], operand, (*path, word))
        told = _("must be one of {forms}, not {value}")
        self.problems.add(path, format_lazy(told, forms=FORMS, value=shown(value)))
        return None

    def variable(self, name: Any, path: Path) -> Var | None:
        found = VARIABLES.get(name) if isinstance(name, str) else None
        if found is None:
            told = {"value": shown(name), "known": ", ".join(VARIABLES)}
            self.problems.add(path, format_lazy(_("there is no variable {value}; known are {known}"), **told))
        return found

    def measured(self, measure: Measure, given: Any, path: Path) -> Measured | None:
        if not isinstance(given, dict) or "event" not in given:
            self.problems.add(path, _("must be an object with an event and a window"))
            return None
        if strange := [shown(key) for key in given if key not in WINDOW]:
            told = _("there is no key {value}; known are {known}")
            self.problems.add(path, format_lazy(told, value=strange[0], known=", ".join(sorted(WINDOW))))
            return None
        events = read_events(self.problems, given["event"], (*path, "event"), measure)
        window = read_window(self.problems, given, path)
        return None if events is None or window is None else Measured(measure, events, window)

    def test(self, what: Var | Measured, op: Op, values: Sequence[tuple[Any, Path]]) -> Condition | None:
        if isinstance(what, Measured):
            return self.number_test(what, op, values)
        match what.kind:
            case Kind.NUMBER:
                return self.number_test(what, op, values)
            case Kind.DATE:
                return self.date_test(what, op, values)
            case Kind.TIER:
                return self.tier_test(op, values)
            case Kind.MEMBER:
                ids = self.texts(values)
                return None if ids is None else MemberIs(op, ids)
            case Kind.YES_NO:
                [(value, path)] = values
                if not isinstance(value, bool):
                    self.problems.add(path, format_lazy(_("must be true or false, not {value}"), value=shown(value)))
                    return None
                return FrozenIs(value is (op is Op.EQ))

    def number_test(self, what: Var | Measured, op: Op, values: Sequence[tuple[Any, Path]]) -> Condition | None:
        read = [read_number(self.problems, value, path) for value, path in values]
        numbers = tuple(number for number in read if number is not None)
        if len(numbers) < len(read):
            return None
        if op is Op.BETWEEN and numbers[0] > numbers[1]:
            self.problems.add(values[1][1], _("ends before it begins"))
            return None
        return NumberIs(what, op, numbers)

    def date_test(self, what: Var, op: Op, values: Sequence[tuple[Any, Path]]) -> Condition | None:
        read = [read_when(self.problems, value, path) for value, path in values]
        dates = tuple(when for when in read if when is not None)
        if len(dates) < len(read):
            return None
        if op in (Op.EQ, Op.NE) and not isinstance(dates[0], Day):
            told = _("only a day is ever equal: give one ({day}), or compare with <, <=, >, >= or between")
            self.problems.add(values[0][1], format_lazy(told, day="1997-12-31"))
            return None
        if op is Op.BETWEEN and not ordered(self.problems, dates[0], dates[1], values[1][1]):
            return None
        return DateIs(what, op, dates)

    def tier_test(self, op: Op, values: Sequence[tuple[Any, Path]]) -> Condition | None:
        if op in (Op.EQ, Op.NE) and values[0][0] is None:
            return TierIs(op, (None,))
        names = self.texts(values)
        if names is None or self.tiers is None:
            return None if names is None else TierIs(op, names)
        for name, (_value, path) in zip(names, values, strict=True):
            if name not in self.tiers:
                told = {"value": shown(name), "known": ", ".join(sorted(self.tiers)) or NOTHING}
                self.problems.add(path, format_lazy(_("the program has no tier {value}; it has {known}"), **told))
        return TierIs(op, names)

    def texts(self, values: Sequence[tuple[Any, Path]]) -> tuple[str, ...] | None:
        read = [read_text(self.problems, value, path) for value, path in values]
        found = tuple(text for text in read if text is not None)
        return found if len(found) == len(read) else None
